package parity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"rehearsal/internal/alarm"
	"rehearsal/internal/ecs"
)

// A File is one that describes production, or a part of it.
type File struct {
	Name string // as errors speak of it
	Data []byte
}

// Sources are the files that describe production.
type Sources struct {
	// Description is an ECS task definition and, perhaps, its service; or a Compose
	// file; or Kubernetes manifests.
	Description []File
	// Databases are what RDS says, by service of the Compose file.
	Databases map[string][]File
	// TargetGroups and Alarms may be left out.
	TargetGroups *File
	Alarms       *File
	// Containers are the names in the description of services that have another one in
	// the Compose file, by the latter.
	Containers map[string]string
}

// Want is what a description must be.
const Want = "production's description: what `aws ecs describe-task-definition` prints, a Compose file, or what `kubectl get deployment NAME -o yaml` prints"

// Read reads production's description. service is the one that is released. The error
// joins all that is wrong, with file and line.
func Read(ctx context.Context, s Sources, service string) (*Copy, error) {
	c, err := description(ctx, s.Description)
	if err != nil {
		return nil, err
	}
	var errs []error
	if err := c.rename(s.Containers, service); err != nil {
		errs = append(errs, err)
	}
	for name, other := range c.Services {
		if c.together && name != service { // as many as there are of the service
			delete(other.Facts, "replicas")
			other.Tells = slices.DeleteFunc(other.Tells, func(t string) bool { return t == "replicas" })
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Databases)) {
		d, err := database(s.Databases[name])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if have := c.Services[name]; have != nil { // a Compose file has it too: RDS knows better
			for f := range have.Facts {
				d.Facts[f] = have.Facts[f]
			}
			d.Tells = append(d.Tells, have.Tells...)
		}
		c.Services[name] = d
		c.Source += ", " + source(s.Databases[name])
	}
	if len(s.Databases) == 0 {
		c.Notes = append(c.Notes, "databases: production.databases names no output of `aws rds describe-db-instances`")
	}
	released := c.Services[service]
	switch {
	case s.TargetGroups != nil && released != nil:
		if err := balancer(released, *s.TargetGroups); err != nil {
			errs = append(errs, err)
		}
	case released != nil && !released.tells("balancer"):
		c.Notes = append(c.Notes, "the balancer's health check: production.targetGroups names no output of `aws elbv2 describe-target-groups`")
	}
	if s.Alarms == nil {
		c.Notes = append(c.Notes, "alarms: production.alarms names no output of `aws cloudwatch describe-alarms`")
	} else if set, err := alarm.Read(s.Alarms.Name, s.Alarms.Data); err != nil {
		errs = append(errs, err)
	} else {
		c.Alarms = &set
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// rename gives services the names of the Compose file. The only container there is, is
// the released service.
func (c *Copy) rename(containers map[string]string, service string) error {
	for _, mine := range slices.Sorted(maps.Keys(containers)) {
		theirs := containers[mine]
		s, ok := c.Services[theirs]
		if !ok {
			return fmt.Errorf("%s: production.containers: there is no container %q: it has %q", c.Source, theirs, slices.Sorted(maps.Keys(c.Services)))
		}
		delete(c.Services, theirs)
		c.Services[mine] = s
	}
	if c.Services[service] != nil {
		return nil
	}
	names := slices.Sorted(maps.Keys(c.Services))
	if len(names) == 1 && len(containers) == 0 {
		c.Services[service] = c.Services[names[0]]
		delete(c.Services, names[0])
		return nil
	}
	return fmt.Errorf("%s: none of its containers is called %q: it has %q: say which it is, production: {containers: {%s: NAME}}", c.Source, service, names, service)
}

// description reads whichever of the kinds it is.
func description(ctx context.Context, files []File) (*Copy, error) {
	kinds := map[string]bool{}
	for _, f := range files {
		kind, err := kindOf(f)
		if err != nil {
			return nil, err
		}
		kinds[kind] = true
	}
	if len(kinds) != 1 {
		return nil, fmt.Errorf("%s: they are of different kinds (%s): want %s", source(files), strings.Join(slices.Sorted(maps.Keys(kinds)), ", "), Want)
	}
	switch {
	case kinds[kindECS]:
		d := &ecs.Description{}
		for _, f := range files {
			if err := d.Add(f.Name, f.Data); err != nil {
				return nil, err
			}
		}
		if len(d.TaskDefinition.ContainerDefinitions) == 0 {
			return nil, fmt.Errorf("%s: there is no task definition with containers: want %s", source(files), ecs.Want)
		}
		return ecsCopy(source(files), d)
	case kinds[kindKubernetes]:
		return kubernetesCopy(files)
	}
	if len(files) > 1 {
		return nil, fmt.Errorf("%s: want one Compose file: print what several come to with `docker compose config`", source(files))
	}
	return readCompose(ctx, files[0])
}

const (
	kindECS        = "ECS"
	kindKubernetes = "Kubernetes"
	kindCompose    = "Compose"
)

// kindOf looks at the first document's keys.
func kindOf(f File) (string, error) {
	var first yaml.Node
	err := yaml.NewDecoder(bytes.NewReader(f.Data)).Decode(&first)
	isJSON := bytes.HasPrefix(bytes.TrimSpace(f.Data), []byte("{"))
	switch {
	case errors.Is(err, io.EOF):
		return "", fmt.Errorf("%s:1: the file is empty: want %s", f.Name, Want)
	case err != nil && isJSON: // the reader of JSON says it better; tabs are no mistake there
		var keys map[string]json.RawMessage
		dec := json.NewDecoder(bytes.NewReader(f.Data))
		if jerr := dec.Decode(&keys); jerr != nil {
			_, err := documents(f, Want)
			return "", err
		}
		switch {
		case keys["kind"] != nil:
			return kindKubernetes, nil
		case bytes.HasPrefix(bytes.TrimSpace(keys["services"]), []byte("{")):
			return kindCompose, nil
		}
		return kindECS, nil
	case err != nil:
		line, text := yamlError(err)
		return "", fmt.Errorf("%s:%d: this is neither JSON nor YAML (%s): want %s", f.Name, line, text, Want)
	}
	has := map[string]*yaml.Node{}
	if root := first.Content[0]; root.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(root.Content); i += 2 {
			has[root.Content[i].Value] = root.Content[i+1]
		}
	}
	switch {
	case has["apiVersion"] != nil || has["kind"] != nil:
		return kindKubernetes, nil
	case has["taskDefinition"] != nil, has["containerDefinitions"] != nil, has["services"] != nil && has["services"].Kind == yaml.SequenceNode:
		return kindECS, nil
	case has["services"] != nil:
		return kindCompose, nil
	}
	return "", fmt.Errorf("%s:1: want %s", f.Name, Want)
}

func source(files []File) string {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = f.Name
	}
	return strings.Join(names, ", ")
}

// documents are the JSON documents of a file, each with as many new lines before it as
// lines come before it in the file.
func documents(f File, want string) (docs [][]byte, err error) {
	dec := json.NewDecoder(bytes.NewReader(f.Data))
	for {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		var syntax *json.SyntaxError
		switch {
		case errors.Is(err, io.EOF) && len(docs) > 0:
			return docs, nil
		case errors.As(err, &syntax):
			return nil, fmt.Errorf("%s:%d: this is not JSON (%w): want %s", f.Name, lineAt(f.Data, syntax.Offset), err, want)
		case err != nil:
			return nil, fmt.Errorf("%s:%d: this is not JSON (%w): want %s", f.Name, lineAt(f.Data, int64(len(f.Data))), err, want)
		}
		from := dec.InputOffset() - int64(len(raw))
		docs = append(docs, append(bytes.Repeat([]byte("\n"), lineAt(f.Data, from)-1), raw...))
	}
}

// lineAt is the line, from 1, of a byte.
func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
}

// mistake is what is wrong with a document whose lines are those of the file.
func mistake(f File, doc []byte, err error, want string) error {
	line := lineAt(doc, int64(len(doc)-len(bytes.TrimLeft(doc, "\n"))))
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		line, err = lineAt(doc, kind.Offset), fmt.Errorf("%s must not be a JSON %s", kind.Field, kind.Value)
	}
	return fmt.Errorf("%s:%d: %w: want %s", f.Name, line, err, want)
}

// yamlError is the line and the text of an error of the YAML library.
func yamlError(err error) (line int, text string) {
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 1 {
		_, text, _ = strings.Cut(text, ": ")
	}
	if strings.HasPrefix(text, "did not find expected") {
		line++ // of its parser's errors the library counts lines from 0
	}
	return max(line, 1), text
}

// asJSON turns each document of a YAML file into JSON in which everything stands on the
// line that it has in the file, so that errors can name it.
func asJSON(f File) (docs [][]byte, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(f.Data))
	for {
		var root yaml.Node
		err := dec.Decode(&root)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			line, text := yamlError(err)
			return nil, fmt.Errorf("%s:%d: this is not YAML (%s)", f.Name, line, text)
		}
		w := &jsonWriter{line: 1}
		if err := w.write(root.Content[0], 0); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		docs = append(docs, w.out.Bytes())
	}
}

type jsonWriter struct {
	out  bytes.Buffer
	line int
}

// nested and large are more than any manifest has; aliases may multiply.
const (
	nested = 100
	large  = 8 << 20
)

func (w *jsonWriter) write(n *yaml.Node, depth int) error {
	if depth > nested || w.out.Len() > large {
		return fmt.Errorf("line %d: it is nested too deep or refers to itself too often", n.Line)
	}
	for ; w.line < n.Line; w.line++ {
		w.out.WriteByte('\n')
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.write(n.Alias, depth+1)
	case yaml.MappingNode:
		w.out.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				w.out.WriteByte(',')
			}
			for ; w.line < n.Content[i].Line; w.line++ {
				w.out.WriteByte('\n')
			}
			w.text(n.Content[i].Value)
			w.out.WriteByte(':')
			if err := w.write(n.Content[i+1], depth+1); err != nil {
				return err
			}
		}
		w.out.WriteByte('}')
	case yaml.SequenceNode:
		w.out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				w.out.WriteByte(',')
			}
			if err := w.write(item, depth+1); err != nil {
				return err
			}
		}
		w.out.WriteByte(']')
	default:
		switch n.ShortTag() {
		case "!!int", "!!float", "!!bool", "!!null":
			var v any
			if n.Decode(&v) == nil {
				if text, err := json.Marshal(v); err == nil {
					w.out.Write(text)
					return nil
				}
			}
		}
		w.text(n.Value)
	}
	return nil
}

func (w *jsonWriter) text(s string) {
	text, _ := json.Marshal(s) // of a string it cannot fail
	w.out.Write(text)
}
