package alarm

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// states is alarms by state: those whose names begin with a are in ALARM, with o
// OK, with i in INSUFFICIENT_DATA.
func states(name string) State {
	return map[byte]State{'a': InAlarm, 'o': OK, 'i': InsufficientData}[name[0]]
}

func TestRulesHold(t *testing.T) {
	for text, want := range map[string]bool{
		"TRUE": true, "FALSE": false, "true": true, "false": false,
		"ALARM(a)": true, "ALARM(o)": false, "ALARM(i)": false,
		"OK(a)": false, "OK(o)": true, "OK(i)": false,
		"INSUFFICIENT_DATA(a)": false, "INSUFFICIENT_DATA(o)": false, "INSUFFICIENT_DATA(i)": true,
		`ALARM("a b, (c)")`: true, `ALARM ( "a" )`: true, `ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a)`: true,
		`OK("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:o:1")`: true,
		// A child without data is neither in ALARM nor OK, and nothing in between.
		"ALARM(a) AND ALARM(i)": false, "ALARM(a) OR ALARM(i)": true, "NOT ALARM(i)": true, "NOT OK(i)": true,
		"ALARM(i) OR OK(i)": false, "NOT ALARM(i) AND NOT OK(i)": true,
		// NOT before AND before OR, unless there are parentheses.
		"TRUE OR TRUE AND FALSE": true, "(TRUE OR TRUE) AND FALSE": false,
		"NOT FALSE AND FALSE": false, "NOT (FALSE AND FALSE)": true, "NOT NOT TRUE": true, "NOT TRUE OR TRUE": true,
		"(ALARM(a1) OR ALARM(o1)) AND\n OK(o2)": true,
		"AT_LEAST(2, ALARM, (a1, a2, o1))":      true, "AT_LEAST(3, ALARM, (a1, a2, o1))": false,
		"AT_LEAST(50%, OK, (o1, o2, a1, i1))": true, "AT_LEAST(51%, OK, (o1, o2, a1, i1))": false,
		"AT_LEAST(100%, NOT OK, (a1, i1))": true, "AT_LEAST(2, NOT ALARM, (a1, i1, o1))": true,
		"AT_LEAST(1, NOT INSUFFICIENT_DATA, (i1, i2))":         false,
		"AT_LEAST(2, ALARM, (a1, a2, a3)) AND NOT ALARM(oops)": true,
	} {
		r, err := ParseRule(text)
		if assert.NoError(t, err, text) {
			assert.Equal(t, want, r.Holds(states), text)
		}
	}
}

func TestChildrenOfARule(t *testing.T) {
	r, err := ParseRule(`ALARM(b) OR OK("a \"x\" \\") AND AT_LEAST(1, ALARM, (b, arn:aws:cloudwatch:eu-west-1:1:alarm:c)) OR ALARM(警報)`)
	require.NoError(t, err)
	assert.Equal(t, []string{"b", `a "x" \`, "c", "警報"}, r.Children())
	assert.Equal(t, `ALARM("b") OR OK("a \"x\" \\") AND AT_LEAST(1, ALARM, ("b", "c")) OR ALARM("警報")`, r.String())
}

func TestWrongRulesAreShownWhereTheyAre(t *testing.T) {
	many := func(n int, of string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = strings.ReplaceAll(of, "#", strconv.Itoa(i))
		}
		return strings.Join(all, " OR ")
	}
	for text, want := range map[string]string{
		"":                           `column 1: expected ALARM(...), OK(...), INSUFFICIENT_DATA(...), AT_LEAST(...), TRUE, FALSE, NOT or "(", found the end`,
		"ALARM(a":                    `column 8: expected ")", found the end`,
		"ALARM a":                    `column 7: expected "(", found "a"`,
		"ALARM()":                    `column 7: expected the name or the ARN of an alarm, found ")"`,
		`ALARM("")`:                  `column 7: the name of an alarm: the alarm has no name`,
		`ALARM("a)`:                  `column 7: this quote is never closed`,
		`ALARM("a\")`:                `column 7: this quote is never closed`,
		"ALARM(a b)":                 `column 9: expected ")", found "b"`,
		"ALARM(a) AND":               `column 13: expected ALARM(...)`,
		"ALARM(a) ALARM(b)":          `column 10: expected AND, OR or the end, found "ALARM"`,
		"ALARM(警報) かつ OK(a)":         `column 11: expected AND, OR or the end, found "か"`,
		"(ALARM(a)":                  `column 10: expected ")", found the end`,
		"ALARM(a))":                  `column 9: expected AND, OR or the end, found ")"`,
		"alarm(a)":                   `column 1: unknown word "alarm": want ALARM(...)`,
		"a":                          `column 1: unknown word "a"`,
		"NOT":                        `column 4: expected ALARM(...)`,
		"ALARM(a) and ALARM(b)":      `column 10: expected AND, OR or the end, found "and"`,
		"AT_LEAST(x, ALARM, (a))":    `column 10: expected how many alarms, such as 2 or 50%, found "x"`,
		"AT_LEAST(0, ALARM, (a))":    `column 10: AT_LEAST(0) can never decide: want 1 to 1 of its alarms`,
		"AT_LEAST(2, ALARM, (a))":    `column 10: AT_LEAST(2) can never decide: want 1 to 1 of its alarms`,
		"AT_LEAST(101%, ALARM, (a))": `column 10: AT_LEAST(101) can never decide: want 1 to 100%`,
		"AT_LEAST(1, RED, (a))":      `column 13: expected ALARM, OK or INSUFFICIENT_DATA, or NOT and one of them, found "RED"`,
		"AT_LEAST(1, ALARM, a)":      `column 20: expected "(", found "a"`,
		"AT_LEAST(1, ALARM, ())":     `column 21: expected the name or the ARN of an alarm, found ")"`,
		"AT_LEAST(1, ALARM, (a)":     `column 23: expected ")", found the end`,
		"ALARM(\xff)":                `column 1: the rule is not UTF-8`,
		"ALARM(" + string(make([]byte, 0)) + strings.Repeat("x", 256) + ")": `column 7: the name of an alarm: has 256 characters`,
		strings.Repeat(" ", maxRule+1):                                      `column 10241: the rule has 10241 characters; at most 10240 are allowed`,
		many(101, "ALARM(a#)"):                                              `the rule names more than 100 alarms`,
		many(501, "TRUE"):                                                   `column 4001: the rule has more than 500 alarms, TRUE, FALSE and parentheses`,
		strings.Repeat("(", 501):                                            `column 501: the rule has more than 500`,
	} {
		_, err := ParseRule(text)
		var mistake *RuleError
		if assert.ErrorAs(t, err, &mistake, text) {
			assert.Contains(t, err.Error(), want)
		}
	}
	for _, text := range []string{many(100, "ALARM(a#)"), many(500, "TRUE"), strings.Repeat("NOT ", 2500) + "TRUE", many(300, "ALARM(a)")} {
		_, err := ParseRule(text)
		assert.NoError(t, err)
	}
}

// Limits are in characters, and people write Japanese.
func TestNamesOfAlarms(t *testing.T) {
	for name, want := range map[string]string{
		strings.Repeat("警", 255): "", "a b (c) \"d\", e/f:g": "",
		"": "the alarm has no name", strings.Repeat("警", 256): "has 256 characters; at most 255 are allowed",
		"a\nb": `is "a\nb": control characters`, "\xff": `is "\xff": control characters`,
	} {
		a := Alarm{AlarmName: name, Namespace: "Shop", MetricName: "Errors", Statistic: "Sum", Period: 60, EvaluationPeriods: 1, ComparisonOperator: "GreaterThanThreshold"}
		_, err := a.Compile()
		_, compositeErr := (&Composite{AlarmName: name, AlarmRule: "TRUE"}).Compile()
		for _, err := range []error{err, compositeErr} {
			if want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, want)
			}
		}
	}
}

// drawRule is a rule as text, and what it says of the states of alarms, worked out
// with no code of the package.
type drawnRule struct {
	text  string
	holds func(of map[string]State) bool
}

func drawRule(t *rapid.T, depth int) drawnRule {
	name := rapid.SampledFrom([]string{"a", "b", "c", `d "e"`, `f\`, "警報"})
	quote := func(name string) string {
		return `"` + strings.ReplaceAll(strings.ReplaceAll(name, `\`, `\\`), `"`, `\"`) + `"`
	}
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if depth == 0 {
		kind %= 3
	}
	switch kind {
	case 0, 1:
		n, s := name.Draw(t, "name"), drawState(t)
		return drawnRule{fmt.Sprintf("%s(%s)", s, quote(n)), func(of map[string]State) bool { return of[n] == s }}
	case 2:
		n := rapid.SliceOfN(name, 1, 4).Draw(t, "names")
		quoted := make([]string, len(n))
		for i := range n {
			quoted[i] = quote(n[i])
		}
		s, least := drawState(t), rapid.IntRange(1, len(n)).Draw(t, "least")
		return drawnRule{fmt.Sprintf("AT_LEAST(%d, %s, (%s))", least, s, strings.Join(quoted, ",")), func(of map[string]State) bool {
			count := 0
			for _, name := range n {
				if of[name] == s {
					count++
				}
			}
			return count >= least
		}}
	case 3:
		x := drawRule(t, depth-1)
		return drawnRule{"NOT (" + x.text + ")", func(of map[string]State) bool { return !x.holds(of) }}
	case 4:
		x := drawRule(t, depth-1)
		return drawnRule{"(" + x.text + ")", x.holds}
	case 5:
		x, y := drawRule(t, depth-1), drawRule(t, depth-1)
		return drawnRule{"(" + x.text + ") AND (" + y.text + ")", func(of map[string]State) bool { return x.holds(of) && y.holds(of) }}
	}
	x, y := drawRule(t, depth-1), drawRule(t, depth-1)
	return drawnRule{"(" + x.text + ") OR (" + y.text + ")", func(of map[string]State) bool { return x.holds(of) || y.holds(of) }}
}

func TestWhatAlwaysHoldsOfRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		drawn := drawRule(t, 4)
		r, err := ParseRule(drawn.text)
		if err != nil {
			t.Fatalf("%s: %v", drawn.text, err)
		}
		of := map[string]State{}
		for _, name := range r.Children() {
			of[name] = drawState(t)
		}
		state := func(name string) State { return of[name] }
		want := drawn.holds(of)
		if got := r.Holds(state); got != want {
			t.Fatalf("%s is %v in %v, want %v", drawn.text, got, of, want)
		}
		again, err := ParseRule(r.String())
		if err != nil || again.String() != r.String() || again.Holds(state) != want {
			t.Fatalf("%s was printed as %s, which is read as %v, %v", drawn.text, r, again, err)
		}
		assert.Equal(t, r.Children(), again.Children())
		for text, want := range map[string]bool{
			"NOT (" + drawn.text + ")":           !want,
			"NOT NOT (" + drawn.text + ")":       want,
			"(" + drawn.text + ") OR FALSE":      want,
			"(" + drawn.text + ") AND TRUE":      want,
			"(" + drawn.text + ") OR TRUE":       true,
			"FALSE AND (" + drawn.text + ")":     false,
			"(" + r.String() + ") AND NOT FALSE": want,
		} {
			other, err := ParseRule(text)
			if err != nil || other.Holds(state) != want {
				t.Fatalf("%s: want %v; %v", text, want, err)
			}
		}
	})
}

func composites(t testing.TB, rules ...string) []*CompiledComposite {
	t.Helper()
	var all []*CompiledComposite
	for _, rule := range rules {
		name, rule, _ := strings.Cut(rule, ": ")
		c, err := (&Composite{AlarmName: name, AlarmRule: rule}).Compile()
		require.NoError(t, err)
		all = append(all, c)
	}
	return all
}

func TestCompositesAreSortedByNeed(t *testing.T) {
	sorted, err := SortComposites(composites(t, "top: ALARM(mid) OR ALARM(x)", "alone: OK(y)", "mid: NOT ALARM(low)", "low: ALARM(x)"))
	require.NoError(t, err)
	var names []string
	for _, c := range sorted {
		names = append(names, c.Composite.AlarmName)
	}
	assert.Equal(t, []string{"low", "mid", "top", "alone"}, names)

	for want, rules := range map[string][]string{
		`the rules go in a circle: "a" needs "b" needs "c" needs "a": take one of them out of the rule before it`: {"z: ALARM(a)", "a: ALARM(x) OR OK(b)", "b: NOT ALARM(c)", "c: AT_LEAST(1, ALARM, (x, a))"},
		`the rules go in a circle: "a" needs "a"`: {"a: ALARM(a)"},
	} {
		_, err := SortComposites(composites(t, rules...))
		var circle *CycleError
		require.ErrorAs(t, err, &circle)
		assert.Contains(t, err.Error(), want)
	}
}

func TestCompositesAreChecked(t *testing.T) {
	for _, row := range []struct {
		change func(*Composite)
		want   string
	}{
		{func(c *Composite) { c.AlarmName = "" }, "AlarmName: the alarm has no name"},
		{func(c *Composite) { c.AlarmRule = "ALARM(" }, `AlarmRule: column 7: expected the name or the ARN of an alarm, found the end, in "ALARM("`},
		{func(c *Composite) { c.ActionsSuppressorWaitPeriod = -1 }, "ActionsSuppressorWaitPeriod: is -1 seconds: want no negative number"},
		{func(c *Composite) { c.ActionsSuppressorExtensionPeriod = -1 }, "ActionsSuppressorExtensionPeriod: is -1 seconds"},
		{func(c *Composite) { c.ActionsSuppressor = "arn:aws:cloudwatch:eu-west-1:1:alarm:top" }, "ActionsSuppressor: the alarm cannot hold back its own actions"},
	} {
		c := Composite{AlarmName: "top", AlarmRule: "ALARM(x)", ActionsSuppressor: "s", ActionsSuppressorWaitPeriod: 60}
		_, err := c.Compile()
		require.NoError(t, err)
		row.change(&c)
		_, err = c.Compile()
		var problem *Problem
		require.ErrorAs(t, joined(err)[0], &problem)
		assert.Contains(t, err.Error(), row.want)
	}
}

// The suppressor's cases are the user guide's examples, as facts.
func TestSuppressionOfTheUserGuide(t *testing.T) {
	data, err := os.ReadFile("testdata/cloudwatch-alarm-vectors.json")
	require.NoError(t, err)
	var v struct {
		Suppressor struct {
			Wait      int `json:"wait_period"`
			Extension int `json:"extension_period"`
			Enters    int `json:"composite_enters_alarm_at"`
			Cases     []struct {
				Events string `json:"events"`
				Acts   *int   `json:"acts_at"`
			} `json:"cases"`
		} `json:"suppressor"`
	}
	require.NoError(t, json.Unmarshal(data, &v))
	g := v.Suppressor
	require.Len(t, g.Cases, 6)
	event := regexp.MustCompile(`(?:(suppressor|composite) )?(?:goes to )?(ALARM|OK) at (\d+)`)
	for _, row := range g.Cases {
		suppressor, changes := map[int]State{}, map[int]bool{g.Enters: true}
		switch row.Events {
		case "suppressor stays OK":
		case "suppressor already in ALARM":
			suppressor[0] = InAlarm
		default:
			events, who := event.FindAllStringSubmatch(row.Events, -1), ""
			require.Len(t, events, 1+strings.Count(row.Events, ","), row.Events)
			for _, e := range events {
				if e[1] != "" {
					who = e[1]
				}
				at, err := strconv.Atoi(e[3])
				require.NoError(t, err)
				if who == "composite" {
					changes[at] = true
				} else {
					suppressor[at], err = ParseState(e[2])
					require.NoError(t, err)
				}
			}
		}
		second := func(n int) time.Time { return time.Unix(int64(n), 0) }
		s := Suppression{Wait: time.Duration(g.Wait) * time.Second, Extension: time.Duration(g.Extension) * time.Second}
		state := OK
		var acts []int
		for at := range 100 {
			if to, ok := suppressor[at]; ok {
				state = to
			}
			due, waits := s.Until()
			if s.See(second(at), changes[at], state) {
				acts = append(acts, at)
				assert.True(t, waits && due.Equal(second(at)), "Until said so before: %s", row.Events)
			}
		}
		var want []int
		if row.Acts != nil {
			want = []int{*row.Acts}
		}
		assert.Equal(t, want, acts, row.Events)
	}
}

func TestSuppression(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	type seen struct {
		at         int
		changed    bool
		suppressor State
		act        bool
		by         Suppressed
	}
	for name, rows := range map[string][]seen{
		"a suppressor that changes while nothing is held back": {
			{1, false, InAlarm, false, NotSuppressed}, {2, false, OK, false, NotSuppressed}, {9, false, OK, false, NotSuppressed}},
		"in time at the very end of the wait": {
			{10, true, OK, false, SuppressedByWait}, {70, false, InAlarm, false, SuppressedByAlarm}},
		"just too late": {
			{10, true, OK, false, SuppressedByWait}, {70, false, OK, true, NotSuppressed}, {71, false, InAlarm, false, NotSuppressed}},
		"again in ALARM within the extension": {
			{10, true, InAlarm, false, SuppressedByAlarm}, {20, false, OK, false, SuppressedByExtension}, {30, false, InAlarm, false, SuppressedByAlarm},
			{40, false, OK, false, SuppressedByExtension}, {129, false, OK, false, SuppressedByExtension}, {130, false, OK, true, NotSuppressed}},
		"changes again while the suppressor is in ALARM": {
			{10, true, InAlarm, false, SuppressedByAlarm}, {20, true, InAlarm, false, SuppressedByAlarm}, {30, false, InsufficientData, false, SuppressedByExtension}},
		"changes at the instant at which the suppressor leaves ALARM": {
			{10, true, InAlarm, false, SuppressedByAlarm}, {20, true, OK, false, SuppressedByWait}, {80, false, OK, true, NotSuppressed}},
	} {
		s := Suppression{Wait: time.Minute, Extension: 90 * time.Second}
		for _, row := range rows {
			assert.Equal(t, row.act, s.See(at(row.at), row.changed, row.suppressor), "%s, at %d", name, row.at)
			assert.Equal(t, row.by, s.By(), "%s, at %d", name, row.at)
		}
	}
	none := Suppression{}
	assert.True(t, none.See(at(1), true, OK), "no wait at all")
	assert.False(t, none.See(at(2), true, InAlarm))
	assert.True(t, none.See(at(3), false, OK), "nor any extension")
	none.See(at(4), true, InAlarm)
	none.Drop()
	assert.False(t, none.See(at(5), false, OK))
	for by, text := range map[Suppressed]string{NotSuppressed: "", SuppressedByAlarm: "Alarm", SuppressedByWait: "WaitPeriod", SuppressedByExtension: "ExtensionPeriod"} {
		assert.Equal(t, text, by.String())
	}
	assert.Panics(t, func() { _ = Suppressed(9).String() })
}

const family = `{"MetricAlarms": [
` + good + `
], "CompositeAlarms": [
{"AlarmName": "top",
  "AlarmRule": "ALARM(mid) OR ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop)",
  "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:on-call"],
  "ActionsSuppressor": "mid",
  "ActionsSuppressorWaitPeriod": 60,
  "ActionsSuppressorExtensionPeriod": 120},
{"AlarmName": "mid", "AlarmRule": "NOT OK(shop)", "ActionsEnabled": false, "StateValue": "ALARM",
  "StateTransitionedTimestamp": "2026-03-02T09:14:00+00:00"}
]}`

func TestCompositeAlarmsAreRead(t *testing.T) {
	set, err := Read("alarms.json", []byte(family))
	require.NoError(t, err)
	require.Len(t, set.Alarms, 1)
	assert.Equal(t, []Composite{
		{AlarmName: "top", ActionsEnabled: true, AlarmRule: "ALARM(mid) OR ALARM(arn:aws:cloudwatch:eu-west-1:123456789012:alarm:shop)",
			AlarmActions: []string{"arn:aws:sns:eu-west-1:123456789012:on-call"}, ActionsSuppressor: "mid",
			ActionsSuppressorWaitPeriod: 60, ActionsSuppressorExtensionPeriod: 120, Line: 12},
		{AlarmName: "mid", AlarmRule: "NOT OK(shop)", StateValue: InAlarm, Line: 18},
	}, set.Composites)

	data, err := json.Marshal(map[string]any{"MetricAlarms": set.Alarms, "CompositeAlarms": set.Composites})
	require.NoError(t, err)
	again, err := Read("again", data)
	require.NoError(t, err)
	assert.Equal(t, len(set.Composites), len(again.Composites))
	again.Composites[0].Line, again.Composites[1].Line = 12, 18
	assert.Equal(t, set.Composites[0].AlarmRule, again.Composites[0].AlarmRule)

	alarms, err := Parse("alarms.json", []byte(family))
	require.NoError(t, err)
	assert.Equal(t, set.Alarms, alarms)
}

func TestMistakesInCompositeAlarmsAreShownWhereTheyAre(t *testing.T) {
	for _, row := range []struct{ old, new, want string }{
		{`"AlarmName": "mid", "AlarmRule": "NOT OK(shop)"`, `"AlarmName": "mid"`, `alarms.json:18: alarm "mid": AlarmRule: is missing`},
		{"NOT OK(shop)", "NOT OK(shop", `alarms.json:18: alarm "mid": AlarmRule: column 12: expected ")", found the end, in "NOT OK(shop"`},
		{"NOT OK(shop)", "NOT OK(shopp)", `alarms.json:18: alarm "mid": AlarmRule: there is no alarm "shopp" in the file: take it out, or run describe-alarms with --alarm-types CompositeAlarm MetricAlarm`},
		{"NOT OK(shop)", "NOT OK(top)", `alarms.json:13: alarm "top": AlarmRule: the rules go in a circle: "top" needs "mid" needs "top"`},
		{"NOT OK(shop)", "NOT OK(mid)", `alarms.json:18: alarm "mid": AlarmRule: the rules go in a circle: "mid" needs "mid"`},
		{`"ActionsSuppressor": "mid"`, `"ActionsSuppressor": "nobody"`, `alarms.json:15: alarm "top": ActionsSuppressor: there is no alarm "nobody" in the file`},
		{`"ActionsSuppressorWaitPeriod": 60,`, ``, `alarms.json:15: alarm "top": ActionsSuppressorWaitPeriod: is missing: with an ActionsSuppressor it is required`},
		{`"ActionsSuppressorWaitPeriod": 60,`, `"ActionsSuppressorWaitPeriod": -60,`, `alarms.json:16: alarm "top": ActionsSuppressorWaitPeriod: is -60 seconds`},
		{`"ActionsSuppressorWaitPeriod": 60,`, `"ActionsSuppressorWaitPeriod": "60",`, `alarms.json:16: alarm "top": ActionsSuppressorWaitPeriod: want a number, found a text`},
		{`"AlarmName": "mid"`, `"AlarmName": "shop"`, `alarms.json:18: alarm "shop": AlarmName: the alarm of line 2 has the same name`},
		{`"AlarmRule": "NOT`, `"alarmRule": "NOT`, `alarms.json:18: alarm "mid": alarmRule: is written AlarmRule`},
		{good, ``, `alarms.json:3: alarm "top": AlarmRule: there is no alarm "shop" in the file`},
	} {
		changed := strings.Replace(family, row.old, row.new, 1)
		if row.old == good {
			changed = strings.Replace(family, "[\n"+good+"\n]", "[]", 1)
		}
		require.NotEqual(t, family, changed, row.want)
		_, err := Read("alarms.json", []byte(changed))
		require.Error(t, err, row.want)
		assert.Contains(t, err.Error(), row.want)
	}
}
