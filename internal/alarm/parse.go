package alarm

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Mistake is one thing that is wrong with a file of alarms.
type Mistake struct {
	File  string
	Line  int    // from 1; 0 if the file could not be read
	Alarm string // the alarm's name, if the mistake is in one that has a name
	Text  string // what is wrong, and what would be right
	// Unjudged says that AWS takes it, and that it cannot be judged here.
	Unjudged bool
}

func (m *Mistake) Error() string {
	where := m.File
	if m.Line > 0 {
		where += ":" + strconv.Itoa(m.Line)
	}
	if m.Alarm != "" {
		return fmt.Sprintf("%s: alarm %q: %s", where, m.Alarm, m.Text)
	}
	return where + ": " + m.Text
}

// A Set is the alarms of one file: metric alarms, and the composite alarms over
// them.
type Set struct {
	Alarms     []Alarm
	Composites []Composite
}

// ReadFile reads a file with the output of `aws cloudwatch describe-alarms`.
// See Read.
func ReadFile(path string) (Set, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		var p *os.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return Set{}, &Mistake{File: path, Text: fmt.Sprintf("cannot be read: %v", err)}
	}
	return Read(path, data)
}

// Read reads the output of `aws cloudwatch describe-alarms`, in JSON; name is
// the file that errors speak of. Fields it does not know are left out, since
// AWS adds new ones. The error joins everything that is wrong, each a *Mistake;
// alarms that Read returns can be compiled, every alarm that a composite alarm
// names is among them, and the composite alarms can be sorted.
func Read(name string, data []byte) (Set, error) {
	return (&reader{file: name}).read(data)
}

// ParseFile and Parse are ReadFile and Read for those who ask only for the metric
// alarms. What is wrong with a composite alarm is an error here too.
func ParseFile(path string) ([]Alarm, error) {
	set, err := ReadFile(path)
	return set.Alarms, err
}

// Parse is Read's metric alarms; see ParseFile.
func Parse(name string, data []byte) ([]Alarm, error) {
	set, err := Read(name, data)
	return set.Alarms, err
}

// A reader turns the tree of a file into alarms, and gathers its mistakes.
type reader struct {
	file     string
	alarm    string // at hand
	mistakes []error
	survey   bool // what cannot be judged does not stand in the way of the rest
}

func (p *reader) wrong(line int, format string, args ...any) {
	p.mistakes = append(p.mistakes, &Mistake{File: p.file, Line: line, Alarm: p.alarm, Text: fmt.Sprintf(format, args...)})
}

// cannot tells of what AWS takes and nothing here judges.
func (p *reader) cannot(line int, format string, args ...any) {
	p.mistakes = append(p.mistakes, &Mistake{File: p.file, Line: line, Alarm: p.alarm, Text: fmt.Sprintf(format, args...), Unjudged: true})
}

func (p *reader) read(data []byte) (Set, error) {
	root, line, err := grow(data)
	switch {
	case err != nil:
		p.wrong(line, "%v", err)
	case root.kind != treeObject || root.get("MetricAlarms") == nil && root.get("CompositeAlarms") == nil:
		p.wrong(root.line, `"MetricAlarms" is missing: want the output of "aws cloudwatch describe-alarms --output json"`)
	default:
		return p.alarms(root)
	}
	return Set{}, errors.Join(p.mistakes...)
}

func (p *reader) alarms(root *tree) (Set, error) {
	p.once(root)
	if next := root.get("NextToken"); next != nil {
		p.wrong(next.line, "NextToken: the list is incomplete: run describe-alarms without --max-items and --no-paginate")
	}
	var set Set
	lines := map[string]int{} // of the alarms by name
	named := func(v *tree, name string) {
		if first, twice := lines[name]; twice && name != "" {
			p.wrong(v.lineOf("AlarmName"), "AlarmName: the alarm of line %d has the same name: names are unique", first)
		} else {
			lines[name] = v.line
		}
	}
	for _, v := range p.list(root, "MetricAlarms", treeObject) {
		a := p.metricAlarm(v)
		named(v, a.AlarmName)
		set.Alarms = append(set.Alarms, a)
	}
	trees := p.list(root, "CompositeAlarms", treeObject)
	compiled := make([]*CompiledComposite, len(trees))
	set.Composites = make([]Composite, len(trees))
	for i, v := range trees {
		set.Composites[i] = p.composite(v)
		compiled[i] = p.compileComposite(v, &set.Composites[i])
		named(v, p.alarm)
	}
	p.related(trees, compiled, lines)
	if len(p.mistakes) > 0 {
		slices.SortStableFunc(p.mistakes, func(a, b error) int {
			return cmp.Compare(a.(*Mistake).Line, b.(*Mistake).Line) //nolint:errorlint // all are made here, none is wrapped
		})
		if !p.survey || slices.ContainsFunc(p.mistakes, func(err error) bool { return !err.(*Mistake).Unjudged }) { //nolint:errorlint // see above
			return Set{}, errors.Join(p.mistakes...)
		}
	}
	if len(trees) == 0 {
		set.Composites = nil
	}
	return set, nil
}

func (p *reader) composite(v *tree) Composite {
	p.alarm = ""
	p.alarm = p.text(v, "AlarmName")
	p.once(v)
	return Composite{
		AlarmName:                        p.alarm,
		AlarmArn:                         p.text(v, "AlarmArn"),
		AlarmDescription:                 p.text(v, "AlarmDescription"),
		ActionsEnabled:                   p.truth(v, "ActionsEnabled", true),
		OKActions:                        p.texts(v, "OKActions"),
		AlarmActions:                     p.texts(v, "AlarmActions"),
		InsufficientDataActions:          p.texts(v, "InsufficientDataActions"),
		StateValue:                       p.state(v),
		StateReason:                      p.text(v, "StateReason"),
		AlarmRule:                        p.text(v, "AlarmRule"),
		ActionsSuppressor:                p.text(v, "ActionsSuppressor"),
		ActionsSuppressorWaitPeriod:      p.whole(v, "ActionsSuppressorWaitPeriod"),
		ActionsSuppressorExtensionPeriod: p.whole(v, "ActionsSuppressorExtensionPeriod"),
		Line:                             v.line,
	}
}

// compileComposite is nil for an alarm that is wrong by itself.
func (p *reader) compileComposite(v *tree, a *Composite) *CompiledComposite {
	if v.get("AlarmRule") == nil {
		p.wrong(v.line, "AlarmRule: is missing: give the rule, such as ALARM(\"shop-5xx-rate\") OR ALARM(\"shop-p99-latency\")")
		return nil
	}
	if v.get("ActionsSuppressor") != nil {
		for _, period := range []string{"ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod"} {
			if v.get(period) == nil {
				p.wrong(v.lineOf("ActionsSuppressor"), "%s: is missing: with an ActionsSuppressor it is required, in seconds", period)
			}
		}
	}
	c, err := a.Compile()
	p.problems(v, err)
	return c
}

// related checks what composite alarms need of the others: that they exist, and do
// not need them in turn.
func (p *reader) related(trees []*tree, compiled []*CompiledComposite, lines map[string]int) {
	const remedy = "take it out, or run describe-alarms with --alarm-types CompositeAlarm MetricAlarm and without a filter"
	whole := make([]*CompiledComposite, 0, len(compiled))
	for i, c := range compiled {
		if c == nil {
			continue
		}
		whole = append(whole, c)
		p.alarm = c.Composite.AlarmName
		for _, name := range c.Rule.Children() {
			if _, ok := lines[name]; !ok {
				p.wrong(trees[i].lineOf("AlarmRule"), "AlarmRule: there is no alarm %q in the file: %s", shortened(name), remedy)
			}
		}
		if _, ok := lines[c.Suppressor]; !ok && c.Suppressor != "" {
			p.wrong(trees[i].lineOf("ActionsSuppressor"), "ActionsSuppressor: there is no alarm %q in the file: %s", shortened(c.Suppressor), remedy)
		}
	}
	var circle *CycleError
	if _, err := SortComposites(whole); errors.As(err, &circle) {
		p.alarm = circle.Path[0]
		i := slices.IndexFunc(compiled, func(c *CompiledComposite) bool { return c != nil && c.Composite.AlarmName == p.alarm })
		p.wrong(trees[i].lineOf("AlarmRule"), "AlarmRule: %v", circle)
	}
}

// problems tells what Compile found wrong.
func (p *reader) problems(v *tree, err error) {
	for _, err := range joined(err) {
		var problem *Problem
		if errors.As(err, &problem) {
			p.mistakes = append(p.mistakes, &Mistake{p.file, v.lineOf(problem.Field), p.alarm, problem.Error(), problem.Unjudged})
		}
	}
}

func (p *reader) metricAlarm(v *tree) Alarm {
	p.alarm = ""
	p.alarm = p.text(v, "AlarmName")
	before := len(p.mistakes)
	p.once(v)
	a := Alarm{
		AlarmName:                        p.alarm,
		AlarmArn:                         p.text(v, "AlarmArn"),
		AlarmDescription:                 p.text(v, "AlarmDescription"),
		ActionsEnabled:                   p.truth(v, "ActionsEnabled", true),
		OKActions:                        p.texts(v, "OKActions"),
		AlarmActions:                     p.texts(v, "AlarmActions"),
		InsufficientDataActions:          p.texts(v, "InsufficientDataActions"),
		StateReason:                      p.text(v, "StateReason"),
		Namespace:                        p.text(v, "Namespace"),
		MetricName:                       p.text(v, "MetricName"),
		Dimensions:                       p.dimensions(v),
		Statistic:                        p.text(v, "Statistic"),
		ExtendedStatistic:                p.text(v, "ExtendedStatistic"),
		Period:                           p.whole(v, "Period"),
		Unit:                             p.text(v, "Unit"),
		Metrics:                          p.queries(v),
		EvaluationPeriods:                p.whole(v, "EvaluationPeriods"),
		DatapointsToAlarm:                p.whole(v, "DatapointsToAlarm"),
		Threshold:                        p.number(v, "Threshold"),
		ComparisonOperator:               p.text(v, "ComparisonOperator"),
		TreatMissingData:                 p.text(v, "TreatMissingData"),
		EvaluateLowSampleCountPercentile: p.text(v, "EvaluateLowSampleCountPercentile"),
		ThresholdMetricId:                p.text(v, "ThresholdMetricId"),
		Line:                             v.line,
	}
	a.StateValue = p.state(v)
	p.unjudged(v)
	if len(p.mistakes) > before {
		return a // a field that could not be read would only be found wrong again
	}
	if v.get("Threshold") == nil && a.ThresholdMetricId == "" {
		p.wrong(v.line, "Threshold: is missing: give the value that points are compared with")
	}
	if d := v.get("DatapointsToAlarm"); d != nil && a.DatapointsToAlarm == 0 {
		p.wrong(d.line, "DatapointsToAlarm: is 0: want 1 to EvaluationPeriods, or leave it out")
	}
	_, err := a.Compile()
	p.problems(v, err)
	return a
}

// unjudged refuses fields that change what an alarm means, in ways that are
// not judged.
func (p *reader) unjudged(v *tree) {
	if w := v.get("EvaluationWindow"); w != nil && w.get("WallClockWindow") != nil {
		p.cannot(w.line, "EvaluationWindow: wall-clock windows are not judged yet: use a sliding window, which is the default")
	}
	if c := v.get("EvaluationCriteria"); c != nil {
		p.cannot(c.line, "EvaluationCriteria: alarms on PromQL queries are not judged yet: use a metric or metric math")
	}
}

// joined are the errors that errors.Join has put together.
func joined(err error) []error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// once refuses a name that an object has twice, or that is nearly one of ours.
func (p *reader) once(v *tree) {
	seen := map[string]int{}
	for _, m := range v.members {
		if first, twice := seen[m.name]; twice {
			p.wrong(m.line, "%s: is given twice, first on line %d", m.name, first)
		}
		seen[m.name] = m.line
		for known := range strings.FieldsSeq(fields) {
			if m.name != known && strings.EqualFold(m.name, known) {
				p.wrong(m.line, "%s: is written %s", m.name, known)
			}
		}
	}
}

const fields = "MetricAlarms CompositeAlarms AlarmName ActionsEnabled Namespace MetricName Dimensions Statistic " +
	"ExtendedStatistic Period Unit Metrics EvaluationPeriods DatapointsToAlarm Threshold ComparisonOperator " +
	"TreatMissingData EvaluateLowSampleCountPercentile ThresholdMetricId " +
	"AlarmRule ActionsSuppressor ActionsSuppressorWaitPeriod ActionsSuppressorExtensionPeriod " +
	"Id Expression MetricStat Label ReturnData Metric Stat Name Value"

func (p *reader) queries(v *tree) []MetricDataQuery {
	var queries []MetricDataQuery
	for _, item := range p.list(v, "Metrics", treeObject) {
		p.once(item)
		q := MetricDataQuery{
			Id:         p.text(item, "Id"),
			Expression: p.text(item, "Expression"),
			Label:      p.text(item, "Label"),
			ReturnData: p.truth(item, "ReturnData", true),
			Period:     p.whole(item, "Period"),
			AccountId:  p.text(item, "AccountId"),
		}
		if stat := p.object(item, "MetricStat"); stat != nil {
			p.once(stat)
			q.MetricStat = &MetricStat{
				Period: p.whole(stat, "Period"),
				Stat:   p.text(stat, "Stat"),
				Unit:   p.text(stat, "Unit"),
			}
			if metric := p.object(stat, "Metric"); metric != nil {
				p.once(metric)
				q.MetricStat.Metric = Metric{p.text(metric, "Namespace"), p.text(metric, "MetricName"), p.dimensions(metric)}
			}
		}
		queries = append(queries, q)
	}
	return queries
}

func (p *reader) dimensions(v *tree) []Dimension {
	var dimensions []Dimension
	for _, item := range p.list(v, "Dimensions", treeObject) {
		p.once(item)
		dimensions = append(dimensions, Dimension{p.text(item, "Name"), p.text(item, "Value")})
	}
	return dimensions
}

func (p *reader) state(v *tree) State {
	text := p.text(v, "StateValue")
	if text == "" {
		return InsufficientData
	}
	s, err := ParseState(text)
	if err != nil {
		p.wrong(v.lineOf("StateValue"), "StateValue: %v", err)
	}
	return s
}

// member is a field of the kind, or nil; another kind is a mistake.
func (p *reader) member(v *tree, name string, want treeKind) *tree {
	m := v.get(name)
	if m == nil || m.kind == want {
		return m
	}
	hint := ""
	if m.kind == treeText && (want == treeNumber || want == treeBool) {
		hint = ": remove the quotes"
	}
	p.wrong(m.line, "%s: want %s, found %s%s", name, want, m.kind, hint)
	return nil
}

func (p *reader) text(v *tree, name string) string {
	if m := p.member(v, name, treeText); m != nil {
		return m.text
	}
	return ""
}

func (p *reader) truth(v *tree, name string, otherwise bool) bool {
	if m := p.member(v, name, treeBool); m != nil {
		return m.text == "true"
	}
	return otherwise
}

func (p *reader) number(v *tree, name string) float64 {
	m := p.member(v, name, treeNumber)
	if m == nil {
		return 0
	}
	f, err := strconv.ParseFloat(m.text, 64)
	if err != nil {
		p.wrong(m.line, "%s: %s is too large a number", name, m.text)
	}
	return f
}

func (p *reader) whole(v *tree, name string) int {
	f := p.number(v, name)
	if f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		p.wrong(v.lineOf(name), "%s: want a whole number, found %s", name, v.get(name).text)
		return 0
	}
	return int(f)
}

func (p *reader) object(v *tree, name string) *tree { return p.member(v, name, treeObject) }

func (p *reader) list(v *tree, name string, of treeKind) []*tree {
	m := p.member(v, name, treeList)
	if m == nil {
		return nil
	}
	var items []*tree
	for i, item := range m.items {
		if item.kind != of {
			p.wrong(item.line, "%s[%d]: want %s, found %s", name, i, of, item.kind)
			continue
		}
		items = append(items, item)
	}
	return items
}

func (p *reader) texts(v *tree, name string) []string {
	var texts []string
	for _, item := range p.list(v, name, treeText) {
		texts = append(texts, item.text)
	}
	return texts
}
