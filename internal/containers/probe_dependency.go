package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"rehearsal/internal/stage"
)

// askDependency asks a dependency, at door, whether it answers: a database opens a
// connection with the credentials of the service's variable and answers a query, an
// API answers its health request.
func (s *Stage) askDependency(ctx context.Context, d stage.Dependency, door string, environment map[string]string) error {
	if door == "" {
		return fmt.Errorf("%s cannot be reached from here yet", d.Name)
	}
	switch d.Kind {
	case "postgres":
		return s.withDatabase(ctx, d, door, environment, func(conn *pgx.Conn) error {
			var one int
			return conn.QueryRow(ctx, "select 1").Scan(&one)
		})
	case "http":
		return askHTTP(ctx, d, door)
	}
	return knock(ctx, door)
}

// withDatabase opens a connection to a database and closes it when use is done.
func (s *Stage) withDatabase(ctx context.Context, d stage.Dependency, door string, environment map[string]string, use func(*pgx.Conn) error) error {
	config, err := pgx.ParseConfig(environment[d.URLFrom])
	if err != nil {
		return fmt.Errorf("the variable %s is no address of a PostgreSQL database", d.URLFrom) // err would quote it
	}
	config.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, door)
	}
	config.LookupFunc = func(context.Context, string) ([]string, error) { return []string{d.Name}, nil }
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return errors.New(s.secrets.redact(err.Error()))
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	return use(conn)
}

func askHTTP(ctx context.Context, d stage.Dependency, door string) error {
	path := d.Path
	if path == "" {
		path = "/"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+door+path, nil)
	if err != nil {
		return err
	}
	request.Host = fmt.Sprintf("%s:%d", d.Name, d.Port)
	status, body, err := send(request)
	if err != nil {
		return err
	}
	if status >= 400 {
		return fmt.Errorf("GET %s: answered %d: %s", path, status, shorten(body))
	}
	return nil
}

// knockWithin is how long a door that opens has to stay open to count.
const knockWithin = 30 * time.Millisecond

// knock opens a connection. The error says that it was refused, or cut at once: an
// engine's own proxy, before a published port, takes every connection and then cuts
// those that the container refuses.
func knock(ctx context.Context, door string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", door)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(deadlineIn(knockWithin)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return errors.New("connection cut")
	}
	return err
}
