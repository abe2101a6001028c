//go:build containers

package containers

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

func TestMariaDB(t *testing.T) {
	const password = "it's \"hard\" \\ to `quote`"
	const ref = "mariadb:10.11"
	realEngine(t, nil, ref)
	began := clock.Wall()
	c := runImage(t, ref,
		testcontainers.WithExposedPorts("3306/tcp"),
		testcontainers.WithTmpfs(map[string]string{"/var/lib/mysql": "rw"}),
		testcontainers.WithEnv(map[string]string{
			"MARIADB_ROOT_PASSWORD": password, "MYSQL_DATABASE": "or_ders", "MARIADB_USER": "shop", "MYSQL_PASSWORD": password,
		}),
		putFile("/docker-entrypoint-initdb.d/01_table.sql", "CREATE TABLE steps (at serial, name text);\nINSERT INTO steps (name) VALUES ('一');"),
		putFile("/docker-entrypoint-initdb.d/02_script.sh", `mariadb -uroot -p"$MARIADB_ROOT_PASSWORD" "$MYSQL_DATABASE" -e "INSERT INTO steps (name) VALUES ('two')"`),
		testcontainers.WithCmd("--max-connections=42"),
		testcontainers.WithWaitStrategy(wait.ForAll(
			wait.ForLog("port: 3306").WithPollInterval(5*time.Millisecond),
			wait.ForListeningPort("3306/tcp").SkipInternalCheck().WithPollInterval(5*time.Millisecond),
		).WithDeadline(30*time.Second)),
	)
	t.Logf("ready in %s", imageSeconds(clock.Since(began)))
	address, err := c.PortEndpoint(t.Context(), "3306/tcp", "")
	require.NoError(t, err)
	open := func(user, password, db string) *sql.DB {
		o := mysql.NewConfig()
		o.User, o.Passwd, o.DBName, o.Net, o.Addr = user, password, db, "tcp", address
		connector, err := mysql.NewConnector(o)
		require.NoError(t, err)
		db2 := sql.OpenDB(connector)
		t.Cleanup(func() { _ = db2.Close() })
		return db2
	}
	ask := func(db *sql.DB, query string) (text string) {
		require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&text), query)
		return text
	}
	shop := open("shop", password, "or_ders")
	assert.Equal(t, "一,two", ask(shop, "SELECT GROUP_CONCAT(name ORDER BY at) FROM steps"))
	assert.Equal(t, "42", ask(shop, "SELECT @@max_connections"))
	assert.Regexp(t, `^10\.11\.`, ask(open("root", password, "mysql"), "SELECT version()"))
	require.ErrorContains(t, open("shop", "wrong", "or_ders").PingContext(t.Context()), "Access denied")
	require.ErrorContains(t, open("nobody", "", "or_ders").PingContext(t.Context()), "Access denied")
	for _, check := range []string{"healthcheck.sh --connect --innodb_initialized", `mariadb-admin ping -h 127.0.0.1 -u shop -p"$MYSQL_PASSWORD"`} {
		code, out, err := c.Exec(t.Context(), []string{"sh", "-c", check})
		require.NoError(t, err)
		said, _ := io.ReadAll(out)
		assert.Zero(t, code, "%s: %s", check, said)
	}
}

func TestRedis(t *testing.T) {
	const ref = "redis:7"
	realEngine(t, nil, ref)
	for name, c := range map[string]struct {
		command  []string
		password string
	}{
		"as it is":             {nil, ""},
		"arguments":            {[]string{"--requirepass", "x", "--maxmemory", "32mb"}, "x"},
		"the program, too":     {[]string{"redis-server", "--requirepass", "x"}, "x"},
		"a configuration file": {[]string{"redis-server", "/etc/mine.conf"}, "y"},
	} {
		t.Run(name, func(t *testing.T) {
			ctr := runImage(t, ref,
				testcontainers.WithExposedPorts("6379/tcp"),
				testcontainers.WithCmd(c.command...),
				putFile("/etc/mine.conf", "requirepass y\n"),
				testcontainers.WithWaitStrategy(wait.ForLog("Ready to accept connections").WithPollInterval(5*time.Millisecond)),
			)
			door, err := ctr.PortEndpoint(t.Context(), "6379/tcp", "")
			require.NoError(t, err)
			s := &Stage{secrets: newRedactor(nil, &stage.Setup{})}
			d := stage.Dependency{Name: "cache", Kind: stage.Redis, Port: 6379, URLFrom: "URL"}
			with := func(password string) map[string]string {
				return map[string]string{"URL": "redis://:" + password + "@cache/1"}
			}
			require.NoError(t, s.askRedis(t.Context(), d, door, with(c.password)))
			if c.password != "" {
				require.ErrorContains(t, s.askRedis(t.Context(), d, door, with("wrong")), "WRONGPASS")
				require.ErrorContains(t, s.askRedis(t.Context(), d, door, map[string]string{"URL": "redis://cache"}), "NOAUTH")
			}
			code, _, err := ctr.Exec(t.Context(), []string{"sh", "-c", "redis-cli -a '" + c.password + "' --no-auth-warning ping | grep -q PONG"})
			require.NoError(t, err)
			assert.Zero(t, code, "health checks have a shell and redis-cli")
		})
	}
}

// raiseDependencies raises a stage of a compose file; its service is never deployed.
func raiseDependencies(t *testing.T, compose string, setup stage.Setup, refs ...string) (*Stage, error) {
	t.Helper()
	recipes := []ImageRecipe{GoRecipe{Dir: "../../fixtures/payments"}.For("payments:v1")}
	e, images := realEngine(t, recipes, append(refs, balancerImage, toxiproxyImage, borderImage, "redis:7")...)
	file := filepath.Join(t.TempDir(), "compose.yaml")
	require.NoError(t, os.WriteFile(file, []byte(compose), 0o600))
	p, err := LoadCompose(t.Context(), file)
	require.NoError(t, err)
	setup.Service = "app"
	setup.Health = stage.Health{Path: "/", Port: 8080}
	s, err := New(t.Context(), e, Options{Setup: setup, Compose: p, Images: images, Pace: 1, Progress: func(line string) { t.Log(line) }})
	if err == nil {
		t.Cleanup(func() { assert.NoError(t, s.Close(context.Background())) })
	}
	return s, err
}

func TestDatabasesCachesAndQueuesBehindToxiproxy(t *testing.T) {
	s, err := raiseDependencies(t, `
services:
  app:
    image: redis:7
    environment:
      DB_HOST: db
      DB_USER: shop
      DB_PASSWORD: hunter22hunter
      DB_NAME: orders
      DSN: shop:hunter22hunter@tcp(db:3306)/orders?parseTime=true
      CACHE_URL: redis://:cachecache22@cache:6379/0
  db:
    image: mariadb:10.11
    environment: {MARIADB_ROOT_PASSWORD: rootroot22, MARIADB_DATABASE: orders, MARIADB_USER: shop, MARIADB_PASSWORD: hunter22hunter}
    tmpfs: [/var/lib/mysql]
    healthcheck: {test: [CMD, healthcheck.sh, --connect]}
  cache:
    image: redis:7
    command: [--requirepass, cachecache22]
  queue:
    image: redis:7
`, stage.Setup{
		Versions: map[string]stage.Version{
			"v1": {Name: "v1", Image: "redis:7"},
			"v2": {Name: "v2", Image: "redis:7", Environment: map[string]string{"DB_PASSWORD": "wrongwrong22", "CACHE_URL": "redis://:wrongwrong22@cache:6379/0"}},
		},
		Dependencies: []stage.Dependency{
			{Name: "db", Kind: stage.MySQL, Port: 3306, PartsFrom: stage.AddressParts{Host: "DB_HOST", User: "DB_USER", Password: "DB_PASSWORD", Database: "DB_NAME"}},
			{Name: "cache", Kind: stage.Redis, Port: 6379, URLFrom: "CACHE_URL"},
			{Name: "queue", Kind: stage.TCP, Port: 6379, Say: "PING\r\n"}, // on the same port as another
		},
		Traffic: stage.Load{Stored: "SELECT id FROM writes", StoredIn: "db"},
	}, "mariadb:10.11")
	require.NoError(t, err)
	ctx := t.Context()
	probe := func(version, dependency string) error {
		return s.Probe(ctx, stage.Probe{Kind: stage.ProbeDependency, Version: version, Dependency: dependency})
	}
	for _, d := range []string{"db", "cache", "queue"} {
		require.NoError(t, probe("", d))
		require.NoError(t, probe("v1", d))
	}
	for d, want := range map[string]string{"db": "Access denied for user 'shop'", "cache": "WRONGPASS"} {
		err := probe("v2", d)
		require.ErrorIs(t, err, stage.ErrProbe)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "wrongwrong22")
	}
	for _, d := range []string{"db", "cache", "queue"} {
		t.Run(d, func(t *testing.T) {
			landed := func() (all []string) {
				for e := range s.History().All(stage.Landed) {
					all = append(all, e.Detail)
				}
				return all
			}
			last := func() string { all := landed(); return all[len(all)-1] }
			down := stage.Failure{Kind: stage.DependencyDown, Version: "v1", Dependency: d}
			require.NoError(t, s.Inject(ctx, down))
			assert.Contains(t, last(), "v1 cannot connect to "+d)
			require.ErrorIs(t, probe("v1", d), stage.ErrProbe)
			require.NoError(t, probe("", d), "straight, it is there")
			require.NoError(t, s.Heal(ctx, down))
			require.NoError(t, probe("v1", d))

			slow := stage.Failure{Kind: stage.DependencySlow, Version: "v1", Dependency: d, Delay: 200 * time.Millisecond}
			require.NoError(t, s.Inject(ctx, slow))
			assert.Contains(t, last(), "v1 got an answer of "+d+" after ")
			began := clock.Wall()
			require.NoError(t, probe("v1", d))
			assert.Greater(t, clock.Since(began), 180*time.Millisecond)
			require.NoError(t, s.Heal(ctx, slow))
			began = clock.Wall()
			require.NoError(t, probe("v1", d))
			assert.Less(t, clock.Since(began), 180*time.Millisecond)

			require.ErrorIs(t, s.Inject(ctx, stage.Failure{Kind: stage.DependencyErrors, Version: "v1", Dependency: d, Share: 50}), errors.ErrUnsupported)
		})
	}
	d, _ := s.setup.Dependency("db")
	for _, query := range []string{"CREATE TABLE writes (id varchar(20))", "INSERT INTO writes VALUES ('a'), ('b'), ('b'), (NULL)"} {
		_, err := s.queryDatabase(ctx, d, s.directPath(d), s.releasedEnvironment(nil), query)
		require.NoError(t, err)
	}
	s.mu.Lock()
	s.smokeKeys = []string{"a", "b", "c"}
	s.mu.Unlock()
	require.NoError(t, s.Audit(ctx))
	for e := range s.History().All(stage.Audited) {
		assert.Equal(t, stage.Writes{Acknowledged: 3, Lost: 1, Doubled: 1, Keys: []string{"b", "c"}}, *e.Writes)
	}

	full := stage.Failure{Kind: stage.ConnectionsExhausted, Dependency: "db"}
	require.NoError(t, s.Inject(ctx, full))
	for e := range s.History().All(stage.Landed) {
		if e.Failure.Kind == full.Kind {
			assert.Contains(t, e.Detail, "Too many connections")
			assert.NotContains(t, e.Detail, "hunter22hunter")
		}
	}
	for _, version := range []string{"v1", ""} {
		require.ErrorContains(t, probe(version, "db"), "Too many connections", "whoever comes is refused")
	}
	require.NoError(t, s.Audit(ctx), "by a connection that is held")
	require.NoError(t, s.Heal(ctx, full))
	require.NoError(t, probe("v1", "db"))
	require.ErrorIs(t, s.Inject(ctx, stage.Failure{Kind: stage.ConnectionsExhausted, Dependency: "cache"}), errors.ErrUnsupported)

	byDSN := d
	byDSN.URLFrom, byDSN.PartsFrom = "DSN", stage.AddressParts{}
	a, err := s.queryDatabase(ctx, byDSN, s.directPath(d), s.releasedEnvironment(nil), "SELECT id, count(*) AS n, now() > '2020-01-01' FROM writes GROUP BY id ORDER BY id")
	require.NoError(t, err)
	assert.Equal(t, [][]string{{"NULL", "1", "1"}, {"a", "1", "1"}, {"b", "2", "1"}}, a.Rows)
	assert.Equal(t, []string{"id", "n"}, a.Columns[:2])
	_, err = s.queryDatabase(ctx, d, s.directPath(d), s.releasedEnvironment(nil), "SELECT nothing FROM writes")
	require.ErrorContains(t, err, "Unknown column 'nothing'")
}

func TestAStubStandsInForAnAPIOutside(t *testing.T) {
	api := func(name string) stage.Dependency {
		return stage.Dependency{Name: name, Kind: stage.HTTP, Port: 80, URLFrom: "PAYMENTS_URL", Stub: &stage.Stub{
			Hosts: []string{"api." + name + ".example"},
			Answers: []stage.StubAnswer{
				{Method: "POST", Path: "/charges", JSON: map[string]any{"amount": 0.0}, Status: 402, Body: "no amount"},
				{Method: "POST", Path: "/charges", Status: 201, Headers: map[string]string{"Location": "/charges/ch_1"}, Body: `{"id":"ch_1"}`},
				{Method: "GET", Path: "/charges/*", Status: 200, Body: "the charge"},
			},
			Default: stage.StubAnswer{Status: 404, Body: "nothing here"},
		}}
	}
	payments, mail := api("payments"), api("mail")
	mail.URLFrom = ""
	s, err := raiseDependencies(t, "services:\n  app:\n    image: redis:7\n    environment: {PAYMENTS_URL: http://api.payments.example}\n", stage.Setup{
		Versions:     map[string]stage.Version{"v1": {Name: "v1", Image: "redis:7"}, "v2": {Name: "v2", Image: "redis:7"}},
		Dependencies: []stage.Dependency{mail, payments},
	}, stubImage)
	require.NoError(t, err)
	ctx := t.Context()
	for _, v := range []string{"v1", "v2"} {
		require.NoError(t, s.Probe(ctx, stage.Probe{Kind: stage.ProbeDependency, Version: v, Dependency: "payments"}))
	}
	// A container of the version calls the API by its own name.
	a, err := s.Ask(ctx, stage.Question{Version: "v1", Command: []string{"wget", "-qO-", "http://api.payments.example/charges/ch_1?expand=1"}})
	require.NoError(t, err)
	assert.Equal(t, "the charge", a.Output)
	a, err = s.Ask(ctx, stage.Question{Version: "v1", Command: []string{"wget", "-qO-", "http://api.mail.example/charges/ch_1"}})
	require.NoError(t, err)
	assert.Equal(t, "the charge", a.Output)

	charge := func(version, body string) (int, string) {
		r, err := s.routeOf(ctx, version)
		require.NoError(t, err)
		door, err := s.door(r, "payments")
		require.NoError(t, err)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+door+"/charges", strings.NewReader(body))
		require.NoError(t, err)
		status, said, err := send(request)
		require.NoError(t, err)
		return status, said
	}
	status, said := charge("v1", `{"amount": 7}`)
	assert.Equal(t, "201 "+`{"id":"ch_1"}`, fmt.Sprint(status, " ", said))
	status, _ = charge("v1", `{"amount": 0, "currency": "JPY"}`)
	assert.Equal(t, 402, status)

	half := stage.Failure{Kind: stage.DependencyErrors, Version: "v2", Dependency: "payments", Share: 50}
	require.NoError(t, s.Inject(ctx, half))
	wrong := 0
	for range 20 {
		if status, _ := charge("v2", ""); status == 500 {
			wrong++
		}
	}
	assert.Equal(t, 10, wrong)
	status, _ = charge("v1", "")
	assert.Equal(t, 201, status, "the other version is served well")
	require.NoError(t, s.Heal(ctx, half))
	status, _ = charge("v2", "")
	assert.Equal(t, 201, status)

	for _, f := range []stage.Failure{
		{Kind: stage.DependencyDown, Version: "v1", Dependency: "payments"},
		{Kind: stage.DependencySlow, Version: "v1", Dependency: "payments", Delay: 200 * time.Millisecond},
	} {
		require.NoError(t, s.Inject(ctx, f))
		require.NoError(t, s.Heal(ctx, f))
	}

	r, err := s.routeOf(ctx, "v2")
	require.NoError(t, err)
	for range 2 { // it is recorded once
		conn, err := net.Dial("tcp", r.doors["payments-443"])
		require.NoError(t, err)
		require.ErrorContains(t, tls.Client(conn, &tls.Config{ServerName: "api.payments.example"}).HandshakeContext(ctx), "remote error: tls")
		require.NoError(t, conn.Close())
	}
	require.NoError(t, s.Witness(ctx))
	got := map[string]int64{}
	for e := range s.History().All(stage.StubAsked) {
		got[e.Version+" "+e.Asked.Stub+" "+e.Asked.Method+" "+e.Asked.Path+fmt.Sprint(" ", e.Asked.Status)] += e.Asked.Times
	}
	assert.Equal(t, map[string]int64{
		"v1 payments GET /charges/ch_1 200": 1, "v1 mail GET /charges/ch_1 200": 1,
		"v1 payments POST /charges 201": 2, "v1 payments POST /charges 402": 1,
		"v2 payments POST /charges 201": 11, "v2 payments POST /charges 500": 10,
	}, got)
	var calls []string
	for e := range s.History().All(stage.CalledOut) {
		calls = append(calls, e.Version+": "+e.Call.String())
	}
	assert.Equal(t, []string{"v2: app called https://api.payments.example:443, where a stub stands in, which speaks plain HTTP: give app an http:// address of it in the staging copy"}, calls)
}

func TestAShareOfWhatAnAPIIsAskedFails(t *testing.T) {
	s, err := raiseDependencies(t, `
services:
  app: {image: "redis:7"}
  api: {image: "payments:v1"}
`, stage.Setup{
		Versions:     map[string]stage.Version{"v1": {Name: "v1", Image: "redis:7"}, "v2": {Name: "v2", Image: "redis:7"}},
		Dependencies: []stage.Dependency{{Name: "api", Kind: stage.HTTP, Port: 8080, Path: "/health"}},
	})
	require.NoError(t, err)
	ctx := t.Context()
	// Connections are kept and used again, as services do.
	client := &http.Client{Transport: &http.Transport{Proxy: nil}, Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	ask := func(version string) int {
		r, err := s.routeOf(ctx, version)
		require.NoError(t, err)
		a, err := client.Get("http://" + r.doors["api-8080"] + "/health")
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, a.Body)
		require.NoError(t, errors.Join(err, a.Body.Close()))
		return a.StatusCode
	}
	count := func(version string) (wrong int) {
		for range 50 {
			if ask(version) == 500 {
				wrong++
			}
		}
		return wrong
	}
	require.Zero(t, count("v1")+count("v2"))
	client.CloseIdleConnections()
	some := stage.Failure{Kind: stage.DependencyErrors, Version: "v2", Dependency: "api", Share: 20}
	more := stage.Failure{Kind: stage.DependencyErrors, Dependency: "api", Share: 40}
	require.NoError(t, s.Inject(ctx, some))
	assert.Equal(t, 10, count("v2"))
	assert.Zero(t, count("v1"))
	client.CloseIdleConnections()
	require.NoError(t, s.Inject(ctx, more))
	assert.Equal(t, 20, count("v1"))
	assert.Equal(t, 20, count("v2"), "the largest share counts")
	client.CloseIdleConnections()
	require.NoError(t, s.Heal(ctx, more))
	assert.Equal(t, 10, count("v2"))
	client.CloseIdleConnections()
	require.NoError(t, s.Heal(ctx, some))
	assert.Zero(t, count("v1")+count("v2"))
}

func TestADependencyThatNeverBecomesHealthy(t *testing.T) {
	for name, c := range map[string]struct {
		compose string
		want    []string
	}{
		"its health check fails": {`
    command: [--port, "6379"]
    healthcheck: {test: [CMD, sh, -c, "echo not yet; exit 1"], interval: 1s, timeout: 1s, retries: 1}
`, []string{"service cache: not healthy after 15s: health check", "exit status 1: not yet", "Ready to accept connections"}},
		"it listens elsewhere": {`
    command: [--port, "6380"]
    healthcheck: {test: [CMD, "true"], interval: 1s, timeout: 1s, retries: 1}
`, []string{"service cache: not healthy after 15s: ", "connection refused", "Ready to accept connections"}},
		"it exits": {`
    command: [--no-such-option]
`, []string{"service cache exited with 1", "FATAL CONFIG FILE ERROR"}},
	} {
		t.Run(name, func(t *testing.T) {
			began := clock.Wall()
			_, err := raiseDependencies(t, "services:\n  app:\n    image: redis:7\n    environment: {CACHE_URL: redis://cache}\n  cache:\n    image: redis:7"+c.compose, stage.Setup{
				Versions:     map[string]stage.Version{"v1": {Name: "v1", Image: "redis:7"}},
				Dependencies: []stage.Dependency{{Name: "cache", Kind: stage.Redis, Port: 6379, URLFrom: "CACHE_URL"}},
			})
			require.Error(t, err)
			t.Log(err)
			for _, want := range c.want {
				assert.ErrorContains(t, err, want)
			}
			assert.Less(t, clock.Since(began), 60*time.Second)
		})
	}
}
