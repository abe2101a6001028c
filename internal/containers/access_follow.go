package containers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
)

// containerLines is what a container writes, line by line, from its start and as
// it grows.
type containerLines struct {
	engine *testcontainers.DockerClient
	raw    io.ReadCloser
}

// followContainer begins to read the log of a container. It ends with the container,
// or by close.
func followContainer(ctx context.Context, id string) (*containerLines, error) {
	engine, err := testcontainers.NewDockerClientWithOpts(ctx)
	if err != nil {
		return nil, err
	}
	raw, err := engine.ContainerLogs(context.WithoutCancel(ctx), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		_ = engine.Close()
		return nil, fmt.Errorf("reading the log of container %.12s: %w", id, err)
	}
	return &containerLines{engine, raw}, nil
}

// all iterates over the lines until the log ends or is closed. It is called once.
func (l *containerLines) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		defer l.close()
		r, w := io.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err := stdcopy.StdCopy(w, w, l.raw)
			w.CloseWithError(err)
		}()
		defer func() {
			_ = r.Close()
			l.close()
			<-done
		}()
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadString('\n')
			if err != nil || !yield(line[:len(line)-1]) {
				return
			}
		}
	}
}

// close stops reading.
func (l *containerLines) close() {
	_ = l.raw.Close()
	_ = l.engine.Close()
}
