//go:build containers

package containers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"golang.org/x/sync/errgroup"

	"rehearsal/internal/clock"
	"rehearsal/internal/containers"
)

// BenchmarkStageOverRawDocker measures what the container stage costs beyond the
// engine's own work: once as the stage does it (New, Deploy of v1 with two replicas,
// Close), and once by the bare engine API: the same network, the same containers with
// the same settings and files, in the same order and side by side where the stage
// does so, with the same waits. The two take turns, so that both meet the same
// machine.
//
// A wait is the time from the last start of a container to the end of the step: in
// both, it is PostgreSQL that gets ready, and then the shop. overhead-% is of the
// medians without the waits, total-overhead-% with them.
func BenchmarkStageOverRawDocker(b *testing.B) {
	s, err := theShop()
	if errors.Is(err, containers.ErrNoEngine) {
		b.Skip(err)
	}
	require.NoError(b, err)
	o := containers.Options{Setup: s.setup, Compose: s.compose, Images: s.images, Pace: 60, Seed: 1}
	starts := watchStarts(b, s.engine)
	plan := drawn(b, s, o)
	var stages, raws []timing
	for b.Loop() {
		stages = append(stages, timeStage(b, s, o, starts))
		raws = append(raws, timeRaw(b, s.engine, plan, starts))
	}

	b.Logf("%-8s %8s %8s %8s %8s %8s %8s", "ms", "raise", "(wait)", "deploy", "(wait)", "remove", "total")
	for i := range stages {
		b.Logf("stage    %s", stages[i])
		b.Logf("raw      %s", raws[i])
	}
	stageWork, rawWork := median(stages, timing.work), median(raws, timing.work)
	stageTotal, rawTotal := median(stages, timing.total), median(raws, timing.total)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(stageTotal), "stage-ms")
	b.ReportMetric(milliseconds(stageTotal-stageWork), "stage-wait-ms")
	b.ReportMetric(milliseconds(rawTotal), "raw-ms")
	b.ReportMetric(milliseconds(rawTotal-rawWork), "raw-wait-ms")
	b.ReportMetric(100*(float64(stageWork)/float64(rawWork)-1), "overhead-%")
	b.ReportMetric(100*(float64(stageTotal)/float64(rawTotal)-1), "total-overhead-%")
}

// timing is the steps of one life.
type timing struct{ raise, raiseWait, deploy, deployWait, remove time.Duration }

func (t timing) total() time.Duration { return t.raise + t.deploy + t.remove }
func (t timing) work() time.Duration  { return t.total() - t.raiseWait - t.deployWait }

func (t timing) String() string {
	return fmt.Sprintf("%8.0f %8.0f %8.0f %8.0f %8.0f %8.0f", milliseconds(t.raise), milliseconds(t.raiseWait),
		milliseconds(t.deploy), milliseconds(t.deployWait), milliseconds(t.remove), milliseconds(t.total()))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(all []timing, of func(timing) time.Duration) time.Duration {
	values := make([]time.Duration, 0, len(all))
	for _, t := range all {
		values = append(values, of(t))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// startWatch is when the engine last started a container of this process.
type startWatch struct {
	mu   sync.Mutex
	last time.Time
}

func watchStarts(b *testing.B, e *containers.Engine) *startWatch {
	ctx, stop := context.WithCancel(context.Background())
	stream := e.Client.Events(ctx, client.EventsListOptions{Filters: make(client.Filters).
		Add("type", string(events.ContainerEventType)).Add("event", "start").Add("label", "org.testcontainers.sessionId="+testcontainers.SessionID())})
	w := &startWatch{}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stream.Messages:
				w.mu.Lock()
				w.last = time.Now()
				w.mu.Unlock()
			case <-stream.Err: //nolint:errcheck // that it ends is what counts
				return
			}
		}
	})
	b.Cleanup(func() { stop(); done.Wait() })
	return w
}

// wait is the time since the last start.
func (w *startWatch) wait() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.last)
}

func timeStage(b *testing.B, s *shop, o containers.Options, starts *startWatch) (t timing) {
	began := time.Now()
	st, err := containers.New(b.Context(), s.engine, o)
	require.NoError(b, err)
	t.raise, t.raiseWait = time.Since(began), starts.wait()
	began = time.Now()
	require.NoError(b, st.Deploy(b.Context(), s.version("v1")))
	t.deploy, t.deployWait = time.Since(began), starts.wait()
	began = time.Now()
	require.NoError(b, st.Close(b.Context()))
	t.remove = time.Since(began)
	return t
}

// A blueprint is a stage's network and containers as the engine describes them.
type blueprint struct {
	network  network.Inspect
	parts    map[string]part // "database", "payments", "toxiproxy", "balancer", "shop-1", "shop-2"
	proxies  []byte          // of the Toxiproxy
	database string          // its URL, with its address
}

type part struct {
	name    string
	config  *container.Config
	host    *container.HostConfig
	end     *network.EndpointSettings
	address string
	folder  string // above the files that were copied into it
	files   []byte // tar
}

// drawn draws the blueprint of a stage that runs for it.
func drawn(b *testing.B, s *shop, o containers.Options) *blueprint {
	ctx, docker := b.Context(), s.engine.Client
	st, err := containers.New(ctx, s.engine, o)
	require.NoError(b, err)
	defer func() { require.NoError(b, st.Close(context.WithoutCancel(ctx))) }()
	require.NoError(b, st.Deploy(ctx, s.version("v1")))
	mine := make(client.Filters).Add("label", "rehearsal.stage="+idOf(st))
	networks, err := docker.NetworkList(ctx, client.NetworkListOptions{Filters: mine})
	require.NoError(b, err)
	require.Len(b, networks.Items, 1, "the engine is a local one")
	plan := &blueprint{parts: map[string]part{}}
	plan.network.Network = networks.Items[0].Network
	list, err := docker.ContainerList(ctx, client.ContainerListOptions{Filters: mine})
	require.NoError(b, err)
	for _, c := range list.Items {
		inspected, err := docker.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
		require.NoError(b, err)
		info := inspected.Container
		require.Len(b, info.NetworkSettings.Networks, 1)
		p := part{name: strings.TrimPrefix(info.Name, "/"), config: info.Config, host: info.HostConfig}
		for _, end := range info.NetworkSettings.Networks {
			p.address = end.IPAddress.String()
			p.end = &network.EndpointSettings{Aliases: end.Aliases, IPAMConfig: &network.EndpointIPAMConfig{IPv4Address: end.IPAddress}}
		}
		name := strings.TrimPrefix(p.name, plan.network.Name+"-")
		for part, folder := range map[string]string{"database": "/docker-entrypoint-initdb.d", "balancer": "/usr/local/etc/haproxy"} {
			if name != part {
				continue
			}
			copied, err := docker.CopyFromContainer(ctx, c.ID, client.CopyFromContainerOptions{SourcePath: folder})
			require.NoError(b, err)
			p.folder = folder[:strings.LastIndex(folder, "/")+1]
			p.files, err = io.ReadAll(copied.Content)
			require.NoError(b, err)
		}
		plan.parts[name] = p
	}
	require.ElementsMatch(b, []string{"database", "payments", "toxiproxy-1", "balancer", "shop-v1-1", "shop-v1-2"}, slices.Collect(maps.Keys(plan.parts)))
	proxies := map[string]map[string]any{}
	answer, err := http.Get("http://" + plan.door("toxiproxy-1", "8474") + "/proxies")
	require.NoError(b, err)
	require.NoError(b, json.NewDecoder(answer.Body).Decode(&proxies))
	require.NoError(b, answer.Body.Close())
	plan.proxies, err = json.Marshal(slices.Collect(maps.Values(proxies)))
	require.NoError(b, err)
	plan.database = strings.Replace(*s.compose.Services["shop"].Environment["DATABASE_URL"], "database:5432", plan.door("database", "5432"), 1)
	return plan
}

func (p *blueprint) door(part, port string) string {
	return net.JoinHostPort(p.parts[part].address, port)
}

// timeRaw is the life of the same containers by the engine's API alone.
func timeRaw(b *testing.B, e *containers.Engine, plan *blueprint, starts *startWatch) (t timing) {
	ctx, docker := b.Context(), e.Client
	var mu sync.Mutex
	var ids []string
	run := func(name string) error {
		p := plan.parts[name]
		made, err := docker.ContainerCreate(ctx, client.ContainerCreateOptions{
			Name: p.name, Config: p.config, HostConfig: p.host,
			NetworkingConfig: &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{plan.network.Name: p.end}},
		})
		if err != nil {
			return err
		}
		mu.Lock()
		ids = append(ids, made.ID)
		mu.Unlock()
		if p.files != nil {
			if _, err := docker.CopyToContainer(ctx, made.ID, client.CopyToContainerOptions{DestinationPath: p.folder, Content: bytes.NewReader(p.files)}); err != nil {
				return err
			}
		}
		_, err = docker.ContainerStart(ctx, made.ID, client.ContainerStartOptions{})
		return err
	}
	began := time.Now()
	made, err := docker.NetworkCreate(ctx, plan.network.Name, client.NetworkCreateOptions{
		Driver: plan.network.Driver, Internal: plan.network.Internal, Labels: plan.network.Labels, IPAM: &plan.network.IPAM,
	})
	require.NoError(b, err)
	remove := sync.OnceValue(func() error {
		ctx := context.WithoutCancel(ctx)
		var all errgroup.Group
		for _, id := range ids {
			all.Go(func() error {
				_, err := docker.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
				return err
			})
		}
		err := all.Wait()
		_, last := docker.NetworkRemove(ctx, made.ID, client.NetworkRemoveOptions{})
		return errors.Join(err, last)
	})
	defer func() { _ = remove() }() // also where something fails below

	var raise errgroup.Group
	for name, ready := range map[string]func() error{
		"database": func() error { return answers(ctx, plan.database) },
		"payments": func() error { return ok(ctx, "http://"+plan.door("payments", "8080")+"/health") },
		"balancer": func() error { return listens(plan.door("balancer", "8080")) },
		"toxiproxy-1": func() error {
			if err := listens(plan.door("toxiproxy-1", "8474")); err != nil {
				return err
			}
			answer, err := http.Post("http://"+plan.door("toxiproxy-1", "8474")+"/populate", "application/json", bytes.NewReader(plan.proxies))
			if err != nil {
				return err
			}
			return answer.Body.Close()
		},
	} {
		raise.Go(func() error {
			if err := run(name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return soon(ctx, ready)
		})
	}
	require.NoError(b, raise.Wait())
	t.raise, t.raiseWait = time.Since(began), starts.wait()

	began = time.Now()
	var deploy errgroup.Group
	for _, name := range []string{"shop-v1-1", "shop-v1-2"} {
		deploy.Go(func() error {
			if err := run(name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return soon(ctx, func() error { return ok(ctx, "http://"+plan.door(name, "8080")+"/ready") })
		})
	}
	require.NoError(b, deploy.Wait())
	t.deploy, t.deployWait = time.Since(began), starts.wait()

	began = time.Now()
	require.NoError(b, remove())
	t.remove = time.Since(began)
	return t
}

// soon asks until it is answered well, for a minute at most.
func soon(ctx context.Context, ask func() error) (last error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := clock.Poll(ctx, 5*time.Millisecond, func() (bool, error) {
		last = ask()
		return last == nil, nil
	})
	return errors.Join(err, last)
}

// answers asks a PostgreSQL a question.
func answers(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "select 1")
	return err
}

func listens(door string) error {
	conn, err := net.DialTimeout("tcp", door, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// ok asks for a 200, on a connection of its own as a health check does.
func ok(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return nil
}
