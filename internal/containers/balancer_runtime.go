package containers

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"rehearsal/internal/clock"
)

// balancerRuntime is HAProxy's runtime API over TCP: one connection for each
// command, as HAProxy wants it.
type balancerRuntime struct{ address string }

// runtimePatience is how long an answer may take, in wall time.
const runtimePatience = 5 * time.Second

// call sends one line of commands, with its payload if it has one, and returns the
// answer without the empty lines around it.
func (r balancerRuntime) call(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, runtimePatience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.address)
	if err != nil {
		return "", fmt.Errorf("the balancer's runtime API: %w", err)
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err = io.WriteString(conn, command+"\n"); err == nil {
		var answer []byte
		if answer, err = io.ReadAll(conn); err == nil && len(answer) == 0 {
			err = io.ErrUnexpectedEOF // even an empty answer has a line end
		}
		if err == nil {
			return strings.TrimSpace(string(answer)), nil
		}
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return "", fmt.Errorf("the balancer's runtime API: %w", err)
}

// errRuntime is an answer of the runtime API that says no.
var errRuntime = errors.New("the balancer refused")

// expect calls and requires that the answer contains want; with want "", that it
// is empty, which is how HAProxy says yes to most commands.
func (r balancerRuntime) expect(ctx context.Context, want, command string) (string, error) {
	answer, err := r.call(ctx, command)
	if err != nil {
		return "", err
	}
	if (want == "" && answer != "") || !strings.Contains(answer, want) {
		line, _, _ := strings.Cut(command, "\n")
		return "", fmt.Errorf("%w %q: %s", errRuntime, line, answer)
	}
	return answer, nil
}

// runtimePayload is how many bytes of entries go with one command: with the command
// they must fit one buffer of HAProxy (16 KiB).
const runtimePayload = 12 << 10

// replaceMap replaces all entries ("key value") of a map in one atomic act.
func (r balancerRuntime) replaceMap(ctx context.Context, file string, entries []string) error {
	const created = "New version created: "
	answer, err := r.expect(ctx, created, "prepare map "+file)
	if err != nil {
		return err
	}
	version := strings.TrimSpace(strings.TrimPrefix(answer, created))
	for len(entries) > 0 {
		var payload strings.Builder
		for len(entries) > 0 && payload.Len()+len(entries[0]) < runtimePayload {
			payload.WriteString(entries[0] + "\n")
			entries = entries[1:]
		}
		if _, err := r.expect(ctx, "", fmt.Sprintf("add map @%s %s <<\n%s", version, file, payload.String())); err != nil {
			return err
		}
	}
	_, err = r.expect(ctx, "", fmt.Sprintf("commit map @%s %s", version, file))
	return err
}

// serverStat is what HAProxy tells about one server.
type serverStat struct {
	Status   string // "UP", "DOWN 1/2", "DRAIN", "MAINT"
	Check    string // last finished check: "L7OK", "L4CON"; "" none yet
	Detail   string // "L7STS 503", "L4CON Connection refused"
	Sessions int    // requests under way, queued ones included
	Served   int    // requests that it got so far
}

// servers asks for all servers, by "backend/server".
func (r balancerRuntime) servers(ctx context.Context) (map[string]serverStat, error) {
	answer, err := r.expect(ctx, "# pxname", "show stat -1 4 -1")
	if err != nil {
		return nil, err
	}
	return parseServers(answer)
}

func parseServers(text string) (map[string]serverStat, error) {
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("the balancer's statistics: %w", err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, name := range []string{"pxname", "svname", "status", "check_status", "check_code", "last_chk", "scur", "qcur", "stot"} {
		if _, ok := column[name]; !ok {
			return nil, fmt.Errorf("the balancer's statistics have no column %q", name)
		}
	}
	servers := map[string]serverStat{}
	for _, row := range rows[1:] {
		field := func(name string) string { return row[column[name]] }
		s := serverStat{Status: field("status"), Check: strings.TrimPrefix(field("check_status"), "* ")}
		if s.Check == "INI" {
			s.Check = ""
		}
		s.Detail = strings.Join(strings.Fields(s.Check+" "+field("check_code")+" "+field("last_chk")), " ")
		for _, name := range []string{"scur", "qcur"} {
			n, err := strconv.Atoi(field(name))
			if err != nil {
				return nil, fmt.Errorf("the balancer's statistics: %s of %s: %w", name, field("svname"), err)
			}
			s.Sessions += n
		}
		if s.Served, err = strconv.Atoi(field("stot")); err != nil {
			return nil, fmt.Errorf("the balancer's statistics: stot of %s: %w", field("svname"), err)
		}
		servers[field("pxname")+"/"+field("svname")] = s
	}
	return servers, nil
}

// droppedLogs is how many lines HAProxy could not write to its log.
func (r balancerRuntime) droppedLogs(ctx context.Context) (n int, err error) {
	const name = "DroppedLogs: "
	answer, err := r.expect(ctx, name, "show info")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(answer, name)
	if _, err := fmt.Sscan(rest, &n); err != nil {
		return 0, fmt.Errorf("the balancer's %q: %w", name, err)
	}
	return n, nil
}

// ready waits until the runtime API answers, or alive says that it never will.
func (r balancerRuntime) ready(ctx context.Context, alive func() error) error {
	return clock.Poll(ctx, 5*time.Millisecond, func() (bool, error) {
		if _, err := r.expect(ctx, "# pxname", "show stat -1 4 -1"); err == nil {
			return true, nil
		}
		return false, alive()
	})
}
