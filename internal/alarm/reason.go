package alarm

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Reason is why Evaluate decided as it did. It is made into words only when
// asked, so that an evaluation that changes nothing costs nothing; it refers to
// the points it was given.
type Reason struct {
	compiled  *Compiled
	points    []Point
	before    State
	state     State
	real      int // real points that decided
	breaching int // how many of them breach
	low       bool
	premature bool
}

// Kept says that the state was kept for want of data, and not judged anew.
func (r Reason) Kept() bool {
	return r.low || r.compiled != nil && r.compiled.missing == treatIgnore &&
		r.real < r.compiled.n && r.breaching == r.real && r.breaching < r.compiled.m
}

// String is a sentence as in CloudWatch's StateReason, without the times of the
// points.
func (r Reason) String() string { return r.Text(time.Time{}) }

// Text is a sentence as in CloudWatch's StateReason. newest is when the period
// of the newest point began; if it is not zero, the points carry their times.
func (r Reason) Text(newest time.Time) string {
	if r.compiled == nil {
		return "Unchecked: Initial alarm creation"
	}
	c := r.compiled
	switch {
	case r.low:
		return fmt.Sprintf("Unchanged: %s of fewer than %s samples is not judged.", c.judged, number(c.enough))
	case r.state == InsufficientData:
		return fmt.Sprintf("Insufficient Data: %s received, of %d needed.", received(r.real), c.n)
	case r.Kept():
		return fmt.Sprintf("Unchanged: %s received, of %d needed, and missing data is ignored.", received(r.real), c.n)
	case r.breaching >= c.m || r.premature || r.state == OK && (r.real >= c.n || !c.fills()):
		return r.crossed(newest)
	}
	filled, as := c.n-r.real, "NonBreaching"
	if c.missing == treatBreaching {
		as = "Breaching"
	}
	was := "datapoints were"
	if filled == 1 {
		was = "datapoint was"
	}
	return fmt.Sprintf("Threshold Crossed: %s received for %s and %d missing %s treated as [%s].",
		received(r.real), counted(c.n, "period"), filled, was, as)
}

// crossed names the points that breach, or, of an OK, those that do not.
func (r Reason) crossed(newest time.Time) string {
	c, shown, transition := r.compiled, r.breaching, "OK -> ALARM"
	minimum, not := c.m, ""
	if r.state != InAlarm {
		shown, minimum, not, transition = r.real-r.breaching, c.n-c.m+1, "not ", "ALARM -> OK"
	}
	verb := "were"
	if shown == 1 {
		verb = "was"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Threshold Crossed: %d out of the last %d datapoints [", shown, c.n)
	r.list(&b, newest)
	fmt.Fprintf(&b, "] %s %s%s the threshold (%s) (minimum %s for %s transition).",
		verb, not, c.compare, number(c.threshold), counted(minimum, "datapoint"), transition)
	return b.String()
}

// list writes the deciding points that led to the state, newest first, as AWS
// does; at most five, then an ellipsis.
func (r Reason) list(b *strings.Builder, newest time.Time) {
	c, seen, written := r.compiled, 0, 0
	for i := len(r.points) - 1; i >= 0 && seen < r.real; i-- {
		p := r.points[i]
		if !p.Present {
			continue
		}
		seen++
		if c.compare.holds(p.Value, c.threshold) != (r.state == InAlarm) {
			continue
		}
		if written == 5 {
			b.WriteString(", ...")
			return
		}
		if written > 0 {
			b.WriteString(", ")
		}
		written++
		b.WriteString(number(p.Value))
		if !newest.IsZero() {
			begun := newest.Add(-time.Duration(len(r.points)-1-i) * c.Period)
			b.WriteString(begun.UTC().Format(" (02/01/06 15:04:05)"))
		}
	}
}

// fills says whether missing points are given a value.
func (c *Compiled) fills() bool { return c.missing == treatBreaching || c.missing == treatNotBreaching }

// received says how many datapoints there were.
func received(n int) string {
	switch n {
	case 0:
		return "no datapoints were"
	case 1:
		return "1 datapoint was"
	}
	return fmt.Sprintf("%d datapoints were", n)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// number writes a value as AWS does, which is Java's way: with a decimal point at
// least, 1.0E7 from ten million on, and 1.0E-4 below a thousandth.
func number(v float64) string {
	text, exponent := strconv.FormatFloat(v, 'f', -1, 64), ""
	if a := max(v, -v); a != 0 && (a < 1e-3 || a >= 1e7) {
		text, exponent, _ = strings.Cut(strconv.FormatFloat(v, 'E', -1, 64), "E")
		power, _ := strconv.Atoi(exponent) // it is +07 or -05, say
		exponent = "E" + strconv.Itoa(power)
	}
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text + exponent
}
