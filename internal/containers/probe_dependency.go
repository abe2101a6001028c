package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"rehearsal/internal/stage"
)

// askDependency asks a dependency, at door, whether it answers: a database opens a
// connection with the credentials of the service's variables and answers a query, an
// API answers its health request.
func (s *Stage) askDependency(ctx context.Context, d stage.Dependency, door string, environment map[string]string) error {
	if door == "" {
		return fmt.Errorf("%s cannot be reached from here yet", d.Name)
	}
	switch d.Kind {
	case stage.Postgres, stage.MySQL:
		_, err := s.queryDatabase(ctx, d, door, environment, "select 1")
		return err
	case stage.Redis:
		return s.askRedis(ctx, d, door, environment)
	case stage.HTTP:
		return askHTTP(ctx, d, door)
	case stage.TCP:
		return askTCP(ctx, d, door)
	}
	panic(fmt.Sprintf("unknown kind of dependency %q", d.Kind))
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
	if d.Stub != nil {
		request.Header.Set(stubProbeHeader, "yes")
	}
	status, body, err := send(request)
	if err != nil {
		return err
	}
	if d.Stub != nil && d.Path == "" && !strings.HasPrefix(body, stubFails) {
		return nil // whatever it is to answer there
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
