package release

import (
	"fmt"
	"strings"

	"rehearsal/internal/stage"
)

// A Mark is how far an event says that a release has come.
type Mark struct {
	Phase    Phase
	Step, Of int // AtStep: which shift of the schedule, from 1
}

// A Phase is a closed set: what a release is at.
type Phase string

const (
	NoPhase   Phase = ""             // the event says nothing of it
	Starting  Phase = "starting"     // the new version is started
	Testing   Phase = "testing"      // it is sent the smoke requests before users reach it
	AtStep    Phase = "at a step"    // of the schedule: the shift, and the bake after it
	GoingBack Phase = "rolling back" // to the stable version
	Over      Phase = "over"         // Detail of the event says how
)

// MarkOf reads what Run recorded.
func MarkOf(e stage.Event) Mark {
	begins := func(words ...string) bool {
		for _, w := range words {
			if strings.HasPrefix(e.Detail, w) {
				return true
			}
		}
		return false
	}
	switch e.Kind {
	case stage.Stepped:
		var m Mark
		for _, form := range []string{"step %d of %d:", "batch %d of %d:"} {
			if n, _ := fmt.Sscanf(e.Detail, form, &m.Step, &m.Of); n == 2 {
				m.Phase = AtStep
				return m
			}
		}
		switch {
		case begins("start "):
			return Mark{Phase: Starting}
		case begins("test "):
			return Mark{Phase: Testing}
		}
	case stage.Decided:
		switch {
		case begins("roll back to "):
			return Mark{Phase: GoingBack}
		case begins("released: ", "rolled back: ", "refused: ", "stuck: "):
			return Mark{Phase: Over}
		}
	default:
	}
	return Mark{}
}
