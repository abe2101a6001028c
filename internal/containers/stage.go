// Package containers is the container stage: a staging copy of the service made of
// real containers, under traffic, watched by CloudWatch alarms.
//
// A Stage raises every service of the compose file but the released one (compose*.go)
// on an internal network of its own (network.go), with images that an Engine has,
// pulls or builds (engine*.go, image*.go). Versions of the released service run as
// replicas (replica*.go) behind the balancer (balancer*.go), which the users' traffic
// goes to (traffic.go) and whose log, with the containers' own logs (logs.go), feeds
// the alarms (monitor*.go). Each version calls its dependencies through a Toxiproxy of
// its own (toxiproxy.go), so that a failure (failure*.go, one file for each kind) can
// be aimed at it. Release time is the wall's, and runs ahead only in Wait.
package containers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"golang.org/x/sync/errgroup"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// Options says which stage to raise.
type Options struct {
	Setup   stage.Setup
	Compose *types.Project // of LoadCompose
	// Images is where images come from; nil is a NewImages with Recipes. Stages of one
	// process should share theirs.
	Images  *Images
	Recipes []ImageRecipe
	Pace    float64 // how many times faster than the wall release time runs while only waiting happens; below 1 counts as 1
	Seed    uint64  // of the traffic, for New
	// CloudWatch judges the alarms: CloudWatchEmbedded, or "", or CloudWatchLocalStack or
	// CloudWatchAWS, which need Pace 1.
	CloudWatch string
	AWS        *AWSAccount // for CloudWatchAWS; else unused
	// Keep leaves everything running when the stage closes, and says by Progress how
	// to look at it and how to remove it.
	Keep     bool
	Sink     io.Writer    // gets the history as NDJSON, as it happens, for New; may be nil
	Progress func(string) // gets lines for people; may be nil
}

// Stage is a stage of real containers.
type Stage struct {
	o        Options
	setup    *stage.Setup
	project  *types.Project
	engine   *Engine
	docker   client.APIClient
	provider *testcontainers.DockerProvider
	images   *Images
	id       string
	labels   map[string]string // on everything the stage makes

	clock   *clock.Paced
	history *stage.History
	inside  *stageNetwork // internal: no way out
	outside *stageNetwork // for published ports, where the engine is elsewhere; else nil
	volumes []string
	stubs   map[string]*stub // by dependency; it does not change

	balancer *balancer
	monitor  *monitor
	traffic  *traffic

	life       context.Context // ends when the stage is lost or closes
	end        context.CancelCauseFunc
	background sync.WaitGroup

	mu        sync.Mutex
	border    *border           // nil where calls to the outside are refused without being named
	exits     map[string]func() // what to do when the container with that ID exits
	services  map[string]*service
	versions  map[string]*version
	routes    map[string]*route // by version
	spare     *route            // for the next version that needs one
	allRoutes []*route
	// guards are those of all routes, also of one that did not come to be.
	guards     []*guard
	relays     map[string]*relay // by dependency
	failures   []failure
	smokeKeys  []string // of the writes that smoke requests made
	secrets    *redactor
	logBudgets map[string]*logBudget
	closed     bool

	foreign sync.Map // images of another platform than the engine's, and what to say of them

	wake atomic.Pointer[context.CancelFunc] // of who waits
}

var (
	_ stage.Stage   = (*Stage)(nil)
	_ stage.Prober  = (*Stage)(nil)
	_ stage.Auditor = (*Stage)(nil)
)

// errClosed is why a stage's life ends that was not lost.
var errClosed = errors.New("the stage is closed")

// New raises a stage and begins its release time.
func New(ctx context.Context, e *Engine, o Options) (*Stage, error) {
	s, err := Raise(ctx, e, o)
	if err != nil {
		return nil, err
	}
	if err := s.Begin(ctx, o.Seed, o.Sink); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// Raise raises a stage: its network, every service but the released one, balancer, and
// the way of a first version to its dependencies. It returns when the dependencies
// answer. Seed and sink of the options wait for Begin, which must come before all else but
// Close. What an error leaves behind is removed already.
func Raise(ctx context.Context, e *Engine, o Options) (_ *Stage, err error) {
	s := newStage(e, o)
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.provider, err = testcontainers.NewDockerProvider(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.abandon(ctx))
		}
	}()
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	if s.images == nil {
		if s.images, err = NewImages(e, s.o.Progress, o.Recipes...); err != nil {
			return nil, err
		}
	}
	if err := s.ensureCloudWatch(ctx); err != nil {
		return nil, err
	}
	if err := s.images.EnsureAll(ctx, s.imagesNeeded()...); err != nil {
		return nil, err
	}
	if err := s.raise(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Begin starts monitoring, release time and the history, which sink gets, if it is not
// nil, as NDJSON: as if the stage were raised at this moment, however long it has waited.
// seed is of the traffic.
func (s *Stage) Begin(ctx context.Context, seed uint64, sink io.Writer) (err error) {
	_, leave := s.enter(ctx)
	defer leave(&err)
	if err := s.broken(); err != nil {
		return err
	}
	s.o.Seed = seed
	if err := s.history.KeepIn(sink); err != nil {
		return err
	}
	at := time.Duration(0)
	if events := s.history.Events(); len(events) > 0 { // of calls to the outside
		at = events[len(events)-1].At
	}
	s.clock.Restart(at)
	if err := s.monitor.start(clock.Wall().Truncate(time.Minute)); err != nil { //nolint:contextcheck // it outlives this call
		return fmt.Errorf("start monitoring: %w", err)
	}
	s.history.Record(stage.Event{Kind: stage.Began, Detail: "stage " + s.id})
	return nil
}

func newStage(e *Engine, o Options) *Stage {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	s := &Stage{
		o:          o,
		setup:      &o.Setup,
		engine:     e,
		docker:     e.Client,
		images:     o.Images,
		id:         strings.ToLower(rand.Text())[:8],
		clock:      clock.NewPaced(o.Pace),
		exits:      map[string]func(){},
		services:   map[string]*service{},
		versions:   map[string]*version{},
		routes:     map[string]*route{},
		relays:     map[string]*relay{},
		logBudgets: map[string]*logBudget{},
	}
	s.project, s.stubs = withStubs(o.Compose, s.setup)
	s.labels = map[string]string{stageLabel: s.id}
	s.history = stage.NewHistory(s.clock.Now, nil)
	s.history.Watch(s.recorded)
	s.secrets = newRedactor(o.Compose, s.setup)
	s.life, s.end = context.WithCancelCause(context.Background())
	return s
}

// allLabels is the labels of what testcontainers does not make for the stage, so
// that its reaper finds that too.
func (s *Stage) allLabels() map[string]string {
	all := maps.Clone(s.labels)
	testcontainers.AddGenericLabels(all)
	return all
}

// check refuses a setup and a compose file that do not go together.
func (s *Stage) check() error {
	var errs []error
	for name := range s.stubs {
		if _, ok := s.o.Compose.Services[name]; ok {
			errs = append(errs, fmt.Errorf("%s is a stub and a service of the compose file: give the stub a name of its own", name))
		}
	}
	released, ok := s.project.Services[s.setup.Service]
	if !ok {
		return fmt.Errorf("the compose file has no service %q: it has %s", s.setup.Service, strings.Join(s.project.ServiceNames(), ", "))
	}
	for _, d := range s.setup.Dependencies {
		if _, ok := s.project.Services[d.Name]; !ok {
			errs = append(errs, fmt.Errorf("the compose file has no service %q, which %s depends on: it has %s",
				d.Name, s.setup.Service, strings.Join(s.project.ServiceNames(), ", ")))
			continue
		}
		if err := s.pointsTo(d, environmentOf(released)); err != nil {
			errs = append(errs, fmt.Errorf("service %s: %w", s.setup.Service, err))
		}
	}
	if s.setup.Health.Port < 1 || s.setup.Health.Port > 65535 {
		errs = append(errs, fmt.Errorf("service %s: the health check's port is %d: name the port that it listens on in its container", s.setup.Service, s.setup.Health.Port))
	}
	if len(s.setup.Traffic.Requests) > 0 {
		errs = append(errs, tooThin(s.setup, s.o.Pace))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.checkCloudWatch()
}

// imagesNeeded is every image of the stage but those of the versions.
func (s *Stage) imagesNeeded() []string {
	refs := []string{balancerImage, toxiproxyImage, EngineReaperImage}
	for _, c := range s.composed() {
		refs = append(refs, c.Image)
	}
	return refs
}

// raise starts what a stage has before any version is deployed.
func (s *Stage) raise(ctx context.Context) (err error) {
	var first errgroup.Group
	first.Go(func() error { return s.startReaper(ctx) })
	first.Go(func() error { return s.createNetworks(ctx) })
	if err := first.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.planServices(); err != nil {
		return err
	}
	if err := s.planBorder(ctx); err != nil {
		return err
	}
	s.watchEngine()
	external, err := s.startCloudWatch(ctx)
	if err != nil {
		return err
	}
	s.monitor = newMonitor(monitorOptions{
		External: external,
		Setup:    s.setup, Clock: s.clock, History: s.history, Pace: s.o.Pace,
		Targets: s.registeredTargets,
		Usage:   s.usage,
	})
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return s.startBorder(ctx) })
	all.Go(func() error { return s.startServices(ctx) })
	all.Go(func() error { return s.startBalancer(ctx) })
	all.Go(func() (err error) {
		s.spare, err = s.startRoute(ctx, "1")
		return err
	})
	return all.Wait()
}

// startReaper starts testcontainers' reaper if it does not run. It would start with
// the first container anyway, but panic where that one's context ends meanwhile.
func (s *Stage) startReaper(ctx context.Context) error {
	if s.provider.Config().RyukDisabled {
		return nil
	}
	ctx, cancel := unbroken(ctx)
	defer cancel()
	//lint:ignore SA1019 there is no other way to start the reaper without a container
	_, err := testcontainers.NewReaper(ctx, testcontainers.SessionID(), s.provider, "") //nolint:staticcheck // as above
	if err != nil {
		return fmt.Errorf("start the reaper, which removes what a killed run leaves: %w", err)
	}
	return nil
}

// dismissReaper ends the reaper of this process, so that what is kept stays when the
// process has ended.
func (s *Stage) dismissReaper(ctx context.Context) error {
	its := make(client.Filters).Add("label", "org.testcontainers.ryuk=true").Add("label", "org.testcontainers.sessionId="+testcontainers.SessionID())
	list, err := s.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: its})
	if err != nil {
		return fmt.Errorf("look for the reaper: %w", err)
	}
	var errs []error
	for _, c := range list.Items {
		errs = append(errs, forceRemove(ctx, s.docker, c.ID))
	}
	return errors.Join(errs...)
}

// createNetworks makes the stage's networks and volumes.
func (s *Stage) createNetworks(ctx context.Context) (err error) {
	ctx, cancel := unbroken(ctx)
	defer cancel()
	name := "rehearsal-" + s.id
	if s.inside, err = createNetwork(ctx, s.docker, name, true, s.allLabels()); err != nil {
		return err
	}
	if !s.engine.Local {
		if s.outside, err = createNetwork(ctx, s.docker, name+"-outside", false, s.allLabels()); err != nil {
			return err
		}
	}
	return s.createVolumes(ctx)
}

func (s *Stage) startBalancer(ctx context.Context) error {
	networks := []string{s.inside.name}
	if s.outside != nil {
		networks = append(networks, s.outside.name)
	}
	ctx, cancel := unbroken(ctx)
	defer cancel()
	b, err := startBalancer(ctx, balancerOptions{
		Setup: s.setup, Clock: s.clock, Pace: s.o.Pace, Networks: networks, Name: s.inside.name + "-balancer", Labels: maps.Clone(s.labels),
		Direct: s.engine.Local, OnAccess: s.monitor.access, OnHealth: s.healthChanged,
	})
	s.balancer = b
	return err
}

// History is the record of what happened on the stage.
func (s *Stage) History() *stage.History { return s.history }

// Shift changes the shares of traffic. The first one lets the users in.
func (s *Stage) Shift(ctx context.Context, shares stage.Shares) (err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	if err := shares.Validate(); err != nil {
		return err
	}
	for _, name := range shares.Versions() {
		if s.version(name) == nil {
			return fmt.Errorf("version %s is not deployed: it cannot get %g %% of the traffic", name, shares[name])
		}
	}
	if err := s.balancer.shift(ctx, shares); err != nil {
		return err
	}
	s.history.Record(stage.Event{Kind: stage.Shifted, Shares: shares})
	if s.traffic == nil && len(s.setup.Traffic.Requests) > 0 {
		s.traffic, err = startTraffic(trafficOptions{ //nolint:contextcheck // it outlives this call
			Load: s.setup.Traffic, URL: s.balancer.usersURL(), Clock: s.clock, History: s.history, Seed: s.o.Seed,
		})
		if err != nil {
			return err
		}
	}
	for _, name := range shares.Versions() {
		for _, f := range s.failuresOf(name) {
			f.served(name)
		}
	}
	return nil
}

// waitStep is how often, in wall time, a wait asks its question at least.
const waitStep = 20 * time.Millisecond

// Wait lets release time run ahead until done holds, or for d. It asks after
// every event, and at least every 20 ms of wall time.
func (s *Stage) Wait(ctx context.Context, d time.Duration, done func(*stage.History) bool) (held bool, err error) {
	ctx, leave := s.enter(ctx)
	defer leave(&err)
	until := s.clock.Now() + d
	stop := s.clock.RunAhead()
	defer stop()
	for {
		nap, wake := context.WithCancel(ctx)
		s.wake.Store(&wake) // before asking, so that no event is missed
		err := s.broken()
		held = err == nil && done != nil && done(s.history)
		left := until - s.clock.Now()
		if err == nil && !held && left > 0 {
			_ = clock.Sleep(nap, min(waitStep, s.clock.Wall(left))) // an event ends it, too
			err = context.Cause(ctx)
		}
		wake()
		if err != nil || held || left <= 0 {
			return held, err
		}
	}
}

// recorded wakes who waits. The history calls it after every event.
func (s *Stage) recorded(stage.Event) {
	if wake := s.wake.Load(); wake != nil {
		(*wake)()
	}
}

// broken is why nothing can be concluded any more, or nil.
func (s *Stage) broken() error {
	if s.life.Err() != nil {
		return context.Cause(s.life)
	}
	var errs []error
	if s.balancer != nil {
		errs = append(errs, s.balancer.err())
	}
	if s.monitor != nil {
		errs = append(errs, s.monitor.err())
	}
	if s.traffic != nil {
		errs = append(errs, s.traffic.err())
	}
	return errors.Join(errs...)
}

// lose ends the stage's life: it broke by itself.
func (s *Stage) lose(format string, args ...any) {
	s.end(fmt.Errorf("%w: %s", stage.ErrLost, fmt.Sprintf(format, args...)))
}

// enter begins a method of the stage: its context ends with the caller's and with
// the stage's life. leave ends the method, and says of an error whether it is the
// stage that broke.
func (s *Stage) enter(caller context.Context) (ctx context.Context, leave func(*error)) {
	ctx, cancel := context.WithCancelCause(caller)
	stop := context.AfterFunc(s.life, func() { cancel(context.Cause(s.life)) })
	if s.life.Err() != nil {
		cancel(context.Cause(s.life)) // now, not soon
	}
	return ctx, func(err *error) {
		stop()
		cancel(nil)
		if *err == nil {
			return
		}
		switch broken := s.broken(); {
		case broken != nil:
			*err = broken
		case errors.Is(*err, stage.ErrLost):
		case caller.Err() != nil:
			if !errors.Is(*err, caller.Err()) {
				*err = fmt.Errorf("%w: %w", context.Cause(caller), *err)
			}
		case s.engineGone(caller):
			*err = fmt.Errorf("%w: the Docker engine does not answer any more: %w", stage.ErrLost, *err)
		}
		if errors.Is(*err, stage.ErrLost) {
			s.end(*err)
		}
	}
}

// engineGoneAfter is how long an engine may take to say that it is there.
const engineGoneAfter = 3 * time.Second

func (s *Stage) engineGone(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineGoneAfter)
	defer cancel()
	_, err := s.docker.Ping(ctx, client.PingOptions{})
	return err != nil
}

// lastAnswers is how long the users wait for their last answers when the stage closes.
const lastAnswers = 2 * time.Second

// closeTimeout bounds how long a stage takes to go, whatever the engine does.
const closeTimeout = 30 * time.Second

// Close ends the stage and removes all of it. It also does so when ctx has ended.
func (s *Stage) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if !first {
		return nil
	}
	lost := s.life.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()

	var errs []error
	if !lost && !s.o.Keep {
		s.healAll(ctx) // before the users go, so that they get their answers
	}
	if s.traffic != nil {
		last, cancel := context.WithTimeout(ctx, lastAnswers)
		errs = append(errs, s.traffic.stop(last))
		cancel()
	}
	if s.broken() == nil {
		last, cancel := context.WithTimeout(ctx, lastAnswers)
		errs = append(errs, s.askedLast(last))
		cancel()
	}
	s.end(errClosed)
	s.background.Wait() // nothing starts any more
	s.recordAsked()
	errs = append(errs, s.clear(ctx))
	if !s.o.Keep {
		for _, name := range slices.Sorted(maps.Keys(s.versions)) {
			s.history.Record(stage.Event{Kind: stage.Retired, Version: name})
		}
	}
	s.history.Record(stage.Event{Kind: stage.Ended})
	if s.o.Keep {
		s.o.Progress(s.keptHint())
	}
	errs = append(errs, s.provider.Close(), s.history.Err())
	return errors.Join(errs...)
}

// abandon removes what a New that failed had begun.
func (s *Stage) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	s.closed = true
	s.end(errClosed)
	s.background.Wait()
	err := s.clear(ctx)
	return errors.Join(err, s.provider.Close())
}

// clear removes the stage's containers, all at once, then its networks and volumes.
func (s *Stage) clear(ctx context.Context) error {
	var all errgroup.Group
	gone := s.engineGone(ctx)
	if !s.o.Keep && !gone {
		for _, ctr := range s.owned() {
			all.Go(func() error { return s.remove(ctx, ctr) })
		}
	}
	if s.balancer != nil && !s.o.Keep {
		all.Go(func() error { return s.balancer.close(ctx) })
	}
	err := all.Wait()
	if s.monitor != nil { // after the balancer, whose last requests it publishes
		err = errors.Join(err, s.monitor.close(ctx))
	}
	switch {
	case s.o.Keep:
		return errors.Join(err, s.dismissReaper(ctx))
	case gone:
		return fmt.Errorf("the Docker engine does not answer: what stage %s started there is left to the reaper, or to you: docker ps --all --filter label=%s=%s",
			s.id, stageLabel, s.id)
	}
	return errors.Join(err, s.sweep(ctx))
}

// sweep removes what carries the stage's label: what a call that was cancelled may
// have made all the same, and the networks and volumes.
func (s *Stage) sweep(ctx context.Context) error {
	mine := make(client.Filters).Add("label", stageLabel+"="+s.id)
	var containers, rest errgroup.Group
	list, err := s.docker.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine})
	if err != nil {
		return fmt.Errorf("look for containers that are left: %w", err)
	}
	for _, c := range list.Items {
		containers.Go(func() error { return forceRemove(ctx, s.docker, c.ID) })
	}
	if err := containers.Wait(); err != nil {
		return err
	}
	networks, err := s.docker.NetworkList(ctx, client.NetworkListOptions{Filters: mine})
	if err != nil {
		return fmt.Errorf("look for networks that are left: %w", err)
	}
	for _, n := range networks.Items {
		rest.Go(func() error {
			return s.removeNetwork(ctx, n.ID, n.Name)
		})
	}
	if len(s.volumes) > 0 {
		volumes, err := s.docker.VolumeList(ctx, client.VolumeListOptions{Filters: mine})
		if err != nil {
			return fmt.Errorf("look for volumes that are left: %w", err)
		}
		for _, v := range volumes.Items {
			rest.Go(func() error {
				_, err := s.docker.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true})
				return ignoreMissing(err)
			})
		}
	}
	return rest.Wait()
}

// keptHint says how to look at what is left running, and how to remove it.
func (s *Stage) keptHint() string {
	filter := "--filter label=" + stageLabel + "=" + s.id
	return fmt.Sprintf("stage %s is left running, as you asked.\n  look at it: docker ps --all %[2]s\n"+
		"  remove it:  docker rm --force --volumes $(docker ps --all --quiet %[2]s); docker network rm $(docker network ls --quiet %[2]s)", s.id, filter)
}
