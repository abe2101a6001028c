package containers

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"

	"rehearsal/internal/clock"
)

// A reaperLine is this process's own connection to its reaper, the container that
// removes what the process leaves behind. testcontainers-go starts one with the first
// container of the process, and is connected to it only as long as it has containers.
// A second after the last one the reaper would go to work, and take what the next
// stage has just begun to make. So whenever a reaper of this session starts, the
// engine connects to it, and stays until it is closed or the process ends.
type reaperLine struct {
	engine *Engine
	end    context.CancelFunc
	work   sync.WaitGroup
	conn   net.Conn // nil: no reaper runs
}

const (
	reaperEvery = 20 * time.Millisecond
	// reaperPatience is how long a reaper may take to answer, or one that is at its
	// last work to end.
	reaperPatience = 20 * time.Second
	// reaperAnswer is how long one answer may take.
	reaperAnswer = time.Second
)

// holdReaper holds the session's reaper, the one that runs, if one does, and every
// later one.
func holdReaper(ctx context.Context, e *Engine) *reaperLine {
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	l := &reaperLine{engine: e, end: end}
	started := l.started(running)
	l.connect(ctx)
	l.work.Go(func() {
		for {
			select {
			case <-started.Messages:
			case <-started.Err: //nolint:errcheck // running has ended, or the engine has gone: which does not matter
				if clock.Sleep(running, reaperAnswer) != nil {
					return
				}
				started = l.started(running)
			}
			l.connect(running)
		}
	})
	return l
}

// started is the starts of reapers of this session from now on.
func (l *reaperLine) started(ctx context.Context) client.EventsResult {
	return l.engine.Client.Events(ctx, client.EventsListOptions{Filters: reaperFilters().Add("type", "container").Add("event", "start")})
}

// release lets the reaper go to work, unless others hold it.
func (l *reaperLine) release() {
	l.end()
	l.work.Wait()
	l.hangUp()
}

func (l *reaperLine) hangUp() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}

// connect connects to the reaper that runs, and returns when it is connected or none
// runs any more: one that has decided to end answers nobody, and is soon gone.
func (l *reaperLine) connect(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reaperPatience)
	defer cancel()
	// Without a line everything still works; what is at stake is only when the reaper
	// goes to work, and a broken engine is noticed by whoever uses it.
	_ = clock.Poll(ctx, reaperEvery, func() (bool, error) {
		list, err := l.engine.Client.ContainerList(ctx, client.ContainerListOptions{Filters: reaperFilters()})
		if err != nil || len(list.Items) == 0 {
			return true, err
		}
		for _, address := range l.engine.addressesOf(list.Items[0]) {
			if conn, err := dialReaper(ctx, address, testcontainers.GenericLabels()); err == nil {
				l.hangUp() // of a reaper that is gone
				l.conn = conn
				return true, nil
			}
		}
		return false, nil
	})
}

// reaperFilters finds the reaper of this session.
func reaperFilters() client.Filters {
	return make(client.Filters).Add("label", "org.testcontainers.reaper=true", "org.testcontainers.sessionId="+testcontainers.SessionID())
}

// addressesOf is where this process reaches the container's ports: straight, or as
// published.
func (e *Engine) addressesOf(c container.Summary) []string {
	var straight, published []string
	host, _ := netip.ParseAddr(e.PublishedHost) // a name counts as one of IPv4
	for _, p := range c.Ports {
		if e.Local && c.NetworkSettings != nil {
			for _, n := range c.NetworkSettings.Networks {
				straight = append(straight, netip.AddrPortFrom(n.IPAddress, p.PrivatePort).String())
			}
		}
		// The engine may publish a port as different ones of IPv4 and IPv6, where the
		// other's is perhaps that of another container.
		if p.PublicPort != 0 && p.IP.Is6() == host.Is6() {
			published = append(published, net.JoinHostPort(e.PublishedHost, strconv.Itoa(int(p.PublicPort))))
		}
	}
	slices.Sort(straight)
	return append(slices.Compact(straight), published...)
}

// dialReaper connects to a reaper and tells it what it is to remove once nobody is
// connected any more: what has all the labels.
func dialReaper(ctx context.Context, address string, labels map[string]string) (_ net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, reaperAnswer)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = conn.Close()
		}
	}()
	if err := conn.SetDeadline(deadlineIn(reaperAnswer)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, reaperRequest(labels)); err != nil {
		return nil, err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && answer != "ACK\n" {
		err = fmt.Errorf("the reaper at %s answered %q", address, answer)
	}
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

// reaperRequest is the line that asks for the removal of what has all the labels.
func reaperRequest(labels map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, "label="+name+"="+labels[name])
	}
	return strings.Join(all, "&") + "\n"
}
