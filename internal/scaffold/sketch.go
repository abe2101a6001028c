package scaffold

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
	"go.yaml.in/yaml/v3"

	"rehearsal/internal/containers"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

// A sketch is all that is known of a rehearsal before its files are written.
type sketch struct {
	Options
	Compose      string // its name in the folder
	Door         door
	HealthAsk    string // what is not known of the health check
	healthHint   string // where that can be looked up
	AlarmsAsk    string // what is not known of the alarms
	Replicas     int
	MemoryLimit  int64 // bytes; 0 is none
	Dependencies []dependency
	Outside      []string
	Watch        watch
	Monitoring   stage.Monitoring
	Plan         plan
	Features     string   // the folder of the promises
	lines        []string // what was found
	more         []File   // beside those of every rehearsal
}

func (s *sketch) found(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// look fills in what the compose file says of the service.
func (s *sketch) look(p *types.Project) {
	service := p.Services[s.Service]
	s.Replicas = containers.ComposeReplicas(service)
	if d := service.Deploy; d != nil {
		if l := d.Resources.Limits; l != nil {
			s.MemoryLimit = int64(l.MemoryBytes)
		}
	}
	if service.MemLimit > 0 {
		s.MemoryLimit = int64(service.MemLimit)
	}
	limit := "no memory limit"
	if s.MemoryLimit > 0 {
		limit = units.BytesSize(float64(s.MemoryLimit)) + " of memory"
	}
	s.found("%s: the service %s is released: image %s, %s, %s", s.Compose, s.Service, s.StableImage, plural(s.Replicas, "replica"), limit)

	s.Door = doorOf(service)
	s.HealthAsk = s.healthQuestion()
	if s.HealthAsk == "" {
		s.found("health check: GET %s on port %d, as %s says", s.Door.Path, s.Door.Port, s.Door.PathFrom)
	}
	s.Dependencies, s.Outside = dependencies(p, s.Service)
	for _, d := range s.Dependencies {
		switch {
		case d.Why != "":
		case d.Parts.Host != "":
			s.found("%s calls %s (%s, port %d), as its variable %s says", s.Service, d.Name, d.Kind, d.Port, d.Parts.Host)
		case d.URL != "":
			s.found("%s calls %s (%s, port %d), as its variable %s says", s.Service, d.Name, d.Kind, d.Port, d.URL)
		default:
			s.found("%s calls %s (%s, port %d), as its depends_on says", s.Service, d.Name, d.Kind, d.Port)
		}
	}
}

// healthQuestion is what is not known of the health check, or "".
func (s *sketch) healthQuestion() string {
	d := s.Door
	switch {
	case d.PathFrom == "" && d.PortFrom == "":
		return "which path and port does the load balancer's health check ask? The compose file says neither; put them here"
	case d.PathFrom == "":
		return "which path does the load balancer's health check ask? The compose file does not say; put, say, /health here" + s.healthHint
	case d.PortFrom == "":
		return "which port takes the requests? The compose file does not say; put it here"
	case d.TLS && d.Other > 0:
		return fmt.Sprintf("does port %d answer %s by plain HTTP? The healthcheck of the compose file asks port %d by HTTPS; the balancer of a rehearsal speaks HTTP", d.Port, d.Path, d.Other)
	case d.Other > 0:
		return fmt.Sprintf("does port %d answer %s too? The healthcheck of the compose file asks port %d; the balancer's asks the port that takes the requests", d.Port, d.Path, d.Other)
	case d.TLS:
		return "does the service answer this by plain HTTP too? The healthcheck of the compose file speaks HTTPS; the balancer of a rehearsal speaks HTTP"
	case len(d.Several) > 0:
		return fmt.Sprintf("which of the ports %s takes the requests? The first was taken", strings.Trim(fmt.Sprint(d.Several), "[]"))
	}
	return ""
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

//go:embed templates/*.tmpl
var templates embed.FS

var written = template.Must(template.New("").Funcs(template.FuncMap{"c": comment, "q": scalar, "v": value, "list": list, "parts": parts, "say": strconv.Quote, "d": brief, "trafficPath": func() string { return trafficPath }, "p": percent}).ParseFS(templates, "templates/*.tmpl"))

// draft writes the files, into memory.
func (s *sketch) draft() (*Draft, error) {
	if err := s.watchAlarms(); err != nil {
		return nil, err
	}
	s.Plan.fit(s.Watch)
	d := &Draft{Folder: s.Folder, Files: slices.Clone(s.more)}
	s.Features = featureFolder(s.Folder)
	feature := s.Features + "/first_release.feature"
	for _, f := range []struct{ name, template string }{
		{"rehearsal.yaml", "rehearsal.yaml.tmpl"},
		{"release.yaml", "release.yaml.tmpl"},
		{feature, map[bool]string{false: "first_release.feature.tmpl", true: "first_release.ja.feature.tmpl"}[s.Japanese]},
	} {
		var b bytes.Buffer
		if err := written.ExecuteTemplate(&b, f.template, s); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		d.Files = append(d.Files, File{filepath.FromSlash(f.name), b.Bytes()})
	}
	if s.Watch.Own {
		var b bytes.Buffer
		out := json.NewEncoder(&b)
		out.SetEscapeHTML(false)
		out.SetIndent("", "    ")
		if err := out.Encode(map[string]any{"MetricAlarms": s.Watch.Alarms, "CompositeAlarms": []any{}}); err != nil {
			return nil, fmt.Errorf("alarms.json: %w", err)
		}
		d.Files = append(d.Files, File{"alarms.json", b.Bytes()})
	}
	d.Found = s.lines
	d.Pace = 60
	if s.Watch.Own {
		// A single failed request in a period of 60 s must not be more than the 1 % that
		// sets the first set's alarm off: 100 real requests, each of which stands for Pace.
		d.Pace = max(1, min(60, s.Rate*60/100))
	}
	return d, nil
}

// featureFolder is features, unless a team has features of another tool there, whose
// phrases a rehearsal does not know.
func featureFolder(folder string) string {
	name, others := "features", false
	_ = filepath.WalkDir(filepath.Join(folder, name), func(file string, _ fs.DirEntry, err error) error {
		others = others || err == nil && filepath.Ext(file) == ".feature" && filepath.Base(file) != "first_release.feature"
		return nil // what cannot be read has no features for a rehearsal either
	})
	if others {
		return "rehearsal-features"
	}
	return name
}

// AlarmsFile is where rehearsal.yaml finds the alarms.
func (s *sketch) AlarmsFile() string {
	switch {
	case s.Watch.Own:
		return "alarms.json"
	case s.Watch.Copy != "":
		return s.Watch.Copy
	}
	return relative(s.Folder, s.Alarms)
}

// HasWhy says whether some service is in the copy and not declared.
func (s *sketch) HasWhy() bool {
	for _, d := range s.Dependencies {
		if d.Why != "" {
			return true
		}
	}
	return false
}

// Declared are the dependencies that a rehearsal can stand before.
func (s *sketch) Declared() (all []dependency) {
	for _, d := range s.Dependencies {
		if d.Why == "" {
			all = append(all, d)
		}
	}
	return all
}

// Checked are those that a release asks for before it starts.
func (s *sketch) Checked() (all []string) {
	for _, d := range s.Dependencies {
		if d.Checked() {
			all = append(all, d.Name)
		}
	}
	return all
}

// Deadline is how long a deployed version may take until it is healthy.
func (s *sketch) Deadline() time.Duration { return time.Minute + s.Door.Start }

// scalar is a text as YAML writes it in one line.
func scalar(text string) (string, error) {
	if strings.ContainsAny(text, "\n\r") {
		return strconv.Quote(text), nil
	}
	out, err := yaml.Marshal(text)
	return strings.TrimSpace(string(out)), err
}

// parts is variables with parts of an address as YAML writes them in one line.
func parts(p stage.AddressParts) (string, error) {
	var all []string
	for _, one := range []struct{ key, variable string }{{"host", p.Host}, {"port", p.Port}, {"user", p.User}, {"password", p.Password}, {"database", p.Database}} {
		if one.variable == "" {
			continue
		}
		name, err := scalar(one.variable)
		if err != nil {
			return "", err
		}
		all = append(all, one.key+": "+name)
	}
	return strings.Join(all, ", "), nil
}

// comment is a text that stays in its line.
func comment(text string) string { return strings.Join(strings.Fields(text), " ") }

// brief is a duration without zeros: "5m", "1h30m".
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

func percent(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + "%" }

// AlarmScenario says whether the feature may say when an alarm goes off: the alarm is of
// the first set, and bad answers first show under traffic, not in a check before it.
func (s *sketch) AlarmScenario() bool {
	return s.Watch.Own && !s.TestScenario() && (s.Plan.Strategy == release.Canary || s.Plan.Strategy == release.Linear)
}

// TestScenario says whether the test traffic of the plan asks what users ask, so that it
// meets bad answers before them.
func (s *sketch) TestScenario() bool { return s.Plan.Test() && s.Door.Path == trafficPath }

// trafficPath is what the first traffic asks for: rehearsal.yaml.tmpl says so.
const trafficPath = "/"
