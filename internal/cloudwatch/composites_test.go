package cloudwatch_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

func over(name, rule string) alarm.Composite {
	return alarm.Composite{AlarmName: name, AlarmRule: rule, ActionsEnabled: true, OKActions: []string{name + " ok"}, AlarmActions: []string{name + " alarm"}}
}

// told is what a store said, in the order in which it happened.
type told struct {
	*cloudwatch.Store
	changes []cloudwatch.Transition
	actions []string
	now     time.Time
}

func newTold(t *testing.T, alarms []alarm.Alarm, composites ...alarm.Composite) *told {
	t.Helper()
	v := &told{now: epoch}
	v.Store = cloudwatch.NewStore(cloudwatch.Options{
		Now:     func() time.Time { return v.now },
		Changed: func(t cloudwatch.Transition) { v.changes = append(v.changes, t) },
		Acted: func(a cloudwatch.Action) {
			for _, arn := range a.ARNs {
				v.actions = append(v.actions, fmt.Sprintf("%s %s", a.Time.Sub(epoch), arn))
			}
		},
	})
	require.NoError(t, v.PutAlarms(alarms))
	require.NoError(t, v.PutComposites(composites))
	return v
}

// silent is an alarm that judges nothing by itself within the test: it is set.
func silent(names ...string) (all []alarm.Alarm) {
	for _, name := range names {
		a := above(name, 60, 1)
		a.TreatMissingData, a.OKActions, a.AlarmActions = "ignore", nil, nil
		all = append(all, a)
	}
	return all
}

func (v *told) set(t *testing.T, at time.Duration, name string, to alarm.State) {
	t.Helper()
	v.now = epoch.Add(at)
	v.Evaluate(v.now)
	require.NoError(t, v.SetAlarmState(name, to, "a test"))
}

func TestCompositesFollowInTheSameInstant(t *testing.T) {
	v := newTold(t, []alarm.Alarm{above("errors", 60, 1)},
		over("top", `ALARM("mid") AND NOT OK(errors)`), over("mid", "ALARM(low) OR FALSE"), over("low", "ALARM(errors)"))
	errors := v.Series("shop", "Errors")
	for m, n := range []float64{1, 50, 50, 1} {
		errors.AddValue(minute(float64(m)), n, 1)
		v.Evaluate(minute(float64(m) + 1))
	}
	assert.Equal(t, []string{
		"1m0s errors INSUFFICIENT_DATA -> OK",
		"1m0s low INSUFFICIENT_DATA -> OK",
		"1m0s mid INSUFFICIENT_DATA -> OK",
		"1m0s top INSUFFICIENT_DATA -> OK",
		"2m0s errors OK -> ALARM",
		"2m0s low OK -> ALARM",
		"2m0s mid OK -> ALARM",
		"2m0s top OK -> ALARM",
		"4m0s errors ALARM -> OK",
		"4m0s low ALARM -> OK",
		"4m0s mid ALARM -> OK",
		"4m0s top ALARM -> OK",
	}, brief(v.changes))
	assert.Equal(t, "arn:aws:cloudwatch:us-east-1:000000000000:alarm:low was created and its alarm rule evaluates to OK", v.changes[1].Reason)
	assert.Equal(t, "arn:aws:cloudwatch:us-east-1:000000000000:alarm:errors transitioned to ALARM at Monday 05 January, 2026 09:02:00 UTC", v.changes[5].Reason)
	assert.Equal(t, []string{"top alarm"}, v.changes[7].Actions)
	assert.True(t, v.changes[7].Composite)
	assert.Equal(t, v.changes, v.Transitions())
	assert.Equal(t, []string{
		"1m0s arn:ok", "1m0s low ok", "1m0s mid ok", "1m0s top ok",
		"2m0s arn:alarm", "2m0s low alarm", "2m0s mid alarm", "2m0s top alarm",
		"4m0s arn:ok", "4m0s low ok", "4m0s mid ok", "4m0s top ok",
	}, v.actions)
	state, known := v.State("top")
	assert.True(t, known)
	assert.Equal(t, alarm.OK, state)
	assert.Equal(t, minute(4), v.Composites()[2].Since)
}

// A child without data is neither in ALARM nor OK; a composite alarm is in
// INSUFFICIENT_DATA only until it is judged for the first time.
func TestCompositesOfChildrenWithoutData(t *testing.T) {
	v := newTold(t, silent("a"), over("rings", "ALARM(a)"), over("well", "OK(a)"), over("unknown", "INSUFFICIENT_DATA(a)"), over("not", "NOT ALARM(a)"))
	for _, name := range []string{"rings", "well", "unknown", "not"} {
		state, _ := v.State(name)
		assert.Equal(t, alarm.InsufficientData, state)
	}
	v.Evaluate(minute(1))
	for name, want := range map[string]alarm.State{"rings": alarm.OK, "well": alarm.OK, "unknown": alarm.InAlarm, "not": alarm.InAlarm} {
		state, _ := v.State(name)
		assert.Equal(t, want, state, name)
	}
}

func TestACompositeAloneIsJudged(t *testing.T) {
	v := newTold(t, nil, over("always", "TRUE"))
	assert.Equal(t, []string{"30s always INSUFFICIENT_DATA -> ALARM"}, brief(v.Evaluate(minute(0.5))))
	assert.Empty(t, v.Evaluate(minute(2)))
}

func TestASetCompositeStaysUntilAChildChanges(t *testing.T) {
	v := newTold(t, silent("a", "b"), over("top", "ALARM(a) OR ALARM(b)"), over("roof", "ALARM(top)"))
	v.Evaluate(minute(1))
	v.changes = nil
	v.set(t, 70*time.Second, "top", alarm.InAlarm)
	v.Evaluate(minute(5))
	assert.Equal(t, []string{"1m10s top OK -> ALARM", "1m10s roof OK -> ALARM"}, brief(v.changes))
	assert.Equal(t, "a test", v.changes[0].Reason)
	v.set(t, 6*time.Minute, "a", alarm.OK)
	assert.Equal(t, []string{"6m0s a INSUFFICIENT_DATA -> OK", "6m0s top ALARM -> OK", "6m0s roof ALARM -> OK"}, brief(v.changes[2:]))

	// Or until it is put again.
	v.set(t, 7*time.Minute, "top", alarm.InAlarm)
	v.changes = nil
	require.NoError(t, v.PutComposites([]alarm.Composite{over("top", "ALARM(a)")}))
	state, _ := v.State("top")
	assert.Equal(t, alarm.InAlarm, state, "it keeps its state until then")
	v.Evaluate(minute(8))
	assert.Equal(t, []string{"8m0s top ALARM -> OK", "8m0s roof ALARM -> OK"}, brief(v.changes))
	assert.Equal(t, "arn:aws:cloudwatch:us-east-1:000000000000:alarm:top was updated and its alarm rule evaluates to OK", v.changes[0].Reason)
}

func TestActionsOfACompositeAreHeldBack(t *testing.T) {
	top := over("top", "ALARM(a)")
	top.ActionsSuppressor, top.ActionsSuppressorWaitPeriod, top.ActionsSuppressorExtensionPeriod = "s", 120, 180
	v := newTold(t, silent("a", "s"), top)
	v.set(t, 0, "a", alarm.OK)
	v.Evaluate(minute(1))
	v.Evaluate(minute(10))
	assert.Equal(t, []string{"2m0s top ok"}, v.actions, "two minutes after it was judged first")
	v.changes, v.actions = nil, nil

	by := func() alarm.Suppressed { return v.Composites()[0].SuppressedBy }
	v.set(t, 20*time.Minute, "a", alarm.InAlarm)
	require.Len(t, v.changes, 2)
	assert.Equal(t, alarm.InAlarm, v.changes[1].To, "the state changes all the same")
	assert.Equal(t, alarm.SuppressedByWait, v.changes[1].SuppressedBy)
	assert.Empty(t, v.changes[1].Actions)
	v.set(t, 20*time.Minute+30*time.Second, "s", alarm.InAlarm)
	assert.Equal(t, alarm.SuppressedByAlarm, by())
	v.set(t, 25*time.Minute+10*time.Second, "s", alarm.OK)
	assert.Equal(t, alarm.SuppressedByExtension, by())
	assert.Equal(t, epoch.Add(28*time.Minute+10*time.Second), v.NextEvaluation(minute(28)), "the end of the extension")
	v.Evaluate(minute(40))
	assert.Equal(t, []string{"28m10s top alarm"}, v.actions)
	assert.Equal(t, alarm.NotSuppressed, by())

	// Another suppressor discards what is held back.
	v.set(t, 50*time.Minute, "a", alarm.OK)
	assert.Equal(t, alarm.SuppressedByWait, by())
	top.ActionsSuppressor = "a"
	require.NoError(t, v.PutComposites([]alarm.Composite{top}))
	assert.Equal(t, alarm.NotSuppressed, by())
	v.Evaluate(minute(60))
	assert.Len(t, v.actions, 1)
}

// A wait that begins between two seconds ends, and the evaluation with it.
func TestAWaitFromTheMiddleOfASecond(t *testing.T) {
	top := over("top", "ALARM(a)")
	top.ActionsSuppressor, top.ActionsSuppressorWaitPeriod = "s", 1
	v := newTold(t, silent("a", "s"), top)
	v.Evaluate(minute(1))
	v.Evaluate(minute(2))
	v.actions = nil
	v.set(t, 2*time.Minute+500*time.Millisecond, "a", alarm.InAlarm)
	v.Evaluate(minute(3))
	assert.Equal(t, []string{"2m2s top alarm"}, v.actions)
}

func TestDisabledActions(t *testing.T) {
	top := over("top", "ALARM(a)")
	top.ActionsSuppressor, top.ActionsSuppressorWaitPeriod = "s", 60
	alarms := silent("a", "s")
	alarms[0].AlarmActions = []string{"a alarm"}
	v := newTold(t, alarms, top)
	v.Evaluate(minute(1))
	v.Evaluate(minute(5))
	v.actions, v.changes = nil, nil
	v.SetActionsEnabled(false, "a", "nobody", "top")
	v.set(t, 6*time.Minute, "a", alarm.InAlarm)
	v.Evaluate(minute(10))
	assert.Equal(t, []string{"6m0s a INSUFFICIENT_DATA -> ALARM", "6m0s top OK -> ALARM"}, brief(v.changes))
	assert.Empty(t, v.actions)
	v.SetActionsEnabled(true, "a", "top")
	v.Evaluate(minute(20))
	assert.Empty(t, v.actions, "on a change of state only")
	v.set(t, 21*time.Minute, "a", alarm.OK)
	v.set(t, 31*time.Minute, "a", alarm.InAlarm)
	assert.Equal(t, []string{"22m0s top ok", "31m0s a alarm"}, v.actions)
}

func TestPutCompositesIsAllOrNothing(t *testing.T) {
	for want, composites := range map[string][]alarm.Composite{
		`alarm "b": AlarmRule: column 8: expected`:                                                {over("a", "TRUE"), over("b", "ALARM(x")},
		`Could not save the composite alarm as alarms [x, y] in the alarm rule do not exist`:      {over("a", "TRUE"), over("b", "ALARM(a) OR ALARM(x) OR ALARM(y)")},
		`the rules go in a circle: "a" needs "b" needs "a"`:                                       {over("a", "ALARM(b)"), over("b", "ALARM(a)")},
		`there is a metric alarm "m" already`:                                                     {over("a", "TRUE"), over("m", "TRUE")},
		`two composite alarms have the name "a"`:                                                  {over("a", "TRUE"), over("a", "FALSE")},
		`Could not save the composite alarm as the actions suppressor alarm "nobody" does not ex`: {{AlarmName: "a", AlarmRule: "TRUE", ActionsSuppressor: "nobody"}},
	} {
		v := newTold(t, silent("m"))
		assert.ErrorContains(t, v.PutComposites(composites), want)
		assert.Empty(t, v.Composites())
	}
	v := newTold(t, silent("m"))
	var many []alarm.Composite
	for i := range 151 {
		many = append(many, over(fmt.Sprint(i), "ALARM(m)"))
	}
	assert.ErrorContains(t, v.PutComposites(many), `the alarm "m" would be in the rules of more than 150 composite alarms`)
	assert.NoError(t, v.PutComposites(many[:150]))
}

func TestWhatACompositeNeedsIsNotDeleted(t *testing.T) {
	top := over("top", "ALARM(a) OR ALARM(mid)")
	top.ActionsSuppressor = "s"
	v := newTold(t, silent("a", "b", "s", "free"), top, over("mid", "OK(b)"))
	for want, names := range map[string][]string{
		"Cannot delete a as there are composite alarm(s) depending on it.":       {"free", "a"},
		"Cannot delete a,b as there are composite alarm(s) depending on them.":   {"a", "b"},
		"Cannot delete mid as there are composite alarm(s) depending on it.":     {"mid"},
		"Cannot delete s as there are composite alarm(s) depending on it.":       {"s"},
		"AlarmNames has 2 composite alarms; at most 1 is allowed in a call":      {"top", "mid"},
		"AlarmNames has 101 members; at most 100 are allowed":                    make([]string, 101),
		`there is no alarm "x": the alarms are ["a" "b" "s" "free" "mid" "top"]`: {"x"},
	} {
		assert.ErrorContains(t, v.DeleteAlarms(names...), want)
		assert.Len(t, v.Alarms(), 4)
	}
	require.NoError(t, v.DeleteAlarms("top", "a", "s"), "what depends on them goes too")
	assert.Len(t, v.Alarms(), 2)
	require.NoError(t, v.DeleteAlarms("mid"))
	require.NoError(t, v.DeleteAlarms("b"))
	v.Evaluate(minute(1))
	_, known := v.State("top")
	assert.False(t, known)
}

func TestCompositesOverTheWire(t *testing.T) {
	ctx := context.Background()
	s := serve(t)
	s.set(minute(2))
	wireAlarms(t, s.cw, []alarm.Alarm{above("a", 60, 1), above("s", 60, 1)})
	put := func(change func(*api.PutCompositeAlarmInput)) error {
		in := &api.PutCompositeAlarmInput{AlarmName: aws.String("top"), AlarmDescription: aws.String("all of it"), AlarmRule: aws.String("ALARM(a) OR ALARM(mid)"),
			AlarmActions: []string{"arn:top"}, ActionsSuppressor: aws.String("s"), ActionsSuppressorWaitPeriod: aws.Int32(0), ActionsSuppressorExtensionPeriod: aws.Int32(120)}
		change(in)
		_, err := s.cw.PutCompositeAlarm(ctx, in)
		return err
	}
	require.NoError(t, put(func(in *api.PutCompositeAlarmInput) {
		in.AlarmName, in.AlarmRule, in.ActionsSuppressor = aws.String("mid"), aws.String("ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:a)"), nil
	}))
	require.NoError(t, put(func(*api.PutCompositeAlarmInput) {}))
	for name, row := range map[string]struct {
		change func(*api.PutCompositeAlarmInput)
		code   string
	}{
		"no rule":       {func(in *api.PutCompositeAlarmInput) { in.AlarmRule = aws.String("") }, "ValidationError"},
		"space":         {func(in *api.PutCompositeAlarmInput) { in.AlarmRule = aws.String("TRUE\n") }, "ValidationError"},
		"grammar":       {func(in *api.PutCompositeAlarmInput) { in.AlarmRule = aws.String("ALARM(a") }, "ValidationError"},
		"no such child": {func(in *api.PutCompositeAlarmInput) { in.AlarmRule = aws.String("ALARM(x)") }, "ValidationError"},
		"itself":        {func(in *api.PutCompositeAlarmInput) { in.AlarmRule = aws.String("ALARM(top)") }, "ValidationError"},
		"a circle": {func(in *api.PutCompositeAlarmInput) {
			in.AlarmName, in.AlarmRule = aws.String("mid"), aws.String("OK(top)")
		}, "ValidationError"},
		"a metric alarm":  {func(in *api.PutCompositeAlarmInput) { in.AlarmName = aws.String("a") }, "ValidationError"},
		"no wait":         {func(in *api.PutCompositeAlarmInput) { in.ActionsSuppressorWaitPeriod = nil }, "MissingParameter"},
		"no extension":    {func(in *api.PutCompositeAlarmInput) { in.ActionsSuppressorExtensionPeriod = nil }, "MissingParameter"},
		"six actions":     {func(in *api.PutCompositeAlarmInput) { in.OKActions = []string{"1", "2", "3", "4", "5", "6"} }, "ValidationError"},
		"long":            {func(in *api.PutCompositeAlarmInput) { in.AlarmDescription = aws.String(strings.Repeat("警", 1025)) }, "ValidationError"},
		"an empty action": {func(in *api.PutCompositeAlarmInput) { in.OKActions = []string{""} }, "ValidationError"},
	} {
		err := put(row.change)
		var e smithy.APIError
		if assert.ErrorAs(t, err, &e, name) {
			assert.Contains(t, []string{row.code, row.code + "Exception", "MissingRequiredParameterException"}, e.ErrorCode(), name)
		}
	}

	s.Evaluate(minute(2))
	s.Series("shop", "Errors").AddValue(minute(2), 50, 1) // a and s, in the same minute
	s.Evaluate(minute(3))
	composite := []types.AlarmType{types.AlarmTypeCompositeAlarm}
	all, err := s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{AlarmTypes: composite})
	require.NoError(t, err)
	assert.Empty(t, all.MetricAlarms)
	require.Len(t, all.CompositeAlarms, 2)
	top := all.CompositeAlarms[1]
	assert.Equal(t, "top", *top.AlarmName)
	assert.Equal(t, "all of it", *top.AlarmDescription)
	assert.Equal(t, "ALARM(a) OR ALARM(mid)", *top.AlarmRule)
	assert.Equal(t, types.StateValueAlarm, top.StateValue)
	assert.Equal(t, types.ActionsSuppressedByAlarm, top.ActionsSuppressedBy)
	assert.Equal(t, "Actions suppressed by Alarm", *top.ActionsSuppressedReason)
	assert.EqualValues(t, 0, *top.ActionsSuppressorWaitPeriod)
	assert.EqualValues(t, 120, *top.ActionsSuppressorExtensionPeriod)
	assert.Equal(t, minute(3), top.StateTransitionedTimestamp.UTC())
	assert.JSONEq(t, `{"triggeringAlarms":[{"arn":"arn:aws:cloudwatch:us-east-1:000000000000:alarm:a","state":{"value":"ALARM","timestamp":"2026-01-05T09:03:00.000+0000"}}]}`, *top.StateReasonData)
	assert.Nil(t, all.CompositeAlarms[0].ActionsSuppressor)

	describe := func(in api.DescribeAlarmsInput) (names []string) {
		for {
			page, err := s.cw.DescribeAlarms(ctx, &in)
			require.NoError(t, err)
			for _, a := range page.MetricAlarms {
				names = append(names, *a.AlarmName+" "+string(a.StateValue))
			}
			for _, a := range page.CompositeAlarms {
				names = append(names, *a.AlarmName+" "+string(a.StateValue))
			}
			if in.NextToken = page.NextToken; in.NextToken == nil {
				return names
			}
		}
	}
	both := []types.AlarmType{types.AlarmTypeCompositeAlarm, types.AlarmTypeMetricAlarm}
	assert.Equal(t, []string{"a ALARM", "s ALARM"}, describe(api.DescribeAlarmsInput{}), "metric alarms, unless asked otherwise")
	assert.Equal(t, []string{"a ALARM", "mid ALARM", "s ALARM", "top ALARM"}, describe(api.DescribeAlarmsInput{AlarmTypes: both, MaxRecords: aws.Int32(1)}))
	assert.Equal(t, []string{"mid ALARM", "top ALARM"}, describe(api.DescribeAlarmsInput{AlarmTypes: both, ActionPrefix: aws.String("arn:top")}))
	assert.Equal(t, []string{"a ALARM", "mid ALARM"}, describe(api.DescribeAlarmsInput{ChildrenOfAlarmName: aws.String("top"), MaxRecords: aws.Int32(1)}))
	assert.Equal(t, []string{"mid ", "top "}, describe(api.DescribeAlarmsInput{ParentsOfAlarmName: aws.String("a")}), "names and ARNs only")
	assert.Empty(t, describe(api.DescribeAlarmsInput{ParentsOfAlarmName: aws.String("top")}))
	_, err = s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{ParentsOfAlarmName: aws.String("a"), AlarmTypes: both})
	assert.ErrorContains(t, err, "ValidationError")
	_, err = s.cw.DescribeAlarms(ctx, &api.DescribeAlarmsInput{AlarmTypes: []types.AlarmType{"Other"}})
	assert.ErrorContains(t, err, "InvalidParameterValue")

	history, err := s.cw.DescribeAlarmHistory(ctx, &api.DescribeAlarmHistoryInput{AlarmTypes: composite, ScanBy: types.ScanByTimestampAscending})
	require.NoError(t, err)
	var summaries []string
	for _, item := range history.AlarmHistoryItems {
		assert.Equal(t, types.AlarmTypeCompositeAlarm, item.AlarmType)
		assert.True(t, json.Valid([]byte(*item.HistoryData)))
		summaries = append(summaries, fmt.Sprintf("%s %s: %s", *item.AlarmName, item.HistoryItemType, *item.HistorySummary))
	}
	assert.Equal(t, []string{
		`mid ConfigurationUpdate: Alarm "mid" created`,
		`top ConfigurationUpdate: Alarm "top" created`,
		`mid StateUpdate: Alarm updated from INSUFFICIENT_DATA to OK`,
		`top StateUpdate: Alarm updated from INSUFFICIENT_DATA to OK`,
		`mid StateUpdate: Alarm updated from OK to ALARM`,
		`mid Action: Successfully executed action arn:top`,
		`top StateUpdate: Alarm updated from OK to ALARM`,
	}, summaries)
	assert.Contains(t, *history.AlarmHistoryItems[1].HistoryData, `"alarmRule":"ALARM(a) OR ALARM(mid)"`)
	assert.Contains(t, *history.AlarmHistoryItems[6].HistoryData, `"actionsSuppressedBy":"Alarm"`)
	history, err = s.cw.DescribeAlarmHistory(ctx, &api.DescribeAlarmHistoryInput{AlarmName: aws.String("top")})
	require.NoError(t, err)
	assert.Empty(t, history.AlarmHistoryItems, "metric alarms, unless asked otherwise")

	_, err = s.cw.DeleteAlarms(ctx, &api.DeleteAlarmsInput{AlarmNames: []string{"a"}})
	assert.ErrorContains(t, err, "ValidationError: Cannot delete a as there are composite alarm(s) depending on it.")
	_, err = s.cw.DeleteAlarms(ctx, &api.DeleteAlarmsInput{AlarmNames: []string{"top"}})
	require.NoError(t, err)
	history, err = s.cw.DescribeAlarmHistory(ctx, &api.DescribeAlarmHistoryInput{AlarmName: aws.String("top"), AlarmTypes: both, MaxRecords: aws.Int32(1)})
	require.NoError(t, err)
	assert.Equal(t, `Alarm "top" deleted`, *history.AlarmHistoryItems[0].HistorySummary, "the history stays")
}

// Topics are notified when the actions are carried out, which may be later than the
// change of state.
func TestCompositeAlarmsNotifyTopics(t *testing.T) {
	const topic = "arn:aws:sns:us-east-1:000000000000:alerts"
	s, _ := serveSNS(t, cloudwatch.SNSOptions{})
	var mu sync.Mutex
	var got []cloudwatch.Message
	stop, err := s.Subscribe(topic, func(m cloudwatch.Message) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, m)
	})
	require.NoError(t, err)
	defer stop()
	top := over("top", "ALARM(a)")
	top.AlarmActions, top.OKActions = []string{topic}, nil
	top.ActionsSuppressor, top.ActionsSuppressorWaitPeriod = "s", 120
	require.NoError(t, s.PutAlarms(silent("a", "s")))
	require.NoError(t, s.PutComposites([]alarm.Composite{top}))
	s.Evaluate(minute(1))
	s.set(minute(10))
	s.Evaluate(minute(10))
	require.NoError(t, s.SetAlarmState("a", alarm.InAlarm, "a test"))
	require.NoError(t, s.Flush(context.Background()))
	mu.Lock()
	assert.Empty(t, got, "held back")
	mu.Unlock()
	s.Evaluate(minute(15))
	require.NoError(t, s.Flush(context.Background()))
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, got, 1)
	assert.Equal(t, `ALARM: "top" in US East (N. Virginia)`, got[0].Subject)
	assert.Equal(t, minute(12), got[0].Time)
	assert.Equal(t, `{"AlarmName":"top","AlarmDescription":null,"AWSAccountId":"000000000000","NewStateValue":"ALARM",`+
		`"NewStateReason":"arn:aws:cloudwatch:us-east-1:000000000000:alarm:a transitioned to ALARM at Monday 05 January, 2026 09:10:00 UTC",`+
		`"StateChangeTime":"2026-01-05T09:10:00.000+0000","Region":"US East (N. Virginia)","AlarmArn":"arn:aws:cloudwatch:us-east-1:000000000000:alarm:top",`+
		`"OldStateValue":"OK","OKActions":[],"AlarmActions":["`+topic+`"],"InsufficientDataActions":[],"AlarmRule":"ALARM(a)",`+
		`"TriggeringChildren":[{"Arn":"arn:aws:cloudwatch:us-east-1:000000000000:alarm:a","State":{"Value":"ALARM","Timestamp":"2026-01-05T09:10:00.000+0000"}}]}`, got[0].Message)
}
