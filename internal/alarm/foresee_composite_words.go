package alarm

import (
	"fmt"
	"strings"
)

func (t *telling) compositeAlarm(o *Outlook, c *CompiledComposite) {
	t.head(c.Composite.AlarmName, " (composite)")
	k, unknown := o.cast(c)
	o.looks = o.looks[:0]
	for _, f := range o.Failures {
		o.looks = append(o.looks, foreseen(k, o.Scene, f))
	}
	t.row("watches", "goes to ALARM when "+c.Rule.Words()+".")
	if len(unknown) > 0 {
		t.row("assumed", "what these do in a failure is not known here, and they are taken to stay as they are: "+strings.Join(unknown, ", ")+".")
	}
	t.timings(o)
	for i, text := range o.missed(nil) {
		label := ""
		if i == 0 {
			label = "never sees"
		}
		t.row(label, "- "+text+".")
	}
	o.waits(t, c, k)
	t.row("tells", tells(c.Composite.ActionsEnabled, c.Composite.AlarmActions))
	o.quietChildren(t, c)
	t.row("staging", o.stagingOf(k, c))
	t.row("now", nowWords(c.Composite.StateValue))
}

// stagingOf says which of the metric alarms that the composite hangs on are fed.
func (o *Outlook) stagingOf(k *cast, c *CompiledComposite) string {
	if o.Fed == nil {
		return "not known: name your rehearsal.yaml with --file."
	}
	var unfed []string
	for i := range o.Alarms {
		if name := o.Alarms[i].AlarmName; k.needs[name] && name != c.Suppressor && len(o.Fed(o.Alarms[i])) > 0 {
			unfed = append(unfed, name)
		}
	}
	for _, name := range o.Names {
		if k.needs[name] {
			unfed = append(unfed, name+" (not judged)")
		}
	}
	if unfed != nil {
		return "NOT fed in part: nothing tells the states of " + strings.Join(unfed, ", ") + "."
	}
	return "fed: the staging copy publishes the metrics of all alarms of its rule."
}

// waits tells what holds the alarm's actions back, and until when.
func (o *Outlook) waits(t *telling, c *CompiledComposite, k *cast) {
	if c.Suppressor == "" {
		t.row("waits", "for nothing: its actions are carried out as it changes.")
		return
	}
	t.row("waits", fmt.Sprintf("%s for %s to go to ALARM, which holds its actions back for as long as it is there, and %s longer.",
		spoken(c.Wait), c.Suppressor, spoken(c.Extension)))
	for _, look := range o.looks {
		if !look.Fires {
			continue
		}
		if span, ok := k.acts(look.Failure); ok {
			t.row("", fmt.Sprintf("People are told %s after this begins: %s.", span, look.Failure.Words(o.Scene)))
		} else {
			t.row("", fmt.Sprintf("NOBODY is told of this while it lasts: %s.", look.Failure.Words(o.Scene)))
		}
	}
}

// quietChildren tells which alarms of the rule people hear of only through this
// one.
func (o *Outlook) quietChildren(t *telling, c *CompiledComposite) {
	var loud []string
	for _, name := range c.Rule.Children() {
		for i := range o.Alarms {
			if a := &o.Alarms[i]; a.AlarmName == name && a.ActionsEnabled && len(a.AlarmActions) > 0 {
				loud = append(loud, name)
			}
		}
	}
	if len(loud) > 0 {
		t.row("", "These of its rule tell people by themselves too: "+strings.Join(loud, ", ")+".")
	}
}

// Words is the rule as people say it.
func (r *Rule) Words() string { return r.Say(fmt.Sprintf) }

// Say is the rule as people say it, in the words that say makes of English formats.
func (r *Rule) Say(say func(format string, args ...any) string) string { return r.root.words(0, say) }

// words writes a condition, in parentheses where it binds less tightly than is
// asked for.
func (c *condition) words(least int, say func(string, ...any) string) string {
	text := c.bare(say)
	if c.binds() < least {
		return "(" + text + ")"
	}
	return text
}

func (c *condition) bare(say func(string, ...any) string) string {
	list := func(both string) string {
		var all []string
		for _, arg := range c.args {
			all = append(all, arg.words(c.binds()+1, say))
		}
		return strings.Join(all, both)
	}
	switch c.op {
	case ruleTrue:
		return say("always")
	case ruleFalse:
		return say("never")
	case ruleIs:
		return say("%s is in %s", c.alarms[0], c.state.String())
	case ruleAtLeast:
		many := fmt.Sprint(c.least)
		if c.share {
			many += "%"
		}
		names := strings.Join(c.alarms, ", ")
		if c.not {
			return say("at least %s of these are not in %s: %s", many, c.state.String(), names)
		}
		return say("at least %s of these are in %s: %s", many, c.state.String(), names)
	case ruleNot:
		if arg := c.args[0]; arg.op == ruleIs {
			return say("%s is not in %s", arg.alarms[0], arg.state.String())
		}
		return say("it is not so that %s", c.args[0].words(bindsNot, say))
	case ruleAnd:
		return list(say(" and "))
	case ruleOr:
		return list(say(" or "))
	}
	panic(fmt.Sprintf("alarm: unknown part of a rule %d", c.op))
}
