package containers

import (
	"context"
	"fmt"

	"rehearsal/internal/stage"
)

// probeMigrations asks the database which migration it is at, with the credentials and
// by the way of the version.
func (s *Stage) probeMigrations(ctx context.Context, p stage.Probe) (string, error) {
	m := s.setup.Migrations
	if m == nil {
		return "", fmt.Errorf("%v: the setup does not say how to ask: see migrations in rehearsal.yaml", p)
	}
	to, err := s.wayTo(ctx, p, m.Of)
	if err != nil {
		return "", err
	}
	ctx, cancel, cause := inTime(ctx, probeWithin)
	defer cancel()
	a, err := s.queryDatabase(ctx, to.Dependency, to.door, to.environment, m.Query)
	if err != nil {
		return "", failed(p, "%s: %s", m.Of, s.secrets.redact(cause(err).Error()))
	}
	if len(a.Rows) != 1 || len(a.Columns) != 1 {
		return "", failed(p, "the query gave %d rows of %d columns, want one value: %s", len(a.Rows), len(a.Columns), m.Query)
	}
	v := s.setup.Versions[p.Version]
	if d := s.version(p.Version); d != nil {
		v = d.Version
	}
	if is, needs := a.Rows[0][0], m.MigrationFor(v); is != needs {
		return "", failed(p, "%s is at %q, and %s needs %q", m.Of, is, p.Version, needs)
	}
	return fmt.Sprintf("%s is at %q", m.Of, a.Rows[0][0]), nil
}
