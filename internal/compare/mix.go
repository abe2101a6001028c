package compare

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"go.yaml.in/yaml/v3"

	"rehearsal/internal/stage"
	"rehearsal/sim"
)

//go:embed mix.yaml
var defaultMix []byte

// DefaultMixFile is the default mix as a file, with the reasons for it.
func DefaultMixFile() string { return string(defaultMix) }

// DefaultMix is the default mix for a service, and what of it cannot befall that
// service, with why.
func DefaultMix(s *stage.Setup) (mix []sim.Fate, left []string) {
	all, err := ParseMix("mix.yaml", defaultMix, s)
	if err != nil {
		panic(err) // the file is embedded, and a test reads it
	}
	for _, f := range all {
		if why := f.Lacks(s); why != "" {
			left = append(left, why)
			continue
		}
		mix = append(mix, f)
	}
	return mix, left
}

// yamlMix is a mix as it is written.
type yamlMix struct {
	Fates []yamlFate `yaml:"fates"`
}

type yamlFate struct {
	line       int
	Is         sim.Nature        `yaml:"is"`
	Weight     float64           `yaml:"weight"`
	Kind       stage.FailureKind `yaml:"kind"`
	Dependency string            `yaml:"dependency"`
	Request    string            `yaml:"request"`
	Variable   string            `yaml:"variable"`
	Value      string            `yaml:"value"`
	Share      shares            `yaml:"share"`
	Delay      times             `yaml:"delay"`
	After      times             `yaml:"after"`
	PerRequest sizes             `yaml:"perRequest"`
	Moment     times             `yaml:"moment"`
	Lasts      times             `yaml:"lasts"`
}

// UnmarshalYAML notes the line.
func (f *yamlFate) UnmarshalYAML(n *yaml.Node) error {
	type plain yamlFate
	if n.Kind == yaml.MappingNode { // the library forgets KnownFields here
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i]; !slices.Contains(fateKeys, key.Value) {
				return mistake(key, "unknown key %q: here may be %s", key.Value, strings.Join(fateKeys, ", "))
			}
		}
	}
	err := n.Decode((*plain)(f))
	f.line = n.Line
	return err
}

var fateKeys = func() (keys []string) {
	t := reflect.TypeFor[yamlFate]()
	for i := range t.NumField() {
		if k := t.Field(i).Tag.Get("yaml"); k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}()

type (
	shares sim.Span[float64]       // "5% to 50%"
	sizes  sim.Span[float64]       // "1KiB to 64KiB", in bytes
	times  sim.Span[time.Duration] // "30s to 10m"
)

// UnmarshalYAML reads a percentage, or two.
func (s *shares) UnmarshalYAML(n *yaml.Node) (err error) {
	s.From, s.To, err = span(n, "5% or 5% to 50%", func(text string) (float64, error) {
		number, ok := strings.CutSuffix(text, "%")
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !ok || !(v > 0 && v <= 100) {
			return 0, fmt.Errorf("%q is not a percentage above 0%% and up to 100%%", text)
		}
		return v, nil
	})
	return err
}

// UnmarshalYAML reads a size, or two.
func (s *sizes) UnmarshalYAML(n *yaml.Node) (err error) {
	s.From, s.To, err = span(n, "1KiB or 1KiB to 64KiB", func(text string) (float64, error) {
		v, err := units.RAMInBytes(text)
		if err != nil || v <= 0 {
			return 0, fmt.Errorf("%q is not a size", text)
		}
		return float64(v), nil
	})
	return err
}

// longest is the longest time that a mix may name.
const longest = 24 * time.Hour

// UnmarshalYAML reads a time, or two.
func (s *times) UnmarshalYAML(n *yaml.Node) (err error) {
	s.From, s.To, err = span(n, "90s or 30s to 10m", func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > longest {
			return 0, fmt.Errorf("%q is not a time from 0s to %v", text, longest)
		}
		return d, nil
	})
	return err
}

// span reads "a" or "a to b".
func span[T float64 | time.Duration](n *yaml.Node, example string, parse func(string) (T, error)) (from, to T, err error) {
	if n.Kind != yaml.ScalarNode {
		return 0, 0, mistake(n, "want %s", example)
	}
	a, b, two := strings.Cut(n.Value, " to ")
	if from, err = parse(strings.TrimSpace(a)); err == nil {
		to = from
		if two {
			to, err = parse(strings.TrimSpace(b))
		}
	}
	switch {
	case err != nil:
		return 0, 0, mistake(n, "%v: want %s", err, example)
	case to < from:
		return 0, 0, mistake(n, "%q ends before it begins: write the smaller first", n.Value)
	}
	return from, to, nil
}

// mistake is one that the library reports together with all others.
func mistake(n *yaml.Node, format string, args ...any) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: ", n.Line) + fmt.Sprintf(format, args...)}}
}

// mostBytes is more than any mix that a person wrote.
const mostBytes = 1 << 20

// ReadMix reads a mix for releases of that service from a file. See ParseMix.
func ReadMix(path string, s *stage.Setup) ([]sim.Fate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the mix cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the mix cannot be read: %w", err)
	case len(data) > mostBytes:
		return nil, fmt.Errorf("%s: longer than %d bytes: that is not a mix", path, mostBytes)
	}
	mix, err := ParseMix(path, data, s)
	if err != nil {
		return nil, err
	}
	c := sim.Campaign{Setup: withVersions(s), Mix: mix, Version: newVersion}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return mix, nil
}

// ParseMix reads a mix; name is the file that errors speak of. Its errors tell file and
// line, what is wrong and what would be right. What the service lacks is no error here:
// see sim.Fate.Lacks.
func ParseMix(name string, data []byte, s *stage.Setup) ([]sim.Fate, error) {
	var m yamlMix
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	err := dec.Decode(&m)
	var types *yaml.TypeError
	switch {
	case errors.As(err, &types):
		var all []error
		for _, text := range types.Errors {
			all = append(all, placed(name, text))
		}
		return nil, errors.Join(all...)
	case err != nil && !errors.Is(err, io.EOF):
		return nil, placed(name, strings.TrimPrefix(err.Error(), "yaml: "))
	case len(m.Fates) == 0:
		return nil, fmt.Errorf(`%s:1: there are no fates: want "fates:" and a list, such as {is: good, weight: 1}`, name)
	}
	with := withVersions(s)
	var mix []sim.Fate
	var wrong []error
	for _, y := range m.Fates {
		f := sim.Fate{
			Nature: y.Is, Weight: y.Weight, Kind: y.Kind, Dependency: y.Dependency, Request: y.Request, Variable: y.Variable, Value: y.Value,
			Share: sim.Span[float64](y.Share), Delay: sim.Span[time.Duration](y.Delay), After: sim.Span[time.Duration](y.After),
			PerRequest: sim.Span[float64](y.PerRequest), Moment: sim.Span[time.Duration](y.Moment), Lasts: sim.Span[time.Duration](y.Lasts),
		}
		if err := f.Check(&with, newVersion); err != nil && f.Lacks(&with) == "" {
			wrong = append(wrong, fmt.Errorf("%s:%d: %w", name, y.line, err))
		}
		mix = append(mix, f)
	}
	return mix, errors.Join(wrong...)
}

var (
	atLine     = regexp.MustCompile(`^line (\d+): `)
	unknownKey = regexp.MustCompile(`field (\S+) not found in type \S+`)
	intoType   = regexp.MustCompile("cannot unmarshal !!\\w+(?: `(.*)`)? into \\S+")
)

// placed puts what the YAML library says into our words, with the file and the line.
func placed(name, text string) error {
	line := "1"
	if m := atLine.FindStringSubmatch(text); m != nil {
		line, text = m[1], text[len(m[0]):]
	}
	text = unknownKey.ReplaceAllString(text, `unknown key "$1": want "fates:" and a list`)
	text = intoType.ReplaceAllString(text, `"$1" is not what belongs here: want a list of fates, such as {is: bad, weight: 1, kind: errors, share: 5% to 50%}`)
	return fmt.Errorf("%s:%s: %s", name, line, text)
}
