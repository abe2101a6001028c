package pipeline

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A Request is what a job's `rehearse` asks of the stage that the pipeline was pushed
// for. That stage lives in the process that runs the rehearsal; the job is another.
type Request struct {
	Verb    Verb   `json:"verb"`
	Version string `json:"version"`
	// Plan is the text of a plan file, and PlanFile its name; "" is the rehearsal's own.
	Plan         string `json:"plan,omitempty"`
	PlanFile     string `json:"planFile,omitempty"`
	IgnoreWindow string `json:"ignoreWindow,omitempty"` // the reason
}

// Verb is a closed set.
type Verb string

const (
	AskRelease Verb = "release" // carry out the plan
	AskConfirm Verb = "confirm" // the checks after a release
)

// DoorVariable is the variable in a job's environment that says where the door is.
const DoorVariable = "REHEARSAL_STAGE_SOCKET"

// An Answer is how a request ended.
type Answer struct {
	Status int `json:"status"` // the exit status of the command
	// Outputs are of the step, as in $GITHUB_OUTPUT.
	Outputs map[string]string `json:"outputs,omitempty"`
}

type reply struct {
	Line string  `json:"line,omitempty"`
	End  *Answer `json:"end,omitempty"`
}

// A door is where the jobs of a workflow reach the stage: a socket in the temporary
// folder of the run. One request is answered after the other, since a stage has one
// user at a time.
type door struct {
	path     string
	listener net.Listener
	folder   string // of its own, to be removed; may be ""
	done     sync.WaitGroup
	mu       sync.Mutex
	cancel   context.CancelFunc
}

// longest is how long the path of a socket may be: macOS takes 103 bytes, Linux 107.
const longest = 103

// openDoor answers requests on a socket in dir until it is closed; in /tmp, where the
// path of dir is too long for a socket.
func openDoor(ctx context.Context, dir string, answer func(ctx context.Context, r Request, say func(string)) Answer) (*door, error) {
	d := &door{path: filepath.Join(dir, "door")}
	if len(d.path) > longest {
		short, err := os.MkdirTemp("/tmp", "rehearse-door")
		if err != nil {
			return nil, fmt.Errorf("the jobs cannot be given a way to the stage: %w", err)
		}
		d.folder, d.path = short, filepath.Join(short, "door")
	}
	l, err := net.Listen("unix", d.path)
	if err != nil {
		if d.folder != "" {
			_ = os.RemoveAll(d.folder)
		}
		return nil, fmt.Errorf("the jobs cannot be given a way to the stage: %w", err)
	}
	ctx, d.cancel = context.WithCancel(ctx)
	d.listener = l
	d.done.Add(1)
	go func() {
		defer d.done.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.done.Add(1)
			go func() {
				defer d.done.Done()
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				defer stop()
				defer func() { _ = c.Close() }()
				d.serve(ctx, c, answer)
			}()
		}
	}()
	return d, nil
}

func (d *door) serve(ctx context.Context, c net.Conn, answer func(context.Context, Request, func(string)) Answer) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in := bufio.NewReader(io.LimitReader(c, 4<<20))
	var r Request
	line, err := in.ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &r) != nil {
		return
	}
	go func() { // a job that was killed, by its time-out say, wants nothing any more
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	d.mu.Lock()
	defer d.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	enc := json.NewEncoder(c)
	var talk sync.Mutex
	end := answer(ctx, r, func(s string) {
		talk.Lock()
		defer talk.Unlock()
		_ = enc.Encode(reply{Line: s})
	})
	talk.Lock()
	defer talk.Unlock()
	if ctx.Err() == nil { // what was called off has no answer
		_ = enc.Encode(reply{End: &end})
	}
}

// close ends it, and what is under way, and waits for that.
func (d *door) close() {
	d.cancel()
	_ = d.listener.Close()
	d.done.Wait()
	if d.folder != "" {
		_ = os.RemoveAll(d.folder)
	}
}

// Ask asks the stage behind the door at path, and prints what it says to out.
func Ask(ctx context.Context, path string, r Request, out io.Writer) (Answer, error) {
	var dial net.Dialer
	c, err := dial.DialContext(ctx, "unix", path)
	if err != nil {
		return Answer{}, fmt.Errorf("the stage of the rehearsal does not answer ($%s): %w", DoorVariable, err)
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := json.NewEncoder(c).Encode(r); err != nil {
		return Answer{}, err
	}
	dec := json.NewDecoder(c)
	for {
		var a reply
		switch err := dec.Decode(&a); {
		case ctx.Err() != nil:
			return Answer{}, ctx.Err()
		case errors.Is(err, io.EOF):
			return Answer{}, errors.New("the stage of the rehearsal went away before it had answered")
		case err != nil:
			return Answer{}, err
		case a.End != nil:
			return *a.End, nil
		}
		if _, err := fmt.Fprintln(out, a.Line); err != nil {
			return Answer{}, err
		}
	}
}

// Door is the path of the door that this process may ask, where it is a step of a
// rehearsed pipeline.
func Door() (path string, there bool) {
	path = os.Getenv(DoorVariable)
	return path, path != ""
}

// Export appends the outputs to $GITHUB_OUTPUT, where there is one.
func (a Answer) Export() error {
	name := os.Getenv("GITHUB_OUTPUT")
	if name == "" || len(a.Outputs) == 0 {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(a.Outputs)) {
		if _, err := fmt.Fprintf(f, "%s=%s\n", k, strings.ReplaceAll(a.Outputs[k], "\n", " ")); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}
