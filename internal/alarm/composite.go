package alarm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Composite is a composite alarm with the names and units of `describe-alarms`
// CompositeAlarms: its state follows from the states of other alarms, by a Rule.
type Composite struct {
	AlarmName               string
	AlarmArn                string   `json:",omitempty"`
	AlarmDescription        string   `json:",omitempty"`
	ActionsEnabled          bool     // true when the file does not say
	OKActions               []string `json:",omitempty"`
	AlarmActions            []string `json:",omitempty"`
	InsufficientDataActions []string `json:",omitempty"`
	StateValue              State    // when the file was written
	StateReason             string   `json:",omitempty"`

	AlarmRule string // see Rule

	// While the alarm named here is in ALARM, this one's actions are held back;
	// see Suppression.
	ActionsSuppressor                string `json:",omitempty"` // a name or an ARN
	ActionsSuppressorWaitPeriod      int    `json:",omitempty"` // seconds
	ActionsSuppressorExtensionPeriod int    `json:",omitempty"` // seconds

	Line int `json:"-"` // where the alarm begins in its file, from 1; 0 if it was not read from one
}

// CompiledComposite is a Composite ready to be judged. It is read-only after
// Compile and may be shared by goroutines.
type CompiledComposite struct {
	Composite  *Composite
	Rule       *Rule
	Suppressor string        // the name of the alarm that holds back the actions; empty: none does
	Wait       time.Duration // ActionsSuppressorWaitPeriod
	Extension  time.Duration // ActionsSuppressorExtensionPeriod
}

// Compile checks the alarm by itself: whether its children exist, and whether
// they need it in turn, is known only among all alarms (see SortComposites). The
// error joins everything that is wrong, each a *Problem. The alarm must not be
// changed afterwards.
func (c *Composite) Compile() (*CompiledComposite, error) {
	var wrong []error
	say := func(field, format string, args ...any) {
		wrong = append(wrong, &Problem{Field: field, Text: fmt.Sprintf(format, args...)})
	}
	if problem := wrongName(c.AlarmName); problem != "" {
		say("AlarmName", "%s", problem)
	}
	out := &CompiledComposite{Composite: c, Suppressor: nameOf(c.ActionsSuppressor)}
	var err error
	if out.Rule, err = ParseRule(c.AlarmRule); err != nil {
		say("AlarmRule", "%v, in %q", err, shortened(c.AlarmRule))
	}
	for _, period := range []struct {
		field   string
		seconds int
		into    *time.Duration
	}{
		{"ActionsSuppressorWaitPeriod", c.ActionsSuppressorWaitPeriod, &out.Wait},
		{"ActionsSuppressorExtensionPeriod", c.ActionsSuppressorExtensionPeriod, &out.Extension},
	} {
		if period.seconds < 0 {
			say(period.field, "is %d seconds: want no negative number", period.seconds)
		}
		*period.into = time.Duration(period.seconds) * time.Second
	}
	if out.Suppressor != "" && out.Suppressor == c.AlarmName {
		say("ActionsSuppressor", "the alarm cannot hold back its own actions: name another")
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return out, nil
}

// Evaluate is the state that follows from the children's: ALARM where the rule
// holds, else OK. A composite alarm is in INSUFFICIENT_DATA only from when it is
// made until it is judged for the first time, says AWS's PutCompositeAlarm: a
// child in INSUFFICIENT_DATA is simply neither in ALARM nor OK.
func (c *CompiledComposite) Evaluate(state func(name string) State) State {
	if c.Rule.Holds(state) {
		return InAlarm
	}
	return OK
}

// wrongName is what is wrong with an alarm's name; "": nothing.
func wrongName(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return "the alarm has no name"
	case n > maxName:
		return fmt.Sprintf("has %d characters; at most %d are allowed", n, maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7F }):
		return fmt.Sprintf("is %q: control characters, and what is not UTF-8, are not allowed", name)
	}
	return ""
}

// nameOf is the name in a reference to an alarm, which is the name itself or an
// ARN. Account and region are not compared: one stage is one account, and its
// alarms are production's by name.
func nameOf(reference string) string {
	if strings.HasPrefix(reference, "arn:") {
		if _, name, ok := strings.Cut(reference, ":alarm:"); ok {
			return name
		}
	}
	return reference
}

func shortened(text string) string {
	const most = 200
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// CycleError says that composite alarms need each other's states.
type CycleError struct {
	Path []string // names; each needs the next, and the last is the first again
}

func (e *CycleError) Error() string {
	quoted := make([]string, len(e.Path))
	for i, name := range e.Path {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return "the rules go in a circle: " + strings.Join(quoted, " needs ") + ": take one of them out of the rule before it"
}

// SortComposites orders composite alarms so that each comes after those that its
// rule names; what is not among them does not matter. Of those that could stand
// next, the first in all does. The error is a *CycleError. AWS lets people make a
// circle by changing a rule, and then stops evaluating the alarms in it without a
// word; here it is refused.
func SortComposites(all []*CompiledComposite) ([]*CompiledComposite, error) {
	const begun, done = 1, 2
	byName := make(map[string]*CompiledComposite, len(all))
	for _, c := range all {
		byName[c.Composite.AlarmName] = c
	}
	progress := make(map[string]int, len(all))
	sorted := make([]*CompiledComposite, 0, len(all))
	var path []string
	var visit func(c *CompiledComposite) error
	visit = func(c *CompiledComposite) error {
		name := c.Composite.AlarmName
		path = append(path, name)
		defer func() { path = path[:len(path)-1] }()
		switch progress[name] {
		case done:
			return nil
		case begun:
			return &CycleError{Path: slices.Clone(path[slices.Index(path, name):])}
		}
		progress[name] = begun
		for _, child := range c.Rule.Children() {
			if other := byName[child]; other != nil {
				if err := visit(other); err != nil {
					return err
				}
			}
		}
		progress[name] = done
		sorted = append(sorted, c)
		return nil
	}
	for _, c := range all {
		if err := visit(c); err != nil {
			return nil, err
		}
	}
	return sorted, nil
}
