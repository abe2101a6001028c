package containers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	awslogs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

type monitorOptions struct {
	Setup   *stage.Setup // its Monitoring and Alarms
	Clock   *clock.Paced
	History *stage.History
	// Pace is how many times faster than the wall release time runs ahead.
	Pace float64
	// External is the CloudWatch to use instead of the embedded one; its zero is none.
	External cloudEndpoint
	// Targets is the replicas of a version as the balancer sees them. It is asked only
	// for versions that are registered.
	Targets func(version string) []target
	// Usage is the present use of CPU and memory by the service, in percent of what
	// its replicas may use; ok is false when nobody knows. It must not block. Nil: nobody
	// ever knows.
	Usage func() (cpu, memory float64, ok bool)
}

// monitorSample is how often host counts and usage are looked at, in wall time.
const monitorSample = 100 * time.Millisecond

// A monitor is the stage's monitoring: it publishes what an Application Load
// Balancer and ECS publish, under production's names, and the logs of the replicas,
// to a CloudWatch that judges the alarms (its judge): the embedded one on the stage's
// clock, or one that runs outside, on its own. What it observes gets the release
// time at which it heard of it, so that a period is complete the moment it is over.
//
// It talks to CloudWatch over the wire, as to the real one, with no more than a few
// calls for each evaluation.
type monitor struct {
	options monitorOptions
	judge   judge
	metrics *awsmetrics.Client
	logs    *awslogs.Client

	cancel context.CancelFunc
	work   sync.WaitGroup

	mu     sync.Mutex
	turn   int               // index of the target group taken last
	groups map[string]string // version -> target group, also of those that are gone
	runs   map[string]bool   // versions registered now
	data   monitorData
	lines  monitorLines
	lost   error
	closed bool
}

// A judge is the CloudWatch that evaluates the alarms.
type judge interface {
	clients() (*awsmetrics.Client, *awslogs.Client)
	// open comes before anything is put into it.
	open(ctx context.Context) error
	// calendar is its time at a release time.
	calendar(at time.Duration) time.Time
	// run has what was observed published in time, and records the alarms that change
	// their state, until ctx ends or that fails.
	run(ctx context.Context, publish func(context.Context) error) error
	// close has what is left published, where somebody may still look at it.
	close(ctx context.Context, publish func(context.Context) error) error
}

var (
	_ judge = (*embeddedJudge)(nil)
	_ judge = (*externalJudge)(nil)
)

// newMonitor is monitoring that has not begun: it counts what it is told of.
func newMonitor(o monitorOptions) *monitor {
	m := &monitor{
		options: o, turn: -1, groups: map[string]string{}, runs: map[string]bool{},
		data: monitorData{names: o.Setup.Monitoring, resolution: monitorResolution(o.Setup.Alarms), storage: monitorStorage(o.Setup.Alarms)},
	}
	if o.External.there() {
		m.options.Setup = onlyWatched(o.Setup)
		m.data.resolution, m.data.watched = externalEvery, watchedSeries(o.Setup)
	}
	return m
}

// start raises a CloudWatch with production's alarms and metric filters. epoch is the
// calendar time of release time zero, a whole minute; an external CloudWatch has a
// calendar of its own: then it is not used.
func (m *monitor) start(epoch time.Time) (err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.options
	if o.External.there() {
		m.judge, err = newExternalJudge(o)
	} else {
		m.judge, err = newEmbeddedJudge(o, epoch)
	}
	if err != nil {
		return err
	}
	m.metrics, m.logs = m.judge.clients()
	ctx, cancel := context.WithCancel(context.Background())
	m.lines, err = newMonitorLines(o.Setup.Monitoring)
	if err == nil {
		err = m.judge.open(ctx)
	}
	if err == nil {
		err = errors.Join(m.putAlarms(ctx), m.putFilters(ctx))
	}
	if err != nil {
		cancel()
		return errors.Join(err, m.judge.close(ctx, func(context.Context) error { return nil }))
	}
	m.cancel = cancel
	m.work.Go(func() { clock.Every(ctx, monitorSample, m.sample) })
	m.work.Go(func() {
		if err := m.judge.run(ctx, m.publish); err != nil && ctx.Err() == nil {
			m.lose(err)
		}
	})
	return nil
}

func (m *monitor) calendar(at time.Duration) time.Time { return m.judge.calendar(at) }

// register gives a version that is deployed its target group: the next in turn that
// no running version has. A version that is registered keeps its group.
func (m *monitor) register(version string) (targetGroup string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.options.Setup.Monitoring.TargetGroups
	if m.runs[version] || len(all) == 0 {
		return m.groups[version]
	}
	next := (m.turn + 1) % len(all)
	for i := range all {
		if at := (m.turn + 1 + i) % len(all); !m.taken(all[at]) {
			next = at
			break
		}
	}
	m.turn, m.groups[version], m.runs[version] = next, all[next], true
	return all[next]
}

func (m *monitor) taken(group string) bool {
	for v := range m.runs {
		if m.groups[v] == group {
			return true
		}
	}
	return false
}

// deregister frees the target group of a version that runs no more.
func (m *monitor) deregister(version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.runs, version)
}

// access counts a request that the balancer is done with.
func (m *monitor) access(a access) {
	now := m.options.Clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data.access(now, a, m.groups[a.Version])
}

// line takes a line of a replica's log. It reports whether a metric filter counts
// it; such a line stands for as many lines as a request sent now for requests.
func (m *monitor) line(version, replica, text string) (counted bool) {
	now, weight := m.options.Clock.Now(), m.options.Clock.Rate()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lines.add(replica, text, m.calendar(now), weight)
}

// sample looks at what is a level rather than a count.
func (m *monitor) sample() {
	now := m.options.Clock.Now()
	m.mu.Lock()
	groups := map[string][]string{}
	for v := range m.runs {
		groups[m.groups[v]] = append(groups[m.groups[v]], v)
	}
	m.mu.Unlock()
	hosts := map[string][2]int{}
	for group, versions := range groups {
		var healthy, unhealthy int
		for _, v := range versions {
			for _, t := range m.options.Targets(v) {
				switch t.State {
				case targetHealthy:
					healthy++
				case targetUnhealthy:
					unhealthy++
				case targetInitial, targetDraining:
				}
			}
		}
		hosts[group] = [2]int{healthy, unhealthy}
	}
	var cpu, memory float64
	used := false
	if m.options.Usage != nil {
		cpu, memory, used = m.options.Usage()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for group, n := range hosts {
		m.data.hosts(now, group, n[0], n[1])
	}
	if used {
		m.data.usage(now, cpu, memory)
	}
}

// once has a call that must not be carried out twice sent again only where the first
// was refused.
func once(o *awsmetrics.Options) {
	if o.Retryer.MaxAttempts() > 1 {
		o.Retryer = onlyThrottled()
	}
}

// publish sends what was observed since it was last called.
func (m *monitor) publish(ctx context.Context) error {
	m.mu.Lock()
	data, lines := m.data.take(m.calendar(0)), m.lines.take()
	m.mu.Unlock()
	for _, namespace := range slices.Sorted(maps.Keys(data)) {
		for batch := range slices.Chunk(data[namespace], metricsPerCall) {
			_, err := m.metrics.PutMetricData(ctx, &awsmetrics.PutMetricDataInput{Namespace: aws.String(m.options.External.Names.namespace(namespace)), MetricData: batch}, once)
			if err != nil {
				return fmt.Errorf("publishing metrics of %s: %w", namespace, err)
			}
		}
	}
	return m.putLines(ctx, lines)
}

func (m *monitor) lose(why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost == nil && !m.closed {
		m.lost = fmt.Errorf("%w: monitoring: %w", stage.ErrLost, why)
	}
}

// err wraps stage.ErrLost when something observed could not be published: from
// then on no alarm is evaluated.
func (m *monitor) err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

// close ends the monitoring, without another evaluation.
func (m *monitor) close(ctx context.Context) error {
	m.mu.Lock()
	done, lost, started := m.closed, m.lost, m.cancel != nil
	m.closed = true
	m.mu.Unlock()
	if done || !started {
		return nil
	}
	m.cancel()
	m.work.Wait()
	publish := m.publish
	if lost != nil {
		publish = func(context.Context) error { return nil }
	}
	return m.judge.close(ctx, publish)
}
