package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rehearsal/internal/stage"
)

var _ stage.Asker = (*Stage)(nil)

// Ask sends a request to a version. The model knows whether the answer is right, not what
// it says. Of queries and commands it knows nothing.
func (s *Stage) Ask(ctx context.Context, q stage.Question) (stage.Answer, error) {
	p := q.Probe()
	if err := s.usable(ctx); err != nil {
		return stage.Answer{}, err
	}
	if q.Request == nil {
		return stage.Answer{}, fmt.Errorf("%w: the simulated stage has no database and no programs: it cannot know what comes of a %s", errors.ErrUnsupported, p.Kind)
	}
	v := s.find(q.Version)
	if v == nil {
		return stage.Answer{}, fmt.Errorf("cannot send a request to %q: it is not deployed; deployed are %q", q.Version, s.deployed())
	}
	status, took, right := s.ask(v, *q.Request)
	if err := s.pass(ctx, took); err != nil {
		return stage.Answer{}, err
	}
	a := stage.Answer{Took: took}
	said := fmt.Sprintf("%s %s: ", q.Request.Method, q.Request.Path)
	var err error
	switch {
	case status == noAnswer:
		said += fmt.Sprintf("no answer within %v", took)
		err = fmt.Errorf("%w: %v: %s", stage.ErrProbe, p, said)
	case status != 200:
		a.Status = status
		said += fmt.Sprintf("%d after %v", status, took.Round(time.Millisecond))
	case !right:
		a.Status = 200
		said += "a wrong answer"
	default:
		a.Assumed = true
		said += fmt.Sprintf("the right answer after %v", took.Round(time.Millisecond))
	}
	s.history.Record(stage.Event{Kind: stage.Probed, Version: q.Version, Probe: &p, OK: err == nil, Detail: said})
	return a, err
}
