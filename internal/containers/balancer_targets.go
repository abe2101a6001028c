package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/clock"
)

// A target is one replica as the balancer sees it.
type target struct {
	Version  string
	Name     string // unique on the stage, for ever
	Addr     string // "IP:port"
	State    targetState
	Detail   string // its last health check: "L7STS 503 Service Unavailable"
	Sessions int    // requests under way
}

// targetState is the health of a target, in the words of target groups.
type targetState uint8

const (
	// targetInitial has not passed a health check yet and gets no traffic.
	targetInitial targetState = iota
	targetHealthy
	targetUnhealthy
	// targetDraining gets no new requests.
	targetDraining
)

func (s targetState) String() string {
	switch s {
	case targetInitial:
		return "initial"
	case targetHealthy:
		return "healthy"
	case targetUnhealthy:
		return "unhealthy"
	case targetDraining:
		return "draining"
	}
	panic(fmt.Sprintf("unknown target state %d", s))
}

// A targetChange is a target whose health has just changed.
type targetChange struct {
	target
	From targetState
}

type balancerTarget struct {
	target
	failing time.Duration // release time from which an initial target counts as unhealthy
}

func (t *target) server() string { return balancerBackend(t.Version) + "/" + t.Name }

// add registers a replica. It is initial: it gets no traffic until it passes one
// health check (as a target group's new target does); from then on the thresholds of
// Health rule. It is unhealthy when it still fails after Health.Unhealthy intervals of
// release time.
func (b *balancer) add(ctx context.Context, version, name, addr string) error {
	if !b.knows(version) {
		return fmt.Errorf("no version %q is known", version)
	}
	h := b.options.Setup.Health
	t := &balancerTarget{target: target{Version: version, Name: name, Addr: addr}}
	t.failing = b.options.Clock.Now() + time.Duration(max(h.Unhealthy, 1))*h.Interval
	server := t.server()
	// Connections that idle are closed before most services would, so that a request
	// does not meet a connection that its server is just closing.
	add := fmt.Sprintf("add server %s %s %s pool-purge-delay 1s", server, addr, balancerChecks(h, b.options.Pace))
	if _, err := b.runtime.expect(ctx, "New server registered", add); err != nil {
		return err
	}
	// A server that drains is checked, but takes nothing until it is ready.
	enable := fmt.Sprintf("enable health %[1]s;set server %[1]s state drain", server)
	if _, err := b.runtime.expect(ctx, "", enable); err != nil {
		return errors.Join(err, b.forget(ctx, server))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.registered = append(b.registered, t)
	return nil
}

// drain gives the replica no new requests and waits until those under way have
// ended, at most within (wall time). It returns how many were still under way then.
func (b *balancer) drain(ctx context.Context, version, name string, within time.Duration) (cut int, err error) {
	t, err := b.target(version, name)
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	t.State = targetDraining
	b.mu.Unlock()
	server := t.server()
	if _, err := b.runtime.expect(ctx, "", "set server "+server+" state drain"); err != nil {
		return 0, err
	}
	patience, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err = clock.Poll(patience, 10*time.Millisecond, func() (bool, error) {
		servers, err := b.runtime.servers(ctx)
		cut = servers[server].Sessions
		return cut == 0, err
	})
	if ctx.Err() == nil && patience.Err() != nil {
		err = nil
	}
	return cut, err
}

// remove ends what is left of the replica's requests and forgets the replica.
func (b *balancer) remove(ctx context.Context, version, name string) error {
	t, err := b.target(version, name)
	if err != nil {
		return err
	}
	if err := b.forget(ctx, t.server()); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.registered = slices.DeleteFunc(b.registered, func(other *balancerTarget) bool { return other == t })
	return nil
}

// forget deletes a server. HAProxy refuses while connections to it remain: those in
// use are ended here, idle ones are purged within a second or two.
func (b *balancer) forget(ctx context.Context, server string) error {
	if _, err := b.runtime.expect(ctx, "", fmt.Sprintf("set server %[1]s state maint;shutdown sessions server %[1]s", server)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var refused error
	err := clock.Poll(ctx, 20*time.Millisecond, func() (bool, error) {
		_, err := b.runtime.expect(ctx, "Server deleted", "del server "+server)
		if errors.Is(err, errRuntime) && strings.Contains(err.Error(), "connections") {
			refused = err
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return errors.Join(err, refused)
	}
	return nil
}

// targets is the replicas of version, in the order they were added.
func (b *balancer) targets(version string) []target {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []target
	for _, t := range b.registered {
		if t.Version == version {
			all = append(all, t.target)
		}
	}
	return all
}

// healthy is how many replicas of version pass their health check.
func (b *balancer) healthy(version string) int {
	n := 0
	for _, t := range b.targets(version) {
		if t.State == targetHealthy {
			n++
		}
	}
	return n
}

func (b *balancer) target(version, name string) (*balancerTarget, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.registered {
		if t.Version == version && t.Name == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("the balancer has no target %s of version %q", name, version)
}

const (
	healthPoll     = 50 * time.Millisecond // how often the balancer is asked for its targets' health
	logPoll        = 20                    // ask of so many for its log, too
	healthPatience = 5 * time.Second       // without an answer for so long, the balancer is lost
)

// watch follows the targets' health, and whether the log is complete, until ctx ends.
func (b *balancer) watch(ctx context.Context) {
	heard, polls := clock.Wall(), 0
	clock.Every(ctx, healthPoll, func() {
		err := b.observe(ctx)
		if polls++; err == nil && polls%logPoll == 0 {
			err = b.auditLog(ctx)
		}
		switch {
		case err == nil:
			heard = clock.Wall()
		case ctx.Err() == nil && clock.Since(heard) > healthPatience:
			b.lose(err)
		}
	})
}

// observe asks for the targets' health once.
func (b *balancer) observe(ctx context.Context) error {
	b.mu.Lock()
	known := slices.Clone(b.registered)
	b.mu.Unlock()
	servers, err := b.runtime.servers(ctx)
	if err != nil {
		return err
	}
	now := b.options.Clock.Now()
	if err := b.admit(ctx, known, servers, now); err != nil {
		return err
	}
	for _, t := range known {
		stat, ok := servers[t.server()]
		if !ok {
			continue // removed meanwhile
		}
		b.mu.Lock()
		from := t.State
		t.State = t.next(stat, now)
		t.Detail, t.Sessions = stat.Detail, stat.Sessions
		change := targetChange{target: t.target, From: from}
		b.mu.Unlock()
		if change.State != from && b.options.OnHealth != nil {
			b.options.OnHealth(change)
		}
	}
	return nil
}

// auditLog loses the balancer when requests are missing in its log.
func (b *balancer) auditLog(ctx context.Context) error {
	n, err := b.runtime.droppedLogs(ctx)
	if n > 0 {
		b.lose(fmt.Errorf("%d requests are missing in its log: they came faster than the engine takes log lines", n))
	}
	return err
}

// admit opens the new targets that have their first verdict to traffic, so that
// they have it before anybody is told that they can. One that passes is healthy to
// HAProxy too from then on, which by itself would want Health.Healthy passes of a
// server that has failed a check while it started: it would send it nothing, and
// look as if it had just become unhealthy.
func (b *balancer) admit(ctx context.Context, known []*balancerTarget, servers map[string]serverStat, now time.Duration) error {
	var commands []string
	b.mu.Lock()
	for _, t := range known {
		stat, ok := servers[t.server()]
		if !ok || t.State != targetInitial {
			continue
		}
		switch t.next(stat, now) {
		case targetHealthy:
			commands = append(commands, "set server "+t.server()+" health up", "set server "+t.server()+" state ready")
		case targetUnhealthy:
			commands = append(commands, "set server "+t.server()+" state ready")
		case targetInitial, targetDraining:
		}
	}
	b.mu.Unlock()
	if len(commands) == 0 {
		return nil
	}
	_, err := b.runtime.expect(ctx, "", strings.Join(commands, ";"))
	return err
}

func (s serverStat) down() bool   { return strings.HasPrefix(s.Status, "DOWN") }
func (s serverStat) up() bool     { return strings.HasPrefix(s.Status, "UP") }
func (s serverStat) passes() bool { return strings.HasPrefix(s.Check, "L7OK") }

// next is the target's state at release time now, as HAProxy sees the server.
func (t *balancerTarget) next(stat serverStat, now time.Duration) targetState {
	switch t.State {
	case targetDraining:
		return targetDraining
	case targetInitial:
		switch {
		case stat.passes():
			return targetHealthy
		case stat.down() && now >= t.failing:
			return targetUnhealthy
		}
		return targetInitial
	case targetHealthy, targetUnhealthy:
	}
	if stat.down() || (t.State == targetUnhealthy && !stat.up()) {
		return targetUnhealthy
	}
	return targetHealthy
}
