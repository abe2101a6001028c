// Package alarm is CloudWatch's alarm rules, as pure functions.
//
// Read reads what `aws cloudwatch describe-alarms` prints into a Set of alarms, and
// refuses what cannot be judged with the file, the line and the remedy.
// Alarm.Compile makes an Alarm ready: it names the metrics to fetch (Inputs),
// how many periods of each (Range) and how often to look (Every). Whoever holds
// the metrics turns one period of samples, a Distribution, into a Point by the
// input's Statistic; Compiled.Points carries out the metric math; and
// Compiled.Evaluate decides the State, with a Reason.
//
// A Composite alarm's state follows from the states of others by its Rule;
// SortComposites puts them in an order in which each can be judged after those it
// needs, and a Suppression decides when its actions are held back.
//
// Nothing here reads a clock, a network or a global: the same points always
// give the same state, on the simulated stage and on any other.
package alarm

import "time"

// Alarm is a metric alarm with the names and units of `describe-alarms`
// MetricAlarms. Enumerations stay text, as in AWS; Compile checks them.
type Alarm struct {
	AlarmName               string
	AlarmArn                string   `json:",omitempty"`
	AlarmDescription        string   `json:",omitempty"`
	ActionsEnabled          bool     // true when the file does not say
	OKActions               []string `json:",omitempty"`
	AlarmActions            []string `json:",omitempty"`
	InsufficientDataActions []string `json:",omitempty"`
	StateValue              State    // when the file was written
	StateReason             string   `json:",omitempty"`

	Namespace         string            `json:",omitempty"`
	MetricName        string            `json:",omitempty"`
	Dimensions        []Dimension       `json:",omitempty"`
	Statistic         string            `json:",omitempty"` // SampleCount, Average, Sum, Minimum, Maximum
	ExtendedStatistic string            `json:",omitempty"` // p99, tm90, ...
	Period            int               `json:",omitempty"` // seconds; 0 in a metric-math alarm
	Unit              string            `json:",omitempty"` // empty: samples of every unit
	Metrics           []MetricDataQuery `json:",omitempty"`

	EvaluationPeriods                int // N
	DatapointsToAlarm                int `json:",omitempty"` // M; 0 means N
	Threshold                        float64
	ComparisonOperator               string
	TreatMissingData                 string `json:",omitempty"` // empty means missing
	EvaluateLowSampleCountPercentile string `json:",omitempty"` // empty means evaluate
	ThresholdMetricId                string `json:",omitempty"` // anomaly bands: refused by Compile

	Line int `json:"-"` // where the alarm begins in its file, from 1; 0 if it was not read from one
}

// Dimension is one name and value that tell a metric from its namesakes.
type Dimension struct{ Name, Value string }

// MetricDataQuery is one line of a metric-math alarm: a metric to fetch
// (MetricStat) or an expression over other lines' ids (Expression).
type MetricDataQuery struct {
	Id         string
	Expression string      `json:",omitempty"`
	MetricStat *MetricStat `json:",omitempty"`
	Label      string      `json:",omitempty"`
	ReturnData bool        // exactly one query returns the data that is judged; AWS's default is true
	Period     int         `json:",omitempty"` // seconds, of an expression
	AccountId  string      `json:",omitempty"` // kept, not used: one stage is one account
}

// MetricStat is a metric and how its samples are summed up.
type MetricStat struct {
	Metric Metric
	Period int    // seconds
	Stat   string // any statistic, plain or extended
	Unit   string `json:",omitempty"`
}

// Metric names one metric. A Metric is the name and all of its dimensions:
// CloudWatch never adds up over dimensions that were not asked for.
type Metric struct {
	Namespace  string
	MetricName string
	Dimensions []Dimension `json:",omitempty"`
}

// Compiled is an Alarm ready to be judged. It is read-only after Compile and
// may be shared by goroutines; Scratch may not.
type Compiled struct {
	Alarm *Alarm

	// Inputs are the metrics to fetch, in the order Points wants them.
	Inputs []Input
	// Period is the length of one point.
	Period time.Duration
	// Every is how often the alarm is evaluated: 10 s for periods of 10, 20
	// and 30 s; an hour where EvaluationPeriods of Period are together more
	// than a day; else one minute. The windows are whole periods that end at
	// the moment of evaluation, so they slide when Period is longer: the user
	// guide ("Evaluating an alarm") has a period of 5 minutes judged at the
	// end of minute 5 on minutes 1 to 5, and at the end of minute 6 on 2 to 6,
	// and alarms over several days once per hour, on what there was until then.
	Every time.Duration
	// Range is how many points an evaluation looks at, oldest to newest.
	// See rangeBeyond for where the number comes from.
	Range int

	n, m      int
	threshold float64
	compare   operator
	missing   treatment
	enough    float64 // samples below which a point of judged freezes the state; 0: never
	judged    Statistic
	program   *program
}

// Input is one metric that an alarm needs, by period.
type Input struct {
	ID        string // the query's id; empty in an alarm without metric math
	Metric    Metric
	Statistic Statistic
	Unit      string // empty: samples of every unit
}

// Point is one period of one metric, or of an expression.
type Point struct {
	Value   float64
	Samples float64 // how many samples it sums up; 0 for an expression
	Present bool    // false: a missing point, whose other fields mean nothing
}
