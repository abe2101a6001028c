package alarm

import "time"

// A cast is a composite alarm and all that its state and its suppressor's hang on,
// played together.
type cast struct {
	composite  *CompiledComposite
	rehearsals []*rehearsal
	composites []*CompiledComposite // in an order in which each can be judged
	still      map[string]State     // of alarms whose metrics are not known: they stay as they are
	states     map[string]State
	kept       map[string]State
	every      int64
}

// cast puts together what the composite alarm needs. The names that the second
// result tells are of alarms that cannot be foreseen; they are taken to stay in
// the state that the file has for them, or OK.
func (o *Outlook) cast(c *CompiledComposite) (*cast, []string) {
	k := &cast{composite: c, still: map[string]State{}, states: map[string]State{}, every: minute}
	needed := map[string]bool{}
	var need func(name string)
	var unknown []string
	need = func(name string) {
		if needed[name] || name == "" {
			return
		}
		needed[name] = true
		for _, other := range o.composites {
			if other.Composite.AlarmName == name {
				for _, child := range other.Rule.Children() {
					need(child)
				}
				return
			}
		}
		for i := range o.Alarms {
			if o.Alarms[i].AlarmName != name {
				continue
			}
			if m, err := o.Alarms[i].Compile(); err == nil && o.Scene.Knows(m) {
				r := newRehearsal(m, o.Scene)
				k.rehearsals = append(k.rehearsals, r)
				k.every = min(k.every, r.every)
				return
			}
			k.still[name] = o.Alarms[i].StateValue
			unknown = append(unknown, name)
			return
		}
		k.still[name] = OK
		unknown = append(unknown, name)
	}
	need(c.Composite.AlarmName)
	need(c.Suppressor)
	for _, other := range o.composites {
		if needed[other.Composite.AlarmName] {
			k.composites = append(k.composites, other)
		}
	}
	return k, unknown
}

var _ player = (*cast)(nil)
var _ player = (*rehearsal)(nil)

func (k *cast) begin(f Failure, from, to int64) {
	for _, r := range k.rehearsals {
		r.begin(f, from, to)
	}
}

func (k *cast) forget() {
	for _, r := range k.rehearsals {
		r.forget()
	}
}

func (k *cast) reset() State {
	for name, state := range k.still {
		k.states[name] = state
	}
	for _, r := range k.rehearsals {
		k.states[r.compiled.Alarm.AlarmName] = r.reset()
	}
	return k.conclude()
}

func (k *cast) judge(at int64) State {
	for _, r := range k.rehearsals {
		if at%r.every == 0 {
			k.states[r.compiled.Alarm.AlarmName] = r.judge(at)
		}
	}
	return k.conclude()
}

// conclude judges the composite alarms, which follow their children at once.
func (k *cast) conclude() State {
	for _, c := range k.composites {
		k.states[c.Composite.AlarmName] = c.Evaluate(func(name string) State { return k.states[name] })
	}
	return k.states[k.composite.Composite.AlarmName]
}

func (k *cast) interval() int64 { return k.every }

func (k *cast) horizon(f Failure) int64 {
	most := k.every
	for _, r := range k.rehearsals {
		most = max(most, floorTo(r.horizon(f), minute)+minute)
	}
	return most
}

func (k *cast) step(f Failure) int64 {
	step := int64(1)
	for _, r := range k.rehearsals {
		step = max(step, min(k.every, r.step(f)))
	}
	for step < k.every && int64(len(k.rehearsals)) > 8*step {
		step *= 2
	}
	return step
}

func (k *cast) keep() {
	k.kept = map[string]State{}
	for name, state := range k.states {
		k.kept[name] = state
	}
	for _, r := range k.rehearsals {
		r.keep()
	}
}

func (k *cast) restore() {
	for name, state := range k.kept {
		k.states[name] = state
	}
	for _, r := range k.rehearsals {
		r.restore()
	}
}

// acts is when, after the failure begins, the composite alarm carries out the
// actions of ALARM, over all beginnings; false: they are held back at some of them.
// Where nothing holds actions back that is when it goes to ALARM.
func (k *cast) acts(f Failure) (Span, bool) {
	var span Span
	k.forget()
	horizon := 2*k.horizon(f) + int64((k.composite.Wait+k.composite.Extension)/time.Second)
	for b := int64(0); b < k.every; b += k.step(f) {
		k.begin(f, b, 0)
		state := k.reset()
		suppression := Suppression{Wait: k.composite.Wait, Extension: k.composite.Extension}
		acted := int64(-1)
		for at := k.every; at <= horizon && acted < 0; at += k.every {
			before := k.states[k.composite.Suppressor]
			if until, ok := suppression.Until(); ok && until.Before(time.Unix(at, 0)) {
				if suppression.See(until, false, before) && state == InAlarm {
					acted = until.Unix()
					break
				}
			}
			next := k.judge(at)
			if suppression.See(time.Unix(at, 0), next != state, k.states[k.composite.Suppressor]) && next == InAlarm {
				acted = at
			}
			state = next
		}
		if acted < 0 {
			return Span{}, false
		}
		span.widen(b == 0, acted-b)
	}
	return span, true
}
