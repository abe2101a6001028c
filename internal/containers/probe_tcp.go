package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"rehearsal/internal/stage"
)

// askTCP asks whether a dependency takes connections and, where the setup knows what to
// say to it, whether it answers anything.
func askTCP(ctx context.Context, d stage.Dependency, door string) error {
	if d.Say == "" {
		return knock(ctx, door)
	}
	return firstByte(ctx, d, door)
}

// useDependency is askDependency, and waits for an answer also where taking a connection
// would be enough.
func (s *Stage) useDependency(ctx context.Context, d stage.Dependency, door string, environment map[string]string) error {
	if d.Kind == stage.TCP {
		return firstByte(ctx, d, door)
	}
	return s.askDependency(ctx, d, door, environment)
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// firstByte waits, for as long as ctx lasts, for the first byte that a dependency sends.
func firstByte(ctx context.Context, d stage.Dependency, door string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", door)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	defer stop()
	if _, err := io.WriteString(conn, d.Say); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("connection cut")
	case errors.Is(err, os.ErrDeadlineExceeded) && d.Say == "":
		return fmt.Errorf("it sends nothing by itself: put into rehearsal.yaml what %s answers to, as say: \"PING\\r\\n\"", d.Name)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer to %q", d.Say)
	}
	return err
}
