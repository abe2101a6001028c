// Package ecs reads what `aws ecs describe-task-definition` and `aws ecs
// describe-services` print, into the AWS SDK's own types, and knows the units and
// defaults that ECS gives to what a task definition leaves out.
package ecs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// A Description is a task definition, and the services that run it where those are
// described too.
type Description struct {
	TaskDefinition types.TaskDefinition
	Tags           []types.Tag // of the task definition, as `--include TAGS` prints them
	Services       []types.Service
}

// A Mistake is one thing that is wrong with a file.
type Mistake struct {
	File string
	Line int    // from 1; 0 where the file could not be read
	Text string // what is wrong, and what would be right
}

func (m *Mistake) Error() string {
	if m.Line == 0 {
		return m.File + ": " + m.Text
	}
	return fmt.Sprintf("%s:%d: %s", m.File, m.Line, m.Text)
}

// Want is what the files must be.
const Want = "the output of `aws ecs describe-task-definition`, and of `aws ecs describe-services` in the same file or another"

// ReadFiles reads one or more files that together describe a task definition and,
// perhaps, services. An error is a *Mistake.
func ReadFiles(files ...string) (*Description, error) {
	d := &Description{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			var p *os.PathError
			if errors.As(err, &p) {
				err = p.Err
			}
			return nil, &Mistake{file, 0, fmt.Sprintf("cannot be read (%v): want %s", err, Want)}
		}
		if err := d.Add(file, data); err != nil {
			return nil, err
		}
	}
	if len(d.TaskDefinition.ContainerDefinitions) == 0 {
		return nil, &Mistake{strings.Join(files, ", "), 0, "there is no task definition with containers: want " + Want}
	}
	return d, nil
}

// document is any of the outputs, and a task definition as it is registered (the file
// that many teams keep).
type document struct {
	TaskDefinition *types.TaskDefinition
	Tags           []types.Tag
	Services       []types.Service
	Failures       []types.Failure

	ContainerDefinitions json.RawMessage
}

// Add reads one more file into d; name is the file that errors speak of. The file may
// hold several documents, one after the other. An error is a *Mistake.
func (d *Description) Add(name string, data []byte) error {
	data = timestamps.ReplaceAllFunc(data, func(m []byte) []byte {
		colon := bytes.IndexByte(m, ':')
		return append(append(m[:colon+1:colon+1], "null"...), bytes.Repeat([]byte(" "), len(m)-colon-5)...)
	})
	wrong := func(offset int64, format string, args ...any) error {
		before := data[:min(max(offset, 0), int64(len(data)))]
		return &Mistake{name, 1 + bytes.Count(before, []byte("\n")), fmt.Sprintf(format, args...)}
	}
	found := false
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) && found {
			return nil
		}
		if err != nil {
			at := dec.InputOffset()
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				at = syntax.Offset
			} else if errors.Is(err, io.ErrUnexpectedEOF) {
				at = int64(len(data))
			}
			return wrong(at, "this is not JSON (%v): want %s", err, Want)
		}
		from := dec.InputOffset() - int64(len(raw))
		var doc document
		if at, err := decode(raw, &doc); err != nil {
			return wrong(from+at, "%v, as in %s", err, Want)
		}
		if doc.ContainerDefinitions != nil && doc.TaskDefinition == nil {
			doc.TaskDefinition = &types.TaskDefinition{}
			if at, err := decode(raw, doc.TaskDefinition); err != nil {
				return wrong(from+at, "%v, as in %s", err, Want)
			}
		}
		for _, f := range doc.Failures {
			return wrong(from, "AWS could not describe %s (%s): name the service and its cluster as they are", or(f.Arn, "it"), or(f.Reason, "no reason given"))
		}
		if doc.TaskDefinition == nil && doc.Services == nil {
			return wrong(from, "there is neither a \"taskDefinition\" nor \"services\" in it: want %s", Want)
		}
		if doc.TaskDefinition != nil {
			if d.TaskDefinition.ContainerDefinitions != nil {
				return wrong(from, "a second task definition: want the one that production runs")
			}
			d.TaskDefinition, d.Tags = *doc.TaskDefinition, doc.Tags
		}
		d.Services = append(d.Services, doc.Services...)
		found = true
	}
}

// timestamps is one as version 1 of the AWS CLI prints it, a number of seconds, which
// the SDK's types do not take. Nothing here asks when something was.
var timestamps = regexp.MustCompile(`"[A-Za-z]+At"\s*:\s*\d{4,}(?:\.\d+)?(?:[eE]\+?\d+)?`)

// decode reads one document, and says at which byte of it something is wrong. What
// the SDK has an interface for, and so no JSON can be read into, is left out.
func decode(raw []byte, into any) (offset int64, err error) {
	for {
		err := json.Unmarshal(raw, into)
		var kind *json.UnmarshalTypeError
		switch {
		case err == nil:
			return 0, nil
		case !errors.As(err, &kind):
			return 0, err
		case kind.Type.Kind() != reflect.Interface:
			return kind.Offset, fmt.Errorf("%s is a JSON %s: want %s", asWritten(kind.Field), kind.Value, kindOf(kind.Type))
		}
		start := bytes.LastIndexAny(raw[:min(kind.Offset+1, int64(len(raw)))], "{[")
		if start < 0 {
			return kind.Offset, err
		}
		var value json.RawMessage
		if json.NewDecoder(bytes.NewReader(raw[start:])).Decode(&value) != nil || len(value) < len("null") && string(value) != "{}" && string(value) != "[]" {
			return kind.Offset, err
		}
		blank := "null" + strings.Repeat(" ", max(0, len(value)-4))
		raw = bytes.Join([][]byte{raw[:start], []byte(blank), raw[start+len(value):]}, nil)
		reflect.ValueOf(into).Elem().SetZero()
	}
}

// asWritten is a path of the SDK's fields, with the names that the outputs give them.
func asWritten(path string) string {
	names := strings.Split(path, ".")
	for i, n := range names {
		if n != "" {
			names[i] = strings.ToLower(n[:1]) + n[1:]
		}
	}
	return strings.Join(names, ".")
}

func kindOf(t reflect.Type) string {
	switch t.Kind() { //nolint:exhaustive // what the SDK's types have
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return kindOf(t.Elem())
	}
	return "a whole number"
}

func or(s *string, otherwise string) string {
	if s == nil || *s == "" {
		return otherwise
	}
	return *s
}

// Service is the service that runs the task definition: the only one there is, or else
// the one that names it; nil where none does.
func (d *Description) Service() *types.Service {
	if len(d.Services) == 1 {
		return &d.Services[0]
	}
	for i, s := range d.Services {
		if or(s.TaskDefinition, "-") == or(d.TaskDefinition.TaskDefinitionArn, "") {
			return &d.Services[i]
		}
	}
	return nil
}

// Container is the container of the task definition with that name, or nil.
func (d *Description) Container(name string) *types.ContainerDefinition {
	for i, c := range d.TaskDefinition.ContainerDefinitions {
		if or(c.Name, "") == name {
			return &d.TaskDefinition.ContainerDefinitions[i]
		}
	}
	return nil
}

// Replicas is how many tasks the service wants; where no service is described, what
// the tag desired-count of the task definition says.
func (d *Description) Replicas() (n int, known bool) {
	if s := d.Service(); s != nil {
		return int(s.DesiredCount), true
	}
	for _, t := range d.Tags {
		if or(t.Key, "") == "desired-count" {
			n, err := strconv.Atoi(or(t.Value, ""))
			return n, err == nil && n >= 0
		}
	}
	return 0, false
}

// Memory is the limit of a container in bytes: its own, else the task's; 0 is none.
// The task's units are as `register-task-definition` takes them: MiB, or text such as
// "1 GB".
func (d *Description) Memory(c *types.ContainerDefinition) (int64, error) {
	if c.Memory != nil && *c.Memory > 0 {
		return int64(*c.Memory) << 20, nil
	}
	text := or(d.TaskDefinition.Memory, "")
	if text == "" {
		return 0, nil
	}
	unit := 1.0
	number := strings.ToUpper(strings.TrimSpace(text))
	if n, gb := strings.CutSuffix(number, "GB"); gb {
		number, unit = strings.TrimSpace(n), 1024
	}
	mib, err := strconv.ParseFloat(number, 64)
	if err != nil || !(mib > 0 && mib*unit < 1<<32) {
		return 0, fmt.Errorf("the task's memory %q is neither a number of MiB nor one such as \"1 GB\"", text)
	}
	return int64(mib*unit) << 20, nil
}

// CPU is what a container may have, in CPU units of 1/1024 vCPU: the task's limit. A
// container's own cpu is a share when others compete for it, not a limit (on Linux),
// and counts only where the task has none; 0 is none at all.
func (d *Description) CPU(c *types.ContainerDefinition) (int64, error) {
	text := or(d.TaskDefinition.Cpu, "")
	if text == "" {
		return int64(c.Cpu), nil
	}
	unit := 1.0
	number := strings.ToLower(strings.TrimSpace(text))
	if n, v := strings.CutSuffix(number, "vcpu"); v {
		number, unit = strings.TrimSpace(n), 1024
	}
	units, err := strconv.ParseFloat(number, 64)
	if err != nil || !(units > 0 && units*unit < 1<<32) {
		return 0, fmt.Errorf("the task's cpu %q is neither a number of CPU units nor one such as \"1 vCPU\"", text)
	}
	return int64(units * unit), nil
}

// StopTimeout is how long a container may take to stop after SIGTERM; 30 s where the
// task definition does not say.
func StopTimeout(c *types.ContainerDefinition) time.Duration {
	if c.StopTimeout == nil {
		return 30 * time.Second
	}
	return time.Duration(*c.StopTimeout) * time.Second
}

// A HealthCheck is a container's, with ECS's defaults filled in.
type HealthCheck struct {
	Command                        []string // begins with CMD or CMD-SHELL
	Interval, Timeout, StartPeriod time.Duration
	Retries                        int
}

// HealthCheckOf is nil where there is none.
func HealthCheckOf(c *types.ContainerDefinition) *HealthCheck {
	h := c.HealthCheck
	if h == nil || len(h.Command) == 0 {
		return nil
	}
	seconds := func(v *int32, otherwise int32) time.Duration {
		if v != nil {
			otherwise = *v
		}
		return time.Duration(otherwise) * time.Second
	}
	retries := 3
	if h.Retries != nil {
		retries = int(*h.Retries)
	}
	return &HealthCheck{h.Command, seconds(h.Interval, 30), seconds(h.Timeout, 5), seconds(h.StartPeriod, 0), retries}
}
