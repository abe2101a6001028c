package alarm

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"rehearsal/internal/lang"
)

// An Outlook is a file of alarms with all that there is to know for telling people
// what each of them will and will not do.
type Outlook struct {
	Scene    *Scene
	Failures []Failure // one of each trouble that is asked about
	Survey
	// Fed says which metrics of an alarm nothing in the staging copy publishes; nil
	// if no staging copy is known.
	Fed func(Alarm) []string

	composites []*CompiledComposite // sorted
	looks      []Foresight          // of the alarm at hand, one for each of Failures
}

// width is how many columns a description takes at most.
const width = 80

// Describe tells of every alarm in plain words: what it watches, how soon it goes
// off and recovers, whether anything feeds it, and what it can never see, in the
// reader's language.
func (o *Outlook) Describe(w io.Writer, speak lang.Lang) error {
	if err := o.compile(); err != nil {
		return err
	}
	t := telling{Lang: speak}
	t.assumptions(o)
	for i := range o.Alarms {
		c, err := o.Alarms[i].Compile()
		if err != nil { // told by whoever read the alarms
			return err
		}
		t.metricAlarm(o, c)
	}
	for i := range o.Composites {
		name := o.Composites[i].AlarmName
		at := slices.IndexFunc(o.composites, func(c *CompiledComposite) bool { return c.Composite.AlarmName == name })
		t.compositeAlarm(o, o.composites[at])
	}
	for _, name := range o.Names {
		t.head(name, "")
		for _, text := range o.Unjudged[name] {
			t.row("not judged", text+".")
		}
	}
	_, err := io.WriteString(w, t.String())
	return err
}

func (o *Outlook) compile() error {
	o.composites = nil
	for i := range o.Composites {
		c, err := o.Composites[i].Compile()
		if err != nil {
			return err
		}
		o.composites = append(o.composites, c)
	}
	var err error
	o.composites, err = SortComposites(o.composites)
	return err
}

// A telling is a text of at most so many columns.
type telling struct {
	strings.Builder
	lang.Lang
}

// row prints a label and a text, wrapped beside it; a text that is nothing is left out.
func (t *telling) row(label, text string) {
	const indent = 13
	if text == "" {
		return
	}
	var words []string
	for _, word := range strings.Fields(printable(t.Text(text))) {
		if lang.Columns(word) == len([]rune(word)) { // what is wide can be broken anywhere
			words = append(words, broken(word, width-indent)...)
		} else {
			words = append(words, word)
		}
	}
	line := "  " + lang.Pad(t.Text(label), indent-2) + strings.Join(words, " ")
	for _, l := range lang.Wrap(line, strings.Repeat(" ", indent), width) {
		t.WriteString(strings.TrimRight(l, " ") + "\n")
	}
}

// head begins the telling of one alarm.
func (t *telling) head(name, kind string) {
	t.WriteString("\n" + strings.Join(strings.Fields(printable(name)), " ") + kind + "\n")
}

// printable leaves out what would move a terminal's cursor or colour it: a file of
// alarms may come from anybody.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// broken cuts what is longer than a line, such as an expression, behind one of its
// operators where there is one.
func broken(word string, at int) []string {
	var parts []string
	runes := []rune(word)
	for len(runes) > at {
		cut := at
		for i := at - 1; i > at/2; i-- {
			if strings.ContainsRune("+-*/,()", runes[i]) {
				cut = i + 1
				break
			}
		}
		parts, runes = append(parts, string(runes[:cut])), runes[cut:]
	}
	return append(parts, string(runes))
}

func (t *telling) assumptions(o *Outlook) {
	s := o.Scene
	t.row("assumed", fmt.Sprintf("%s requests per second to %s; half of them answered within %s, 99%% within %s; CPU %s%%, memory %s%%; "+
		"a task that stops answering is noticed by its health check after %s; metrics reach CloudWatch %s.",
		plain(s.Rate), counted(s.Replicas, "task"), spoken(s.Median), spoken(s.P99), plain(s.CPU), plain(s.Memory), spoken(s.Notice), s.late()))
	t.row("", "Times are exact shares played through the alarm's own rules, for every second of a minute at which a failure can begin and end. "+
		"Chance is left out.")
}

func (s *Scene) late() string {
	if s.Delay == 0 {
		return "at once when their minute is over"
	}
	return spoken(s.Delay) + " after their minute is over"
}

func (t *telling) metricAlarm(o *Outlook, c *Compiled) {
	t.head(c.Alarm.AlarmName, "")
	o.looks = o.looks[:0]
	if o.Scene.Knows(c) {
		for _, f := range o.Failures {
			look, _ := c.Foresee(o.Scene, f)
			o.looks = append(o.looks, look)
		}
	}
	t.row("watches", c.Watches(o.Scene)+".")
	t.row("no data", c.missingWords())
	t.row("few data", c.fewWords(o.Scene))
	o.detects(t, c)
	for i, text := range o.blind(c) {
		label := ""
		if i == 0 {
			label = "never sees"
		}
		t.row(label, "- "+text+".")
	}
	t.row("tells", tells(c.Alarm.ActionsEnabled, c.Alarm.AlarmActions))
	t.row("staging", o.staging(*c.Alarm))
	t.row("now", nowWords(c.Alarm.StateValue))
}

// Watches says what the alarm watches, in words, with its inputs explained.
func (c *Compiled) Watches(s *Scene) string {
	a := c.Alarm
	if len(a.Metrics) == 0 {
		in := c.Inputs[0]
		unit := ""
		if m := s.meaning(in.Metric); m != nil && m.counts == "" {
			unit = m.unit
		}
		return s.measured(in) + within(in.Metric.Dimensions) + c.ruleWords(unit)
	}
	shared := c.shared()
	var judged, where []string
	for _, q := range a.Metrics {
		text := q.Expression
		if q.MetricStat != nil {
			i := slices.IndexFunc(c.Inputs, func(in Input) bool { return in.ID == q.Id })
			text = s.measured(c.Inputs[i])
			if shared == "" {
				text += within(c.Inputs[i].Metric.Dimensions)
			}
		}
		switch {
		case !q.ReturnData:
			where = append(where, q.Id+": "+text)
		case q.Label != "" && q.MetricStat == nil:
			judged = append(judged, fmt.Sprintf("%q, which is %s", q.Label, text))
		default:
			judged = append(judged, text)
		}
	}
	text := strings.Join(judged, "") + c.ruleWords("")
	if len(where) > 0 {
		text += "; " + strings.Join(where, "; ")
	}
	return text + shared
}

// shared are the dimensions of every input, if they are the same.
func (c *Compiled) shared() string {
	first := c.Inputs[0].Metric.Dimensions
	for _, in := range c.Inputs {
		if !slices.Equal(in.Metric.Dimensions, first) {
			return ""
		}
	}
	return within(first)
}

func within(dimensions []Dimension) string {
	var all []string
	for _, d := range dimensions {
		all = append(all, d.Name+" "+d.Value)
	}
	if all == nil {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// measured is an input in words.
func (s *Scene) measured(in Input) string {
	m, stat := s.meaning(in.Metric), in.Statistic
	only := ""
	if in.Unit != "" {
		only = ", only what has the unit " + in.Unit
	}
	switch {
	case m == nil:
		return fmt.Sprintf("the %s of %s %s%s", stat, in.Metric.Namespace, in.Metric.MetricName, only)
	case m.counts != "" && (stat.kind == statSum || stat.kind == statSampleCount):
		return "the number of " + m.counts + only
	case m.counts != "":
		return fmt.Sprintf("the %s of %s (each counts 1)%s", stat, m.counts, only)
	}
	switch stat.kind {
	case statAverage:
		return "the average " + m.is + only
	case statMaximum:
		return "the largest " + m.is + only
	case statMinimum:
		return "the smallest " + m.is + only
	case statPercentile:
		return fmt.Sprintf("the %s that %s%% of the samples do not exceed (%s)%s", m.is, plain(stat.high.at), stat, only)
	}
	return fmt.Sprintf("the %s of the %s%s", stat, m.is, only)
}

// ruleWords say when points become ALARM.
func (c *Compiled) ruleWords(unit string) string {
	threshold := plain(c.threshold)
	switch unit {
	case "Percent":
		threshold += "%"
	case "Seconds":
		threshold += " s"
	case "Milliseconds":
		threshold += " ms"
	}
	format := map[operator]string{greaterThan: ", above %s, %s", greaterOrEqual: ", at or above %s, %s", lessThan: ", below %s, %s", lessOrEqual: ", at or below %s, %s"}[c.compare]
	return fmt.Sprintf(format, threshold, c.rhythm())
}

// rhythm is M of N periods in words.
func (c *Compiled) rhythm() string {
	if c.Period == time.Minute {
		switch {
		case c.n == 1:
			return "each minute, for 1 minute"
		case c.m == c.n:
			return fmt.Sprintf("each minute, for %d minutes in a row", c.n)
		}
		return fmt.Sprintf("each minute, for %d of %d minutes", c.m, c.n)
	}
	period := spoken(c.Period)
	each := fmt.Sprintf("each %s", period)
	if c.Period > time.Minute {
		each = fmt.Sprintf("over %s, looked at each minute", period)
	}
	switch {
	case c.n == 1:
		return fmt.Sprintf("%s, for 1 period of %s", each, period)
	case c.m == c.n:
		return fmt.Sprintf("%s, for %d periods of %s in a row", each, c.n, period)
	}
	return fmt.Sprintf("%s, for %d of %d periods of %s", each, c.m, c.n, period)
}

func (c *Compiled) missingWords() string {
	switch c.missing {
	case treatBreaching:
		return "A period without data counts as bad (breaching)."
	case treatNotBreaching:
		return "A period without data counts as good (notBreaching)."
	case treatIgnore:
		return "A period without data is passed over, and the alarm stays as it is (ignore)."
	case treatMissing:
		return "A period without data is passed over; with none at all it is INSUFFICIENT_DATA (missing)."
	}
	panic(fmt.Sprintf("alarm: unknown treatment of missing data %d", c.missing))
}

// fewWords say what becomes of a percentile of few samples.
func (c *Compiled) fewWords(s *Scene) string {
	var stat Statistic
	for _, in := range c.Inputs {
		if in.Statistic.lowSamples() > 0 {
			stat = in.Statistic
		}
	}
	switch need := math.Round(stat.lowSamples()); {
	case need == 0:
		return ""
	case c.enough == 0:
		return fmt.Sprintf("A period of fewer than %s samples is judged too, though its %s means little.", plain(need), stat)
	default:
		rate := need / c.Period.Seconds()
		return fmt.Sprintf("In a period of fewer than %s samples (%s a second; here there are %s) the alarm stays as it is (ignore).",
			plain(need), plain(rate), plain(s.Rate))
	}
}

// Words say of what size a failure is: "50% of the requests fail".
func (f Failure) Words(s *Scene) string {
	switch f.Trouble {
	case Failing:
		return plain(f.Share) + "% of the requests fail"
	case Slowing:
		if f.Share == 100 {
			return "every answer takes " + spoken(f.Delay) + " longer"
		}
		return fmt.Sprintf("%s%% of the answers take %s longer", plain(f.Share), spoken(f.Delay))
	case Stopping:
		if f.Tasks >= s.Replicas {
			return "no task answers"
		}
		return fmt.Sprintf("%d of %s stops answering", f.Tasks, counted(s.Replicas, "task"))
	case Filling:
		return "CPU and memory are at " + plain(f.Share) + "%"
	case Silence:
		return "the metrics stop"
	}
	panic(fmt.Sprintf("alarm: unknown trouble %d", uint8(f.Trouble)))
}

// size is how large the smallest one is that is seen.
func (f Failure) size(s *Scene) string {
	switch f.Trouble {
	case Failing, Filling:
		return plain(f.Share) + "%"
	case Slowing:
		return spoken(f.Delay)
	case Stopping:
		return counted(f.Tasks, "task")
	case Silence:
		return ""
	}
	panic(fmt.Sprintf("alarm: unknown trouble %d", uint8(f.Trouble)))
}

// none says that the failure has no size: that is how it is told that none of any
// size is seen.
func (f Failure) none() bool {
	switch f.Trouble {
	case Failing, Filling:
		return f.Share == 0
	case Slowing:
		return f.Delay == 0
	case Stopping:
		return f.Tasks == 0
	case Silence:
		return false
	}
	panic(fmt.Sprintf("alarm: unknown trouble %d", uint8(f.Trouble)))
}

// detects tells what the alarm does about each failure that it sees.
func (o *Outlook) detects(t *telling, c *Compiled) {
	if !o.Scene.Knows(c) {
		detect, recovery := c.ForeseeWhole(o.Scene)
		t.row("goes off", fmt.Sprintf("%s after a failure begins that takes every whole period past the threshold; recovers %s after it has ended. "+
			"What its metric does in which failure is not known here%s.", detect, recovery, o.unknown(c)))
		return
	}
	t.timings(o)
}

// timings tells of every failure that goes off what o.looks has found.
func (t *telling) timings(o *Outlook) {
	label := "goes off"
	for i := range o.looks {
		look := &o.looks[i]
		if look.Before == InAlarm {
			t.row(label, "never anew: it is in ALARM while all is well.")
			return
		}
		if !look.Fires {
			continue
		}
		least := ""
		if size := look.Least.size(o.Scene); size != "" {
			least = fmt.Sprintf(" It sees %s or more.", size)
			if look.Least.Tasks == 1 {
				least = " One task is enough."
			}
		}
		t.row(label, fmt.Sprintf("%s after this begins: %s; %s%s %s",
			look.Detect, look.Failure.Words(o.Scene), look.after(), least, look.lasting()))
		label = ""
	}
	if label != "" {
		t.row(label, "for none of the failures that are asked about.")
	}
}

// unknown names the metrics that have no meaning here.
func (o *Outlook) unknown(c *Compiled) string {
	var names []string
	for _, in := range c.Inputs {
		if m := o.Scene.meaning(in.Metric); m == nil || m.sample == nil {
			names = append(names, in.Metric.Namespace+" "+in.Metric.MetricName)
		}
	}
	return " (" + strings.Join(slices.Compact(names), ", ") + ")"
}

func (f *Foresight) after() string {
	switch {
	case f.After != InAlarm:
		return fmt.Sprintf("it leaves ALARM again while the failure lasts (to %s).", f.After)
	case !f.Recovers:
		return "it stays in ALARM when the failure has ended, until its metrics say otherwise."
	case f.Left == InsufficientData:
		return fmt.Sprintf("INSUFFICIENT_DATA %s after it has ended.", f.Recover)
	}
	return fmt.Sprintf("OK again %s after it has ended.", f.Recover)
}

// lasting is how long the failure must last to be seen.
func (f *Foresight) lasting() string {
	switch {
	case f.Brief.Latest == time.Second:
		return "One second of it is enough."
	case f.Brief.Earliest == time.Second:
		return fmt.Sprintf("One second of it is enough at best, %s always.", spoken(f.Brief.Latest))
	}
	return fmt.Sprintf("One shorter than %s is never seen, one of %s always is.", spoken(f.Brief.Earliest), spoken(f.Brief.Latest))
}

// blind is what the alarm can never see, each a sentence without its end.
func (o *Outlook) blind(c *Compiled) []string {
	s := o.Scene
	var blind []string
	say := func(format string, args ...any) { blind = append(blind, fmt.Sprintf(format, args...)) }
	for _, in := range c.Inputs {
		m := s.meaning(in.Metric)
		switch {
		case m == nil:
		case in.Unit != "" && in.Unit != m.unit:
			say("anything: it takes only samples with the unit %s, and %s is published in %s", in.Unit, in.Metric.MetricName, m.unit)
		case c.Period < time.Minute && !m.fine:
			say("a point in most of its periods: %s comes once a minute, and its periods are %s long", in.Metric.MetricName, spoken(c.Period))
		case m.counts != "" && (in.Statistic.kind == statAverage || in.Statistic.kind == statMinimum || in.Statistic.kind == statMaximum):
			say("how many they are: the %s of %s is 1 whenever there is one; use Sum", in.Statistic, in.Metric.MetricName)
		}
	}
	if o.Scene.Knows(c) {
		blind = append(blind, o.missed(c)...)
	}
	if len(c.Inputs) == 1 || !o.Scene.Knows(c) || o.seesHalf() {
		for _, in := range c.Inputs {
			if m := s.meaning(in.Metric); m != nil && m.misses != "" && !slices.Contains(blind, m.misses) {
				blind = append(blind, m.misses)
			}
		}
	}
	if c.enough > 0 && s.Rate*c.Period.Seconds() < c.enough {
		say("anything at this traffic: %s requests in a period are fewer than the %s samples that it asks for (EvaluateLowSampleCountPercentile ignore)",
			plain(s.Rate*c.Period.Seconds()), plain(math.Round(c.enough)))
	}
	for _, in := range c.Inputs {
		for _, d := range in.Metric.Dimensions {
			if d.Name == "TargetGroup" && len(c.Inputs) == 1 {
				say("what happens in another target group than %s, such as the one that a new version is released to", d.Value)
			}
			if d.Name == "AvailabilityZone" {
				say("what happens in another zone than %s", d.Value)
			}
		}
	}
	if late := c.LatestDetection() + s.Delay; len(s.Bakes) > 0 && late > slices.Max(s.Bakes) {
		say("a bad version in time, perhaps: it may need %s, and the longest bake of the plan is %s", spoken(late), spoken(slices.Max(s.Bakes)))
	}
	return blind
}

// seesHalf says that of failed requests the alarm sees only those that the service
// or only those that the balancer answers.
func (o *Outlook) seesHalf() bool {
	seen := 0
	for _, look := range o.looks {
		if f := look.Failure.Trouble; look.Fires && (f == Failing || f == Stopping) {
			seen++
		}
	}
	return seen == 1
}

// missed are the failures that were asked about and that it does not see.
func (o *Outlook) missed(c *Compiled) []string {
	var never, said []string
	for i := range o.looks {
		look, f := &o.looks[i], o.looks[i].Failure
		switch {
		case look.Before == InAlarm:
			return []string{"anything new: it is in ALARM while all is well"}
		case look.Fires:
			if f.Trouble == Slowing && f.Share == 100 && c != nil {
				if share := c.LeastShare(o.Scene, f.Delay); share > 0 {
					said = append(said, fmt.Sprintf("fewer than %s%% of the answers being %s slower", plain(share), spoken(f.Delay)))
				}
			}
		case f.Trouble == Silence:
			said = append(said, stays(look))
		case look.Least.none():
			never = append(never, f.Words(o.Scene))
		default:
			said = append(said, fmt.Sprintf("%s: that is too small, it sees %s or more", f.Words(o.Scene), look.Least.size(o.Scene)))
		}
	}
	if len(never) > 0 {
		said = append([]string{"that " + strings.Join(never, ", that ") + ", of whatever size"}, said...)
	}
	return said
}

func stays(f *Foresight) string {
	if f.After == f.Before {
		return fmt.Sprintf("that its metrics stop: it stays %s", f.After)
	}
	return fmt.Sprintf("that its metrics stop: it goes to %s", f.After)
}

// tells says who hears of ALARM.
func tells(enabled bool, actions []string) string {
	switch {
	case !enabled:
		return "NOBODY: its actions are disabled (ActionsEnabled false)."
	case len(actions) == 0:
		return "NOBODY: it has no AlarmActions. It counts only where someone looks, or in a composite alarm."
	}
	var names []string
	for _, arn := range actions {
		names = append(names, arn[strings.LastIndexAny(arn, ":/")+1:])
	}
	return strings.Join(names, ", ") + "."
}

func (o *Outlook) staging(a Alarm) string {
	if o.Fed == nil {
		return "not known: name your rehearsal.yaml with --file."
	}
	if missing := o.Fed(a); len(missing) > 0 {
		return "NOT fed: nothing in the staging copy publishes " + strings.Join(missing, "; ") + "."
	}
	return "fed: the staging copy publishes all of its metrics."
}

func nowWords(state State) string {
	if state == InAlarm {
		return "in ALARM when the file was written: it cannot go off again before it has recovered."
	}
	return ""
}

// String is "2m 2s to 3m 1s".
func (s Span) String() string {
	if s.Earliest == s.Latest {
		return spoken(s.Earliest)
	}
	return spoken(s.Earliest) + " to " + spoken(s.Latest)
}

// spoken writes a duration with its largest units: "2m 2s", "450ms", "1h".
func spoken(d time.Duration) string {
	if d < time.Second && d > 0 {
		return strconv.FormatFloat(math.Round(float64(d)/float64(time.Millisecond)*10)/10, 'f', -1, 64) + "ms"
	}
	d = d.Round(10 * time.Millisecond)
	var parts []string
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if n := d / u.unit; n > 0 {
			parts = append(parts, fmt.Sprintf("%d%s", n, u.name))
			d -= n * u.unit
		}
	}
	if d > 0 || parts == nil {
		parts = append(parts, strconv.FormatFloat(d.Seconds(), 'f', -1, 64)+"s")
	}
	return strings.Join(parts, " ")
}

// plain writes a number with at most four digits after the point, and thousands
// set apart.
func plain(v float64) string {
	text := strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
	if math.Abs(v) >= 1e15 || v != 0 && math.Abs(v) < 1e-4 {
		return strconv.FormatFloat(v, 'g', 6, 64)
	}
	digits, fraction, _ := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + digits + fraction
}
