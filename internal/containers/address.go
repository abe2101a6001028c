package containers

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"

	"rehearsal/internal/stage"
)

// An Address is where the variables of the service say that a dependency is, and how
// to be let in.
type Address struct {
	Host                     string
	Port                     int
	User, Password, Database string

	whole string // the variable's text, where there is one that a driver reads
	tls   bool
}

// dependencySchemes is what addresses of each kind begin with, and the port that they
// mean without one.
var dependencySchemes = map[stage.DependencyKind]map[string]int{
	stage.Postgres: {"postgres": 5432, "postgresql": 5432},
	stage.MySQL:    {"mysql": 3306, "mysql2": 3306, "mariadb": 3306},
	stage.Redis:    {"redis": 6379},
	stage.HTTP:     {"http": 80, "https": 443},
}

// AddressOf is the address of d in the variables of a service. known is false where the
// setup names no variables. What an error says has no secrets in it.
func AddressOf(d stage.Dependency, environment map[string]string) (a Address, known bool, err error) {
	a.Port = d.Port
	if d.URLFrom != "" {
		value := environment[d.URLFrom]
		if value == "" {
			return a, true, fmt.Errorf("the variable %s, which should hold the address of %s, is not set", d.URLFrom, d.Name)
		}
		if a, err = readAddress(d, value); err != nil {
			return a, true, fmt.Errorf("the variable %s should hold the address of %s, and %w", d.URLFrom, d.Name, err)
		}
	}
	parts := d.PartsFrom
	for name, field := range map[string]*string{parts.Host: &a.Host, parts.User: &a.User, parts.Password: &a.Password, parts.Database: &a.Database} {
		if value := environment[name]; name != "" && value != "" {
			*field, a.whole = value, ""
		}
	}
	if m := portOf.FindStringSubmatch(a.Host); m != nil && parts.Host != "" { // WORDPRESS_DB_HOST=db:3306
		a.Host = m[1]
		if a.Port, err = strconv.Atoi(m[2]); err != nil {
			return a, true, err
		}
	}
	if value := environment[parts.Port]; parts.Port != "" && value != "" {
		if a.Port, err = strconv.Atoi(value); err != nil {
			return a, true, fmt.Errorf("the variable %s should hold the port of %s, and is no number", parts.Port, d.Name)
		}
		a.whole = ""
	}
	if d.URLFrom == "" && parts.Host != "" && a.Host == "" {
		return a, true, fmt.Errorf("the variable %s, which should hold the host of %s, is not set", parts.Host, d.Name)
	}
	return a, d.URLFrom != "" || parts.Host != "", nil
}

var (
	schemeOf = regexp.MustCompile(`^(jdbc:)?([a-zA-Z][a-zA-Z0-9]*)(\+[a-zA-Z0-9.+-]+)?://`)
	portOf   = regexp.MustCompile(`^([^\s:/,]+):(\d{1,5})$`)
)

// errNoAddress is what a variable is that holds none.
var errNoAddress = errors.New("is no address")

func readAddress(d stage.Dependency, value string) (Address, error) {
	value = strings.TrimSpace(value)
	m := schemeOf.FindStringSubmatch(value)
	if m != nil {
		return readURL(d, value, m)
	}
	switch d.Kind {
	case stage.Postgres: // host=database port=5432 …
		if !strings.Contains(value, "host=") {
			return Address{}, errNoAddress
		}
		c, err := pgx.ParseConfig(value)
		if err != nil {
			return Address{}, errNoAddress // err would quote it
		}
		return Address{Host: c.Host, Port: int(c.Port), User: c.User, Password: c.Password, Database: c.Database, whole: value}, nil
	case stage.MySQL: // user:password@tcp(database:3306)/name
		c, err := mysql.ParseDSN(value)
		if err != nil {
			return Address{}, errNoAddress
		}
		if c.Net != "tcp" {
			return Address{}, fmt.Errorf("is not one over TCP, such as USER:PASSWORD@tcp(%s:%d)/NAME", d.Name, d.Port)
		}
		host, port, err := net.SplitHostPort(c.Addr)
		if err != nil {
			return Address{}, errNoAddress
		}
		a := Address{Host: host, User: c.User, Password: c.Passwd, Database: c.DBName, whole: value}
		if a.Port, err = strconv.Atoi(port); err != nil {
			return a, errNoAddress
		}
		return a, nil
	case stage.Redis, stage.TCP:
		first, _, _ := strings.Cut(value, ",") // of several servers
		if m := portOf.FindStringSubmatch(first); m != nil {
			port, err := strconv.Atoi(m[2])
			return Address{Host: m[1], Port: port}, err
		}
	case stage.HTTP:
	}
	return Address{}, errNoAddress
}

// readURL reads scheme://user:password@host:port/database, also with a driver's name, as
// SQLAlchemy has it (mysql+pymysql://), or Java's prefix.
func readURL(d stage.Dependency, value string, m []string) (a Address, err error) {
	scheme := strings.ToLower(m[2])
	u, err := url.Parse(strings.TrimPrefix(value, m[1]))
	if err != nil || u.Hostname() == "" {
		return a, errNoAddress // err would quote it
	}
	if d.Kind == stage.Redis && scheme == "rediss" {
		return a, fmt.Errorf("asks for TLS (rediss://), which the staging copy's %s does not speak: give the service redis:// in the staging copy", d.Name)
	}
	port, ok := dependencySchemes[d.Kind][scheme]
	if !ok && d.Kind != stage.TCP {
		return a, fmt.Errorf("begins with %s://, which is not an address of the kind %q", scheme, d.Kind)
	}
	a = Address{Host: u.Hostname(), Port: port, User: u.User.Username(), Database: strings.TrimPrefix(u.Path, "/"), tls: scheme == "https"}
	a.Password, _ = u.User.Password()
	if a.Port == 0 {
		a.Port = d.Port
	}
	if text := u.Port(); text != "" {
		if a.Port, err = strconv.Atoi(text); err != nil {
			return a, errNoAddress
		}
	}
	switch {
	case m[1] != "": // Java's drivers take these from the query
		q := u.Query()
		a.User, a.Password = q.Get("user"), q.Get("password")
	case m[3] == "" && d.Kind == stage.Postgres:
		a.whole = value
	case d.Kind == stage.Redis && a.Database == "":
		a.Database = u.Query().Get("db")
	}
	return a, nil
}

// pointsTo says what is wrong with the address of a dependency in the variables.
func (s *Stage) pointsTo(d stage.Dependency, environment map[string]string) error {
	a, known, err := AddressOf(d, environment)
	if err != nil || !known {
		return err
	}
	return a.leads(d, aliasesOf(s.project.Services[d.Name]))
}

// CheckAddress says what is wrong with what the variables of a service of the compose
// file say of where d is, or nil.
func CheckAddress(p *types.Project, service string, d stage.Dependency) error {
	a, known, err := AddressOf(d, environmentOf(p.Services[service]))
	if err != nil || !known {
		return err
	}
	if d.Stub != nil {
		return a.leads(d, d.Stub.Hosts)
	}
	return a.leads(d, aliasesOf(p.Services[d.Name]))
}

// leads says what is wrong with the address of d, which has the names, or nil.
func (a Address) leads(d stage.Dependency, names []string) error {
	from, ports := d.URLFrom, d.URLFrom
	if d.PartsFrom.Host != "" {
		from, ports = d.PartsFrom.Host, d.PartsFrom.Host
	}
	if d.PartsFrom.Port != "" {
		ports = d.PartsFrom.Port
	}
	leads := false
	for _, name := range names {
		leads = leads || strings.EqualFold(name, a.Host)
	}
	switch {
	case !leads:
		return fmt.Errorf("the variable %s should hold the address of %s, and names the host %q", from, d.Name, a.Host)
	case a.tls && d.Stub != nil:
		return fmt.Errorf("the variable %s names https://%s, where a stub stands in, which speaks plain HTTP: in the staging copy set it to http://%s (port %d)",
			from, a.Host, a.Host, d.Port)
	case a.Port != d.Port:
		return fmt.Errorf("the variable %s names port %d of %s, which listens on %d", ports, a.Port, d.Name, d.Port)
	}
	return nil
}
