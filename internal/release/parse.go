package release

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ParseFile reads a plan file. See Parse. That there is no such file is an
// fs.ErrNotExist.
func ParseFile(path string) (*Plan, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the plan cannot be read: %w", err)
	}
	return Parse(path, data)
}

// Parse reads a plan, in YAML; name is the file that errors speak of. The error
// joins everything that is wrong, each a *Mistake, in the order of the lines. Keys
// that it does not know are wrong: a rollback rule with a typing error must not
// be read as none.
func Parse(name string, data []byte) (*Plan, error) {
	r := &reader{file: name, lines: map[string]int{}}
	p := &Plan{File: name, lines: r.lines, MinimumHealthy: 100}
	if root := r.document(data); root != nil {
		r.plan(root, p)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return p, nil
}

func (r *reader) plan(root *yaml.Node, p *Plan) {
	r.mapping(root, "", map[string]field{
		"plan":            r.text(&p.Name),
		"strategy":        scalar(r, &p.Strategy, parseStrategy),
		"steps":           r.list(r.step(p)),
		"step":            r.percent(&p.Share),
		"batch":           scalar(r, &p.Batch, parseAmount),
		"minimum-healthy": r.percent(&p.MinimumHealthy),
		"every":           r.bake(&p.Every),
		"bake":            r.bake(&p.Bake),
		"alarms":          r.list(r.alarm(p)),
		"checks":          r.checks(&p.Checks),
		"rollback":        r.rollback(&p.Rollback),
		"window":          r.window(p),
	})
	if root.Kind != yaml.MappingNode {
		return
	}
	if r.lines["plan"] == 0 {
		r.wrong(root.Line, `the plan has no name: add "plan: canary", say`)
	}
	if r.lines["strategy"] == 0 {
		r.wrong(root.Line, "the plan has no strategy: add one of %s", join(Strategies()))
	}
	if p.Strategy != "" {
		r.keysOf(p)
	}
}

// strategyKeys are the keys that mean something for some strategies only.
var strategyKeys = []struct {
	key      string
	needed   bool
	of       []Strategy
	example  string
	soMissed string
}{
	{"steps", true, []Strategy{Canary}, "{share: 10%, bake: 5m}, {share: 100%, bake: 10m}", "steps"},
	{"step", true, []Strategy{Linear}, "10%", "the share that each step adds"},
	{"batch", true, []Strategy{Rolling}, "25%", "how many replicas are replaced at a time"},
	{"minimum-healthy", false, []Strategy{Rolling}, "", ""},
	{"every", true, []Strategy{Linear, Rolling}, "5m", "the bake after each step"},
	{"bake", true, []Strategy{AllAtOnce, BlueGreen, Rolling, Linear}, "10m", "the bake once everyone is on the new version"},
}

// keysOf checks that the plan has the keys of its strategy and no other's.
func (r *reader) keysOf(p *Plan) {
	for _, k := range strategyKeys {
		line, given := r.lines[k.key]
		switch ours := slices.Contains(k.of, p.Strategy); {
		case given && !ours:
			r.wrong(line, "%q is for %s: this plan is %s", k.key, join(k.of), p.Strategy)
		case !given && ours && k.needed:
			example := k.example
			if k.key == "steps" {
				example = "[" + example + "]"
			}
			r.wrong(r.lines["strategy"], `a plan with strategy %s needs %q, %s: add "%s: %s", say`, p.Strategy, k.key, k.soMissed, k.key, example)
		}
	}
	if p.Strategy == Canary && r.lines["steps"] > 0 && len(p.Steps) == 0 && len(r.mistakes) == 0 {
		r.wrong(r.lines["steps"], "steps: there is none: want {share: 10%%, bake: 5m}, say")
	}
	if p.Strategy == Linear && p.Share > 0 && p.Share < 1 {
		r.wrong(r.lines["step"], "step: %s is too small: want at least 1%%", percent(p.Share))
	}
	if p.Strategy == AllAtOnce && p.Checks.Test {
		r.wrong(r.lines["checks.test"], "checks.test: all-at-once sends no test traffic: take it out, or use strategy blue-green")
	}
}

func (r *reader) step(p *Plan) field {
	return func(n *yaml.Node, path string) {
		var s Step
		before := len(r.mistakes)
		r.mapping(n, path, map[string]field{"share": r.percent(&s.Share), "bake": r.bake(&s.Bake)})
		if len(r.mistakes) == before {
			for _, key := range []string{"share", "bake"} {
				if r.lines[path+"."+key] == 0 {
					r.wrong(n.Line, "%s: has no %q: want {share: 10%%, bake: 5m}, say", path, key)
				}
			}
		}
		p.Steps = append(p.Steps, s)
	}
}

func (r *reader) alarm(p *Plan) field {
	return func(n *yaml.Node, path string) {
		var name string
		r.text(&name)(n, path)
		if first := slices.Index(p.Alarms, name); first >= 0 && name != "" {
			r.wrong(n.Line, "%s: the alarm %q is watched already, see line %d", path, name, r.lines[fmt.Sprintf("alarms[%d]", first)])
		}
		p.Alarms = append(p.Alarms, name)
	}
}

func (r *reader) checks(c *Checks) field {
	return func(n *yaml.Node, path string) {
		r.mapping(n, path, map[string]field{
			"before": r.list(func(n *yaml.Node, path string) {
				var b Before
				scalar(r, &b, ParseBefore)(n, path)
				if first := slices.Index(c.Before, b); first >= 0 && b != (Before{}) {
					r.wrong(n.Line, "%s: %q is checked already, see line %d", path, b, r.lines[fmt.Sprintf("checks.before[%d]", first)])
				}
				c.Before = append(c.Before, b)
			}),
			"test":  scalar(r, &c.Test, parseSmoke),
			"shift": scalar(r, &c.Shift, parseSmoke),
			"after": scalar(r, &c.After, parseSmoke),
		})
	}
}

func (r *reader) rollback(b *Rollback) field {
	return func(n *yaml.Node, path string) {
		r.mapping(n, path, map[string]field{
			"to": scalar(r, &b.ToLastGood, parseTo),
			"when": r.list(func(n *yaml.Node, path string) {
				var t Trigger
				scalar(r, &t, parseTrigger)(n, path)
				b.When = append(b.When, t)
			}),
			"within":  r.bake(&b.Within),
			"decides": r.text(&b.Decides),
		})
	}
}

func parseStrategy(s string) (Strategy, error) {
	if slices.Contains(Strategies(), Strategy(s)) {
		return Strategy(s), nil
	}
	return "", fmt.Errorf("unknown strategy %q: %s", s, didYouMean(s, texts(Strategies())))
}

func parseTrigger(s string) (Trigger, error) {
	if slices.Contains(Triggers(), Trigger(s)) {
		return Trigger(s), nil
	}
	return "", fmt.Errorf("unknown trigger %q: %s", s, didYouMean(s, texts(Triggers())))
}

func parseAmount(s string) (Amount, error) {
	if strings.HasSuffix(s, "%") {
		v, err := parsePercent(s)
		return Amount{Percent: v}, err
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return Amount{}, fmt.Errorf("%q is not a number of replicas: want one such as 1, or a percentage such as 25%%", s)
	}
	return Amount{Count: n}, nil
}

func parseSmoke(s string) (bool, error) {
	if s != "smoke" {
		return false, fmt.Errorf("%q is not a check: want smoke, the smoke requests of the rehearsal", s)
	}
	return true, nil
}

func parseTo(s string) (bool, error) {
	switch s {
	case "last good version":
		return true, nil
	case "nothing":
		return false, nil
	}
	return false, fmt.Errorf(`%q is not where a rollback can go: want "last good version", or "nothing"`, s)
}

// texts is a list of words as strings.
func texts[T ~string](words []T) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}

func join[T ~string](words []T) string { return strings.Join(texts(words), ", ") }
