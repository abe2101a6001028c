package report_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"rehearsal/internal/alarm"
	"rehearsal/internal/lang"
	"rehearsal/internal/report"
	"rehearsal/internal/stage"
)

func TestAReleaseIsToldLineByLine(t *testing.T) {
	at := 65 * time.Second
	for want, e := range map[string]stage.Event{
		"01:05 start v2":                               {Kind: stage.Stepped, Detail: "start v2"},
		"01:05 => roll back to v1":                     {Kind: stage.Decided, Detail: "roll back to v1"},
		"01:05 v2 has 2 healthy replicas":              {Kind: stage.Deployed, Version: "v2", Replicas: 2},
		"01:05 v2 runs no more":                        {Kind: stage.Retired, Version: "v2"},
		"01:05 traffic: v1 90 %, v2 10 %":              {Kind: stage.Shifted, Shares: stage.Shares{"v1": 90, "v2": 10}},
		"01:05 a replica of v2 exited: status 1":       {Kind: stage.Exited, Version: "v2", Detail: "status 1"},
		"01:05 smoke requests to v2: ok":               {Kind: stage.Probed, OK: true, Probe: &stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"}},
		"01:05 smoke requests to v2: browse: 500":      {Kind: stage.Probed, Detail: "browse: 500", Probe: &stage.Probe{Kind: stage.ProbeSmoke, Version: "v2"}},
		`01:05 alarm "shop-5xx-rate" is ALARM: 3 of 5`: {Kind: stage.Changed, Alarm: &stage.AlarmChange{Name: "shop-5xx-rate", From: alarm.OK, To: alarm.InAlarm, Reason: "3 of 5"}},
		"01:05 REFUSED: shop called example.com:443":   {Kind: stage.CalledOut, Call: &stage.Call{By: "shop", Host: "example.com", Port: 443}},
	} {
		e.At = at
		assert.Equal(t, want, report.Line(lang.English, e))
	}
	for _, e := range []stage.Event{
		{Kind: stage.Served, Traffic: &stage.Traffic{}}, {Kind: stage.Ended},
		{Kind: stage.Changed, Alarm: &stage.AlarmChange{From: alarm.InsufficientData, To: alarm.OK}},
	} {
		assert.Empty(t, report.Line(lang.English, e), "too much to tell")
	}
}
