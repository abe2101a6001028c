package scaffold

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// A door is where a service is asked: what its files say, with what they leave open.
type door struct {
	Port     int
	PortFrom string // where the port was found; "" is a guess
	Path     string
	PathFrom string
	TLS      bool          // its health check speaks HTTPS
	Start    time.Duration // how long it may take to start, as its health check says
	Other    int           // the port of the health check, where it is not the traffic's
	Several  []int         // ports that could be the traffic's; the first was taken
}

// guessedPort is what most services listen on that say nothing.
const guessedPort = 8080

func doorOf(s types.ServiceConfig) door {
	d := door{Path: "/"}
	asked, ok := askedBy(s)
	if ok {
		d.Path, d.PathFrom, d.TLS = asked.path, "the healthcheck of the compose file", asked.tls
	}
	if h := s.HealthCheck; h != nil && h.StartPeriod != nil {
		d.Start = time.Duration(*h.StartPeriod)
	}
	open, from := openPorts(s)
	plain := slices.DeleteFunc(slices.Clone(open), func(p int) bool { return p == asked.port })
	switch own := variablePort(s); {
	case asked.tls && len(plain) > 0: // the other port is the plain one
		d.Port, d.PortFrom = plain[0], from
	case asked.port > 0 && (len(open) == 0 || slices.Contains(open, asked.port)):
		d.Port, d.PortFrom = asked.port, "the healthcheck of the compose file"
	case own > 0 && (len(open) == 0 || slices.Contains(open, own)):
		d.Port, d.PortFrom = own, "its variable PORT"
	case len(open) > 0:
		d.Port, d.PortFrom = open[0], from
		if len(open) > 1 {
			d.Several = open
		}
	default:
		d.Port = guessedPort
		if m, ok := makerOf(s.Image); ok {
			d.Port, d.PortFrom = m.port, m.what+" listens on it"
		}
	}
	if asked.port > 0 && asked.port != d.Port {
		d.Other = asked.port
	}
	return d
}

// openPorts are the TCP ports that others may use, and where that is said.
func openPorts(s types.ServiceConfig) (ports []int, from string) {
	add := func(p int) {
		if p > 0 && !slices.Contains(ports, p) {
			ports = append(ports, p)
		}
	}
	for _, p := range s.Ports {
		if p.Protocol == "" || p.Protocol == "tcp" {
			add(int(p.Target))
		}
	}
	if len(ports) > 0 {
		return ports, "ports"
	}
	for _, e := range s.Expose {
		number, protocol, _ := strings.Cut(e, "/")
		if first, _, _ := strings.Cut(number, "-"); protocol == "" || protocol == "tcp" {
			p, _ := strconv.Atoi(first)
			add(p)
		}
	}
	return ports, "expose"
}

// variablePort is the port that the service is told to listen on.
func variablePort(s types.ServiceConfig) int {
	for _, name := range []string{"PORT", "HTTP_PORT", "SERVER_PORT", "APP_PORT", "LISTEN_PORT"} {
		if v := s.Environment[name]; v != nil {
			if p, err := strconv.Atoi(*v); err == nil && p > 0 && p < 65536 {
				return p
			}
		}
	}
	return 0
}

type asked struct {
	path string
	port int // 0: the scheme's own, which is not told
	tls  bool
}

var (
	// A URL in a command, whatever program it is for (curl, wget, node, python).
	commandURL = regexp.MustCompile(`(https?)://(?:\[[0-9a-fA-F:]+\]|[\w.-]+)(?::(\d{1,5}))?(/[^\s'"` + "`" + `|&;<>()\\]*)?`)
	// curl and wget also take an address without a scheme.
	commandAddress = regexp.MustCompile(`(?:^|\s)['"]?(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::(\d{1,5}))?(/[^\s'"` + "`" + `|&;<>()\\]*)?`)
	variableIn     = regexp.MustCompile(`\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})`)
	webClient      = regexp.MustCompile(`\b(?:curl|wget|http|xh)\b`)
)

// askedBy is what the health check of the compose file asks by HTTP.
func askedBy(s types.ServiceConfig) (asked, bool) {
	h := s.HealthCheck
	if h == nil || h.Disable || len(h.Test) < 2 {
		return asked{}, false
	}
	command := strings.Join(h.Test[1:], " ")
	command = variableIn.ReplaceAllStringFunc(command, func(v string) string {
		m := variableIn.FindStringSubmatch(v)
		if value := s.Environment[m[1]+m[2]]; value != nil && *value != "" {
			return *value
		}
		return m[3]
	})
	var a asked
	var port, path string
	if m := commandURL.FindStringSubmatch(command); m != nil {
		a.tls, port, path = m[1] == "https", m[2], m[3]
		if port == "" {
			port = map[bool]string{false: "80", true: "443"}[a.tls]
		}
	} else if m := commandAddress.FindStringSubmatch(command); m != nil && webClient.MatchString(command) {
		port, path = m[1], m[2]
		if port == "" {
			port = "80"
		}
	} else {
		return asked{}, false
	}
	a.port, _ = strconv.Atoi(port)
	a.path, _, _ = strings.Cut(path, "#")
	if a.path == "" {
		a.path = "/"
	}
	return a, a.port > 0 && a.port < 65536
}

// exists says whether a file is there.
func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
