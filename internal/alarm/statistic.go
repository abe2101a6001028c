package alarm

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Statistic is how one period of samples becomes one number. The zero value
// is no statistic; make one with ParseStatistic.
//
// The definitions are those of the CloudWatch user guide, "CloudWatch
// statistics definitions". Where that page leaves a choice, it is taken here:
// a percentile is by nearest rank (the smallest sample that at least p % of
// the samples do not exceed), so that it is always a value that was seen; and
// a percentage boundary of a trimmed statistic that falls inside equal samples
// takes the fitting fraction of them. CloudWatch itself works on rounded
// buckets, so its percentiles may differ from these by about a percent.
type Statistic struct {
	kind statKind
	text string
	low  bound
	high bound
}

type statKind uint8

const (
	statNone statKind = iota
	statSampleCount
	statAverage
	statSum
	statMinimum
	statMaximum
	statPercentile   // p99: the sample at high
	statTrimmedMean  // TM: the mean of what lies within the bounds
	statTrimmedCount // TC: its count
	statTrimmedSum   // TS: its sum
	statWinsorized   // WM: the mean, with what lies outside moved to the bounds
	statRank         // PR: the share within the bounds, in percent
)

// A bound is an end of the samples that are counted.
type bound struct {
	set     bool    // false: open
	percent bool    // a percentage of the samples, else a value
	at      float64 // percent 0..100, or the value
}

var (
	percentileForm = regexp.MustCompile(`^p(\d{1,2}(?:\.\d{1,10})?|100)$`)
	shortForm      = regexp.MustCompile(`^(tm|tc|ts|wm)(\d{1,2}(?:\.\d{1,10})?|100)$`)
	rangeForm      = regexp.MustCompile(`^(TM|TC|TS|WM|PR)\(([^:()]*):([^:()]*)\)$`)
)

// ParseStatistic reads a statistic as AWS writes it: SampleCount, Average, Sum,
// Minimum, Maximum, p99 (p0 to p100, up to ten decimals), tm90, tc90, ts90,
// wm90, TM(2%:98%), TM(150:1000), PR(:300), IQM and the like.
func ParseStatistic(text string) (Statistic, error) {
	s := Statistic{text: text}
	switch text {
	case "SampleCount":
		s.kind = statSampleCount
	case "Average":
		s.kind = statAverage
	case "Sum":
		s.kind = statSum
	case "Minimum":
		s.kind = statMinimum
	case "Maximum":
		s.kind = statMaximum
	case "IQM":
		s.kind, s.low, s.high = statTrimmedMean, bound{true, true, 25}, bound{true, true, 75}
	default:
		return parseExtended(text)
	}
	return s, nil
}

func parseExtended(text string) (Statistic, error) {
	if m := percentileForm.FindStringSubmatch(text); m != nil {
		at, err := strconv.ParseFloat(m[1], 64)
		return Statistic{kind: statPercentile, text: text, high: bound{true, true, at}}, err
	}
	if m := shortForm.FindStringSubmatch(text); m != nil {
		at, err := strconv.ParseFloat(m[2], 64)
		return Statistic{kind: trimmedKind(m[1]), text: text, high: bound{true, true, at}}, err
	}
	unknown := fmt.Errorf("unknown statistic %q: want SampleCount, Average, Sum, Minimum, Maximum, "+
		"a percentile such as p99 or p99.9, or one of tm90, tc90, ts90, wm90, TM(10%%:90%%), PR(:300), IQM", text)
	m := rangeForm.FindStringSubmatch(text)
	if m == nil {
		return Statistic{}, unknown
	}
	s := Statistic{kind: trimmedKind(strings.ToLower(m[1])), text: text}
	var okLow, okHigh bool
	s.low, okLow = parseBound(m[2])
	s.high, okHigh = parseBound(m[3])
	switch {
	case !okLow || !okHigh || !s.low.set && !s.high.set:
		return Statistic{}, unknown
	case s.low.set && s.high.set && s.low.percent != s.high.percent:
		return Statistic{}, fmt.Errorf("statistic %q mixes a percentage and a value: use one kind for both bounds", text)
	case s.low.set && s.high.set && s.low.at >= s.high.at:
		return Statistic{}, fmt.Errorf("statistic %q is empty: its first bound must be below its second", text)
	case s.kind == statRank && (s.low.percent || s.high.percent):
		return Statistic{}, fmt.Errorf("statistic %q: the bounds of PR are values, such as PR(:300), not percentages", text)
	}
	return s, nil
}

func trimmedKind(name string) statKind {
	switch name {
	case "tm":
		return statTrimmedMean
	case "tc":
		return statTrimmedCount
	case "ts":
		return statTrimmedSum
	case "wm":
		return statWinsorized
	case "pr":
		return statRank
	}
	panic("alarm: unknown trimmed statistic " + name)
}

func parseBound(text string) (bound, bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return bound{}, true
	}
	digits, percent := strings.CutSuffix(text, "%")
	at, err := strconv.ParseFloat(digits, 64)
	return bound{true, percent, at}, err == nil && finite(at) && (!percent || at >= 0 && at <= 100)
}

// String gives the statistic as AWS writes it.
func (s Statistic) String() string { return s.text }

// Extended says whether AWS calls this an ExtendedStatistic, that is, whether
// it needs the single values and not only count, sum, minimum and maximum.
func (s Statistic) Extended() bool { return s.kind > statMaximum }

// lowSamples is the number of samples below which a percentile is not
// statistically significant (CloudWatch user guide, "Percentile-based alarms
// and low data samples"): 10/(1-p) from the median up, 10/p below it. 0 for
// anything but a percentile strictly between p0 and p100.
func (s Statistic) lowSamples() float64 {
	if s.kind != statPercentile || s.high.at <= 0 || s.high.at >= 100 {
		return 0
	}
	// In percent, 1000/(100-99) is 1000 exactly, which 10/(1-0.99) is not.
	share := s.high.at
	if s.high.at >= 50 {
		share = 100 - s.high.at
	}
	// 100-99.9 is a little less than 0.1, and 10,000 samples are enough for p99.9.
	return math.Round(1000/share*1e6) / 1e6
}

// Point makes one period's point of its samples; a missing one if there are
// none, or if the statistic needs single values that set does not have.
func (s Statistic) Point(set *Distribution) Point {
	v, ok := s.Of(set)
	return Point{Value: v, Samples: set.Count, Present: ok}
}

// Of gives the statistic of set, and whether there is one: there is none of an
// empty set, nor of a set whose Values are missing or incomplete where single
// values are needed. As in CloudWatch, a set of one sample, or whose minimum is
// its maximum, needs no Values.
func (s Statistic) Of(set *Distribution) (float64, bool) {
	if set.Count <= 0 {
		return 0, false
	}
	var v float64
	switch s.kind {
	case statSampleCount:
		v = set.Count
	case statAverage:
		v = set.Sum / set.Count
	case statSum:
		v = set.Sum
	case statMinimum:
		v = set.Min
	case statMaximum:
		v = set.Max
	case statNone:
		return 0, false
	default:
		values, ok := set.sorted()
		if !ok {
			return 0, false
		}
		v, ok = s.ofValues(values, set.Count)
		if !ok {
			return 0, false
		}
	}
	return v, finite(v)
}

func (s Statistic) ofValues(values []ValueCount, count float64) (float64, bool) {
	if s.kind == statPercentile {
		return nearestRank(values, count*s.high.at/100), true
	}
	low, high := s.low.value(values, count, values[0].Value), s.high.value(values, count, values[len(values)-1].Value)
	var kept, sum, before float64 // before: samples below the ones at hand
	for _, v := range values {
		n := s.within(v, before, count)
		before += v.Count
		kept += n
		sum += v.Value * n
	}
	switch s.kind {
	case statTrimmedMean:
		return sum / kept, kept > 0
	case statTrimmedCount:
		return kept, true
	case statTrimmedSum:
		return sum, kept > 0
	case statRank:
		return 100 * kept / count, true
	case statWinsorized:
		total := 0.0
		for _, v := range values {
			total += min(max(v.Value, low), high) * v.Count
		}
		return total / count, true
	}
	panic(fmt.Sprintf("alarm: statistic %q has no rule", s.text))
}

// within is how many of v's samples the bounds keep: values above the lower
// bound up to and including the upper one; of percentages, the overlap.
func (s Statistic) within(v ValueCount, before, count float64) float64 {
	if s.low.percent || s.high.percent {
		from, to := 0.0, count
		if s.low.set {
			from = count * s.low.at / 100
		}
		if s.high.set {
			to = count * s.high.at / 100
		}
		return max(0, min(before+v.Count, to)-max(before, from))
	}
	if s.low.set && v.Value <= s.low.at || s.high.set && v.Value > s.high.at {
		return 0
	}
	return v.Count
}

// value is the bound as a value, for the Winsorized mean.
func (b bound) value(values []ValueCount, count, open float64) float64 {
	switch {
	case !b.set:
		return open
	case b.percent:
		return nearestRank(values, count*b.at/100)
	}
	return b.at
}

// nearestRank is the smallest value that at least rank samples do not exceed.
func nearestRank(sorted []ValueCount, rank float64) float64 {
	const slack = 1e-13 // 0.1+0.2 samples are 0.3 samples
	seen := 0.0
	for _, v := range sorted {
		seen += v.Count
		if seen >= rank-slack*max(1, rank) {
			return v.Value
		}
	}
	return sorted[len(sorted)-1].Value
}
