package containers

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

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
	var a stage.Answer
	err = s.withDatabase(ctx, to.Dependency, to.door, to.environment, func(conn *pgx.Conn) (err error) {
		a, err = query(ctx, conn, m.Query)
		return err
	})
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

// queryMost is how many rows of an answer are looked at.
const queryMost = 1000

// query asks a database, which gives all values as the text that psql would print.
func query(ctx context.Context, conn *pgx.Conn, sql string) (a stage.Answer, err error) {
	rows, err := conn.Query(ctx, sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return a, err
	}
	defer rows.Close()
	for rows.Next() {
		if len(a.Rows) == queryMost {
			return a, errors.New("more than 1000 rows: ask for fewer, with a WHERE or a LIMIT")
		}
		var row []string
		for _, value := range rows.RawValues() {
			text := "NULL"
			if value != nil {
				text = string(value)
			}
			row = append(row, text)
		}
		a.Rows = append(a.Rows, row)
	}
	for _, c := range rows.FieldDescriptions() {
		a.Columns = append(a.Columns, c.Name)
	}
	return a, rows.Err()
}
