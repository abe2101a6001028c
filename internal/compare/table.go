package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"rehearsal/internal/lang"
	"rehearsal/internal/release"
	"rehearsal/sim"
)

type trial = sim.Trial

// width is how many columns a table takes at most.
const width = 80

// columns are how wide those of the table are; the first stands to the left.
var columns = []int{13, 7, 13, 13, 8, 10, 8}

// row is a line of the table.
func row(cells ...string) string {
	line := lang.Pad(cells[0], columns[0])
	for i, c := range cells[1:] {
		line += strings.Repeat(" ", max(1, 1+columns[i+1]-lang.Columns(c))) + c
	}
	return strings.TrimRight(line, " ") + "\n"
}

// Table prints what came of the comparison, in at most 80 columns, in the reader's
// language.
func (r *Result) Table(w io.Writer, speak lang.Lang) error {
	var b strings.Builder
	n := map[sim.Nature]int{}
	for _, t := range r.Trials {
		n[t.Nature]++
	}
	wrapped(&b, "", speak.Sprintf("%s by %s, on the simulated stage (seed %d): %s of a bad version, %s of a good one that something else disturbs, %s of a good one.",
		speak.Text(plural(r.Releases, "release")), speak.Text(each(len(r.Costs))), r.Seed, count(n[sim.Bad]), count(n[sim.Fluke]), count(n[sim.Good])))
	b.WriteString("\n")
	for _, head := range [][]string{
		{"", "good", "by a bad one", "by a bad one", "bad ones", "good ones", "most"},
		{"plan", "length", "requests lost", "users touched", "missed", "taken back", "replicas"},
	} {
		for i := range head {
			if head[i] != "" {
				head[i] = speak.Sprintf(head[i])
			}
		}
		b.WriteString(row(head...))
	}
	for _, c := range r.Costs {
		name := c.Plan.Name
		if c.Front {
			name += " *"
		}
		if len([]rune(name)) > 13 {
			b.WriteString(clip(name, width) + "\n")
			name = ""
		}
		b.WriteString(row(name, figure(c.Length, lasts), figure(c.Lost, quantity), figure(c.Users, quantity),
			figure(c.Missed, percents), figure(c.ForNothing, percents), strconv.Itoa(c.Replicas)))
		b.WriteString(row("", "", speak.Text(bounds(c.Lost, quantity)), speak.Text(bounds(c.Users, quantity)), speak.Text(bounds(c.Missed, bare)), speak.Text(bounds(c.ForNothing, bare)), ""))
	}
	b.WriteString("\n")
	for _, note := range r.notes() {
		wrapped(&b, "  ", speak.Text(note))
	}
	b.WriteString("\n")
	wrapped(&b, "", speak.Text(r.Advice.Text))
	_, err := io.WriteString(w, b.String())
	return err
}

// notes say what the figures are.
func (r *Result) notes() []string {
	all := []string{
		"*: no other plan is shorter (by a minute) without losing more, or loses less without being longer: the Pareto front.",
		fmt.Sprintf("Second lines: between which bounds the figure is, with 95 %% confidence: means by the bootstrap, shares by Clopper and Pearson. %s",
			"A plan needs more replicas than the most that were seen in at most "+percents(proportion(0, r.Releases, 0.90).High)+" of its releases."),
		fmt.Sprintf("Users: %s, each to whichever version the balancer chooses; touched is who lost one or more.", visits(r.PerUser)),
		fmt.Sprintf("A bad version that is missed serves on until %s after the release began, the longest plan and %s.", lasts(r.Horizon.Seconds()), lasts(r.Unnoticed.Seconds())),
	}
	if m := r.unseen(); m != "" {
		all = append(all, m)
	}
	return all
}

func visits(k float64) string {
	return fmt.Sprintf("a visit is %s within a minute", plural(int(math.Round(k)), "request"))
}

// unseen says which bad versions every plan missed.
func (r *Result) unseen() string {
	kinds := map[string]int{}
	var order []string
	sum := 0
	for i, t := range r.Trials {
		if t.Nature != sim.Bad {
			continue
		}
		all := true
		for _, c := range r.Costs {
			all = all && c.trials[i].result == release.Released
		}
		if all {
			k := string(t.Failure.Kind)
			if kinds[k]++; kinds[k] == 1 {
				order = append(order, k)
			}
			sum++
		}
	}
	if sum == 0 {
		return ""
	}
	var parts []string
	for _, k := range order {
		parts = append(parts, fmt.Sprintf("%s (%d)", k, kinds[k]))
	}
	return fmt.Sprintf("Missed by every plan: %s: %s.", plural(sum, "bad version"), strings.Join(parts, ", "))
}

// figure is a value, and "-" where there is none.
func figure(e Estimate, words func(float64) string) string {
	if e.N == 0 {
		return "-"
	}
	return words(e.Value)
}

// bounds is "1,200-1,400", and "too few" where there are none.
func bounds(e Estimate, words func(float64) string) string {
	switch {
	case e.N == 0:
		return ""
	case !e.Known:
		return "too few"
	}
	return words(e.Low) + "-" + words(e.High)
}

// quantity is "12", "1,234", "12.3k" or "1.23M".
func quantity(v float64) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	switch {
	case v < 10 && v != math.Trunc(v):
		return sign + strconv.FormatFloat(v, 'f', 1, 64)
	case v < 9999.5:
		return sign + count(int(math.Round(v)))
	case v < 999_950:
		return sign + strconv.FormatFloat(v/1000, 'f', 1, 64) + "k"
	}
	return sign + strconv.FormatFloat(v/1e6, 'f', 2, 64) + "M"
}

func percents(v float64) string { return bare(v) + " %" }

// bare is a percentage with one digit below 10, and none above.
func bare(v float64) string {
	if v < 9.95 && v != 0 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// lasts is a time in seconds as people write it: "15m", "1h5m".
func lasts(seconds float64) string {
	d := time.Duration(math.Round(seconds)) * time.Second
	if d == 0 {
		return "0s"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// count is "12,345".
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

func each(plans int) string {
	if plans == 1 {
		return "one plan"
	}
	return fmt.Sprintf("each of %d plans", plans)
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// wrapped writes text in lines of at most 80 columns.
func wrapped(b *strings.Builder, indent, text string) {
	b.WriteString(lang.Paragraph(indent, width, text))
}

// JSON writes everything that came of the comparison.
func (r *Result) JSON(w io.Writer) error {
	type paired struct {
		Than string   `json:"than"`
		Lost Estimate `json:"lost"`
	}
	type plan struct {
		Name       string         `json:"name"`
		File       string         `json:"file,omitempty"`
		Strategy   string         `json:"strategy"`
		Length     Estimate       `json:"length"` // seconds
		Lost       Estimate       `json:"requestsLost"`
		Users      Estimate       `json:"usersTouched"`
		Missed     Estimate       `json:"missed"`     // percent
		ForNothing Estimate       `json:"forNothing"` // percent
		Replicas   int            `json:"replicas"`
		Front      bool           `json:"paretoFront"`
		Missing    map[string]int `json:"missedByFailure,omitempty"`
		More       []paired       `json:"losesMore,omitempty"`
	}
	out := struct {
		Releases   int            `json:"releases"`
		Seed       uint64         `json:"seed"`
		Confidence float64        `json:"confidence"`
		Natures    map[string]int `json:"natures"`
		Horizon    float64        `json:"horizonSeconds"`
		PerUser    float64        `json:"requestsPerUser"`
		Plans      []plan         `json:"plans"`
		Advice     Advice         `json:"advice"`
	}{r.Releases, r.Seed, Confidence, map[string]int{}, r.Horizon.Seconds(), r.PerUser, nil, r.Advice}
	for _, t := range r.Trials {
		out.Natures[string(t.Nature)]++
	}
	for _, c := range r.Costs {
		p := plan{Name: c.Plan.Name, File: c.Plan.File, Strategy: string(c.Plan.Strategy), Length: c.Length, Lost: c.Lost, Users: c.Users,
			Missed: c.Missed, ForNothing: c.ForNothing, Replicas: c.Replicas, Front: c.Front, Missing: map[string]int{}}
		for i, t := range r.Trials {
			if t.Nature == sim.Bad && c.trials[i].result == release.Released {
				p.Missing[string(t.Failure.Kind)]++
			}
		}
		for _, o := range r.Costs {
			if o != c {
				p.More = append(p.More, paired{o.Plan.Name, r.differ(lost, c, o, Confidence)})
			}
		}
		out.Plans = append(out.Plans, p)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
