package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// auditNames is how many of the keys that are lost or doubled are named.
const auditNames = 10

// Audit compares the writes that the users were told had succeeded with what the
// database holds, and records it. It asks the database straight, past all failures.
func (s *Stage) Audit(ctx context.Context) (err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	load := s.setup.Traffic
	if load.Stored == "" {
		return errors.New("the setup does not say how to ask which writes are stored")
	}
	d, ok := s.setup.Dependency(load.StoredIn)
	if !ok || !d.Database() {
		return fmt.Errorf("stored writes are in %q, which is not a dependency of kind postgres or mysql", load.StoredIn)
	}
	acknowledged := s.acknowledgedKeys() // before the database is asked: what comes meanwhile is no matter
	stored := map[string]int{}
	_, err = s.eachRowStraight(ctx, d, load.Stored, func(row []string) error {
		if len(row) != 1 {
			return fmt.Errorf("the query gives %d columns, want one: the key", len(row))
		}
		stored[row[0]]++
		return nil
	})
	if err != nil {
		return fmt.Errorf("ask %s which writes are stored: %w", d.Name, err)
	}
	w := compareWrites(acknowledged, stored)
	s.history.Record(stage.Event{Kind: stage.Audited, Writes: &w, OK: w.Lost == 0 && w.Doubled == 0})
	return nil
}

// acknowledgedKeys is the keys of all writes that were acknowledged so far.
func (s *Stage) acknowledgedKeys() []string {
	s.mu.Lock()
	keys := slices.Clone(s.smokeKeys)
	s.mu.Unlock()
	if s.traffic != nil {
		s.traffic.flush()
		keys = append(keys, s.traffic.acknowledged()...)
	}
	return keys
}

// compareWrites counts the acknowledged keys that are not stored, and the keys that
// are stored more than once.
func compareWrites(acknowledged []string, stored map[string]int) stage.Writes {
	w := stage.Writes{Acknowledged: int64(len(acknowledged))}
	for _, key := range acknowledged {
		if stored[key] == 0 {
			w.Lost++
			w.Keys = append(w.Keys, key)
		}
	}
	for key, n := range stored {
		if n > 1 {
			w.Doubled++
			w.Keys = append(w.Keys, key)
		}
	}
	slices.Sort(w.Keys)
	w.Keys = w.Keys[:min(len(w.Keys), auditNames)]
	return w
}

// deadlineIn is a deadline of a network call.
func deadlineIn(d time.Duration) time.Time { return clock.Wall().Add(d) }
