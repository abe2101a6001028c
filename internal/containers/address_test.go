package containers

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rehearsal/internal/stage"
)

func TestAddressesOfEveryForm(t *testing.T) {
	for _, c := range []struct {
		kind  stage.DependencyKind
		value string
		want  Address
	}{
		{stage.Postgres, "postgres://u:p%40ss@db:5433/n?sslmode=disable", Address{Host: "db", Port: 5433, User: "u", Password: "p@ss", Database: "n"}},
		{stage.Postgres, "postgresql+asyncpg://u:p@db/n", Address{Host: "db", Port: 5432, User: "u", Password: "p", Database: "n"}},
		{stage.Postgres, "jdbc:postgresql://db:5432/n?user=u&password=p", Address{Host: "db", Port: 5432, User: "u", Password: "p", Database: "n"}},
		{stage.Postgres, "host=db port=5433 user=u password=p dbname=n", Address{Host: "db", Port: 5433, User: "u", Password: "p", Database: "n"}},
		{stage.MySQL, "mysql://u:p@db/n?charset=utf8mb4", Address{Host: "db", Port: 3306, User: "u", Password: "p", Database: "n"}},
		{stage.MySQL, "mysql2://u:p@db:3307/n", Address{Host: "db", Port: 3307, User: "u", Password: "p", Database: "n"}},
		{stage.MySQL, "mariadb+mariadbconnector://u:p@db:3306/n", Address{Host: "db", Port: 3306, User: "u", Password: "p", Database: "n"}},
		{stage.MySQL, "u:p:/@ss@tcp(db:3306)/n?parseTime=true", Address{Host: "db", Port: 3306, User: "u", Password: "p:/@ss", Database: "n"}},
		{stage.MySQL, "jdbc:mariadb://db:3306/n?user=u&password=p", Address{Host: "db", Port: 3306, User: "u", Password: "p", Database: "n"}},
		{stage.Redis, "redis://:p@cache:6380/2", Address{Host: "cache", Port: 6380, Password: "p", Database: "2"}},
		{stage.Redis, "redis://u:p@cache?db=3", Address{Host: "cache", Port: 6379, User: "u", Password: "p", Database: "3"}},
		{stage.Redis, "cache:6379", Address{Host: "cache", Port: 6379}},
		{stage.HTTP, "https://api.example.com/v1", Address{Host: "api.example.com", Port: 443, Database: "v1"}},
		{stage.TCP, "amqp://u:p@queue:5672/", Address{Host: "queue", Port: 5672, User: "u", Password: "p"}},
		{stage.TCP, "amqp://queue", Address{Host: "queue", Port: 7}},
		{stage.TCP, "kafka-1:9092,kafka-2:9092", Address{Host: "kafka-1", Port: 9092}},
	} {
		a, known, err := AddressOf(stage.Dependency{Name: "it", Kind: c.kind, Port: 7, URLFrom: "URL"}, map[string]string{"URL": c.value})
		require.NoError(t, err, c.value)
		require.True(t, known)
		a.whole, a.tls = "", false
		assert.Equal(t, c.want, a, c.value)
	}
}

func TestAnAddressInParts(t *testing.T) {
	d := stage.Dependency{Name: "db", Kind: stage.MySQL, Port: 3306, PartsFrom: stage.AddressParts{Host: "H", Port: "P", User: "U", Password: "S", Database: "D"}}
	environment := map[string]string{"H": "db", "U": "u", "S": "secret", "D": "n"}
	a, known, err := AddressOf(d, environment)
	require.NoError(t, err)
	require.True(t, known)
	assert.Equal(t, Address{Host: "db", Port: 3306, User: "u", Password: "secret", Database: "n"}, a, "a port that is not set is the dependency's own")
	environment["H"] = "db:3307"
	a, _, err = AddressOf(d, environment)
	require.NoError(t, err)
	assert.Equal(t, 3307, a.Port)
	environment["P"] = "33o6"
	_, _, err = AddressOf(d, environment)
	assert.EqualError(t, err, "the variable P should hold the port of db, and is no number")
	delete(environment, "H")
	delete(environment, "P")
	_, _, err = AddressOf(d, environment)
	assert.EqualError(t, err, "the variable H, which should hold the host of db, is not set")

	d.URLFrom, d.PartsFrom = "URL", stage.AddressParts{User: "U", Password: "S"}
	a, _, err = AddressOf(d, map[string]string{"URL": "jdbc:mysql://db:3306/n", "U": "u", "S": "secret"})
	require.NoError(t, err)
	assert.Equal(t, Address{Host: "db", Port: 3306, User: "u", Password: "secret", Database: "n"}, a)

	_, known, err = AddressOf(stage.Dependency{Name: "cache", Kind: stage.Redis, Port: 6379}, nil)
	require.NoError(t, err)
	assert.False(t, known)
}

func TestAnAddressThatIsNone(t *testing.T) {
	for _, c := range []struct {
		kind        stage.DependencyKind
		value, want string
	}{
		{stage.Redis, "rediss://:hunter22@cache:6379", "asks for TLS (rediss://), which the staging copy's it does not speak: give the service redis:// in the staging copy"},
		{stage.MySQL, "postgres://u:hunter22@db/n", `begins with postgres://, which is not an address of the kind "mysql"`},
		{stage.Postgres, "mysql://u:hunter22@db/n", `begins with mysql://, which is not an address of the kind "postgres"`},
		{stage.MySQL, "u:hunter22@unix(/run/mysqld.sock)/n", "is not one over TCP, such as USER:PASSWORD@tcp(it:7)/NAME"},
		{stage.MySQL, "hunter22", "is no address"},
		{stage.MySQL, "mysql://u:hunter%2@db/n", "is no address"},
		{stage.Postgres, "port=hunter22 host=db", "is no address"},
		{stage.HTTP, "db:80", "is no address"},
		{stage.HTTP, "http://db:80x/hunter22", "is no address"},
		{stage.Redis, "redis://", "is no address"},
	} {
		_, _, err := AddressOf(stage.Dependency{Name: "it", Kind: c.kind, Port: 7, URLFrom: "URL"}, map[string]string{"URL": c.value})
		require.Error(t, err, c.value)
		assert.Equal(t, "the variable URL should hold the address of it, and "+c.want, err.Error())
		assert.NotContains(t, err.Error(), "hunter22", "no secret is told")
	}
}

func TestAddressesThatLeadElsewhere(t *testing.T) {
	value := func(s string) *string { return &s }
	shop := types.ServiceConfig{Name: "shop"}
	shop.Environment = types.MappingWithEquals{
		"DB": value("mysql://u:p@other/n"), "PORT": value("mysql://u:p@db:3307/n"), "ALIAS": value("mysql://u:p@MAIN.db/n"),
		"STRIPE": value("https://api.stripe.com/v1"), "PLAIN": value("http://api.stripe.com/v1"),
	}
	db := types.ServiceConfig{Name: "db"}
	db.Networks = map[string]*types.ServiceNetworkConfig{"default": {Aliases: []string{"main.db"}}}
	p := &types.Project{Services: types.Services{"shop": shop, "db": db}}
	d := stage.Dependency{Name: "db", Kind: stage.MySQL, Port: 3306}
	api := stage.Dependency{Name: "stripe", Kind: stage.HTTP, Port: 80, Stub: &stage.Stub{Hosts: []string{"api.stripe.com"}}}
	for _, c := range []struct {
		d              stage.Dependency
		variable, want string
	}{
		{d, "DB", `the variable DB should hold the address of db, and names the host "other"`},
		{d, "PORT", "the variable PORT names port 3307 of db, which listens on 3306"},
		{d, "ALIAS", ""},
		{api, "STRIPE", "the variable STRIPE names https://api.stripe.com, where a stub stands in, which speaks plain HTTP: in the staging copy set it to http://api.stripe.com (port 80)"},
		{api, "PLAIN", ""},
	} {
		c.d.URLFrom = c.variable
		err := CheckAddress(p, "shop", c.d)
		if c.want == "" {
			assert.NoError(t, err)
		} else {
			assert.EqualError(t, err, c.want)
		}
	}
}

func TestNoAddressPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := stage.Dependency{Name: "it", Port: 7, URLFrom: "URL", Kind: rapid.SampledFrom(stage.DependencyKinds()).Draw(t, "kind")}
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`(jdbc:)?[a-z]{0,9}(\+[a-z]+)?://([a-z]*(:[a-z%@/]*)?@)?[a-z.:\[\]]{0,9}(:[0-9]{0,6})?(/[a-z?=&%]*)?`)).Draw(t, "value")
		a, _, err := AddressOf(d, map[string]string{"URL": value})
		if err == nil && a.Host == "" {
			t.Fatalf("%q is taken for an address without a host", value)
		}
		if err != nil && len(value) > 12 && strings.Contains(err.Error(), value) {
			t.Fatalf("%v quotes it", err)
		}
	})
}

func TestWhatAnswersARedisCommand(t *testing.T) {
	for _, c := range []struct{ answer, want string }{
		{"+PONG\r\n", ""},
		{"-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."},
		{"HTTP/1.1 400 Bad Request\r\n", `PING was answered by "HTTP/1.1 400 Bad Request", which is not how Redis answers`},
		{"+PO", "PING was not answered: EOF"},
		{strings.Repeat("x", 1<<16), "PING was not answered: bufio: buffer full"},
		{"", "PING was not answered: EOF"},
	} {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Read(make([]byte, 100))
			_, _ = theirs.Write([]byte(c.answer))
			_ = theirs.Close()
		}()
		err := redisCommand(ours, bufio.NewReader(ours), []string{"PING"})
		_ = ours.Close()
		if c.want == "" {
			assert.NoError(t, err)
		} else {
			assert.EqualError(t, err, c.want)
		}
	}
}
