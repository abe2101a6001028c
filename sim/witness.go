package sim

import (
	"context"
	"errors"
	"fmt"

	"rehearsal/internal/stage"
)

var _ stage.Witness = (*Stage)(nil)

// Witness cannot know what a stub would be asked: the model's requests ask nobody.
func (s *Stage) Witness(ctx context.Context) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	return fmt.Errorf("%w: the simulated stage has no stubs", errors.ErrUnsupported)
}
