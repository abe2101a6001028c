package check_test

import (
	"time"

	"rehearsal/internal/alarm"
	"rehearsal/internal/stage"
)

// past is a history made by hand: each event at its time, in order.
type past struct {
	now time.Duration
	*stage.History
}

func newPast() *past {
	p := &past{}
	p.History = stage.NewHistory(func() time.Duration { return p.now }, nil)
	return p
}

// at lets time pass until d, at which what follows happens.
func (p *past) at(d time.Duration) *past {
	if d < p.now {
		panic("a history made by hand goes back in time")
	}
	p.now = d
	return p
}

func (p *past) record(e stage.Event) *past {
	p.Record(e)
	return p
}

func (p *past) deploy(v string) *past { return p.record(stage.Event{Kind: stage.Deployed, Version: v}) }
func (p *past) retire(v string) *past { return p.record(stage.Event{Kind: stage.Retired, Version: v}) }
func (p *past) shift(s stage.Shares) *past {
	return p.record(stage.Event{Kind: stage.Shifted, Shares: s})
}
func (p *past) confirm() *past { return p.record(stage.Event{Kind: stage.Confirmed}) }
func (p *past) end() *past     { return p.record(stage.Event{Kind: stage.Ended}) }

func (p *past) inject(f stage.Failure) *past {
	return p.record(stage.Event{Kind: stage.Injected, Failure: &f})
}

func (p *past) land(f stage.Failure) *past {
	return p.record(stage.Event{Kind: stage.Landed, Failure: &f})
}

func (p *past) heal(f stage.Failure) *past {
	return p.record(stage.Event{Kind: stage.Healed, Failure: &f})
}

func (p *past) red(name string) *past {
	return p.record(stage.Event{Kind: stage.Changed, Alarm: &stage.AlarmChange{Name: name, From: alarm.OK, To: alarm.InAlarm, Reason: "3 out of 5 datapoints"}})
}

func (p *past) green(name string) *past {
	return p.record(stage.Event{Kind: stage.Changed, Alarm: &stage.AlarmChange{Name: name, From: alarm.InAlarm, To: alarm.OK}})
}

func (p *past) decide(on bool, why string) *past {
	return p.record(stage.Event{Kind: stage.Decided, OK: on, Detail: why})
}

// serve is traffic of v since from, which ends now.
func (p *past) serve(v string, from time.Duration, requests, failed int64) *past {
	return p.record(stage.Event{Kind: stage.Served, Version: v, Traffic: &stage.Traffic{From: from, To: p.now, Requests: requests, Failed: failed}})
}

func (p *past) audit(acknowledged, lost, doubled int64) *past {
	return p.record(stage.Event{Kind: stage.Audited, Writes: &stage.Writes{Acknowledged: acknowledged, Lost: lost, Doubled: doubled, Keys: []string{"key-1"}}})
}

const (
	sec  = time.Second
	mins = time.Minute
)

var (
	onV1   = stage.Shares{"v1": 100}
	onV2   = stage.Shares{"v2": 100}
	canary = stage.Shares{"v1": 90, "v2": 10}
	none   = stage.Shares{"v1": 100, "v2": 0}

	errorsOfV2 = stage.Failure{Kind: stage.Errors, Version: "v2", Share: 50}
	errorsOfV1 = stage.Failure{Kind: stage.Errors, Version: "v1", Share: 50}
	noPayments = stage.Failure{Kind: stage.DependencyDown, Dependency: "payments"}
)

// steady is a stage on which v1 serves everyone well, from 1 minute to 5.
func steady() *past {
	return newPast().
		record(stage.Event{Kind: stage.Began}).
		at(10*sec).deploy("v1").shift(onV1).
		at(mins).serve("v1", 10*sec, 10000, 500). // it warms up
		at(5*mins).serve("v1", mins, 48000, 0).confirm()
}

// badRelease is v2 as a canary at 6 minutes, failing from 7, seen at 10, back at 10 and 20 s,
// watched until end.
func badRelease(end time.Duration) *past {
	p := steady().
		at(6*mins).serve("v1", 5*mins, 12000, 0).deploy("v2").inject(errorsOfV2).shift(canary).
		at(7*mins).serve("v1", 6*mins, 10800, 0).serve("v2", 6*mins, 1200, 0).land(errorsOfV2).
		at(10*mins).serve("v1", 7*mins, 32400, 0).serve("v2", 7*mins, 3600, 1800).red("errors").
		decide(false, "roll back to v1").
		at(10*mins+20*sec).serve("v1", 10*mins, 3600, 0).serve("v2", 10*mins, 400, 200).shift(none).
		at(10*mins+30*sec).retire("v2").decide(false, "rolled back")
	return p.at(end).serve("v1", 10*mins+20*sec, 200*int64((end-10*mins-20*sec)/sec), 0)
}
