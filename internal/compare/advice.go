package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// An Advice is which plan is worth choosing, and why. The rule:
//
//  1. The plan that loses the fewest requests per bad version is first, and every plan
//     that cannot be told apart from it: the interval of their difference, release by
//     release, holds 0, or the difference is below 1 % of what the worse one loses.
//  2. Of these, those that miss the fewest bad versions; of these, those that take back
//     the fewest good ones for nothing. Again what cannot be told apart stays.
//  3. Of these, the shortest, where it is shorter by a minute or more.
//  4. Of these, those that need the fewest replicas.
//
// What is left is as good as each other, and said to be. The intervals of the rule are
// wider than those of the table, so that it is right about all plans at once in 95 of
// 100 comparisons (Bonferroni's correction). Where nothing went wrong in the trials,
// the rule begins with its second half; where too few bad versions were released, no
// plan is told apart by what it loses.
type Advice struct {
	Plans []string `json:"plans"` // one, or several that are as good as each other
	Text  string   `json:"text"`  // the advice and its reason, as sentences
}

// A criterion is one step of the rule.
type criterion struct {
	of     measure
	value  func(*Costs) float64
	little float64 // a difference below that share of the worse one is none
	why    func(best *Costs) string
}

var criteria = []criterion{
	{lost, func(c *Costs) float64 { return c.Lost.Value }, 0.01, func(b *Costs) string {
		return fmt.Sprintf("it loses the fewest requests when a version is bad, %s on average", quantity(b.Lost.Value))
	}},
	{missed, func(c *Costs) float64 { return c.Missed.Value }, 0, func(b *Costs) string {
		return fmt.Sprintf("it misses the fewest bad versions, %s", percents(b.Missed.Value))
	}},
	{nothing, func(c *Costs) float64 { return c.ForNothing.Value }, 0, func(b *Costs) string {
		return fmt.Sprintf("it takes back the fewest good versions for nothing, %s", percents(b.ForNothing.Value))
	}},
}

func (r *Result) advise() Advice {
	left := slices.DeleteFunc(slices.Clone(r.Costs), func(c *Costs) bool { return c.Length.N == 0 && r.good() })
	switch {
	case len(r.Costs) == 1:
		return Advice{names(r.Costs), fmt.Sprintf("There is nothing to choose from: %s is the only plan.", r.Costs[0].Plan.Name)}
	case len(left) == 0:
		return Advice{nil, "None of these plans: no good version came through any of them."}
	}
	var whys, tied []string
	for _, k := range criteria {
		rest := r.narrow(left, k)
		if len(rest) < len(left) {
			whys = append(whys, k.why(rest[0])+within(len(rest)))
		}
		left = rest
	}
	tied = names(left)
	left, whys = shortest(left, whys)
	left, whys = smallest(left, whys)
	a := Advice{Plans: names(left)}
	if len(left) == 1 {
		a.Text = fmt.Sprintf("Choose %s: %s.", left[0].Plan.Name, strings.Join(whys, "; "))
		if others := slices.DeleteFunc(tied, func(n string) bool { return n == left[0].Plan.Name }); len(others) > 0 {
			a.Text += fmt.Sprintf(" By what goes wrong alone, %s cannot be told apart from it.", list(others, "and"))
		}
	} else {
		a.Text = fmt.Sprintf("Choose any of %s: %d releases do not tell them apart", list(a.Plans, "or"), r.Releases)
		if len(whys) > 0 {
			a.Text += "; each is chosen since " + strings.Join(whys, "; ")
		}
		a.Text += "."
	}
	a.Text += r.few() + r.faster(left) + r.seer(left)
	return a
}

// good says whether any release was of a good version that nothing disturbed.
func (r *Result) good() bool {
	return slices.ContainsFunc(r.Trials, func(t trial) bool { return t.Nature == "good" })
}

// narrow leaves the best by a criterion, and what cannot be told apart from it.
func (r *Result) narrow(left []*Costs, k criterion) []*Costs {
	best := slices.MinFunc(left, func(a, b *Costs) int { return compareFloats(k.value(a), k.value(b)) })
	rest := []*Costs{best}
	for _, c := range left {
		if c != best && !r.apart(k, c, best) {
			rest = append(rest, c)
		}
	}
	return rest
}

// apart says whether worse is really worse than best.
func (r *Result) apart(k criterion, worse, best *Costs) bool {
	d := r.differ(k.of, worse, best, 1-(1-Confidence)/float64(max(len(r.Costs)-1, 1)))
	return d.Known && d.Low > 0 && d.Value > k.little*math.Abs(k.value(worse))
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// within says that others are as good by the same criterion.
func within(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(" (%d plans cannot be told apart by it)", n)
}

// shortest leaves the shortest, where that makes a minute's difference.
func shortest(left []*Costs, whys []string) ([]*Costs, []string) {
	best := slices.MinFunc(left, func(a, b *Costs) int { return compareFloats(a.Length.Value, b.Length.Value) }).Length.Value
	rest := slices.DeleteFunc(slices.Clone(left), func(c *Costs) bool { return c.Length.Value >= best+minute })
	if len(rest) < len(left) {
		whys = append(whys, fmt.Sprintf("of those as good it is the shortest, %s", lasts(best)))
	}
	return rest, whys
}

// smallest leaves those that need the fewest replicas.
func smallest(left []*Costs, whys []string) ([]*Costs, []string) {
	best := slices.MinFunc(left, func(a, b *Costs) int { return a.Replicas - b.Replicas }).Replicas
	rest := slices.DeleteFunc(slices.Clone(left), func(c *Costs) bool { return c.Replicas > best })
	if len(rest) < len(left) {
		whys = append(whys, fmt.Sprintf("of those as good it needs the fewest replicas, %d at most", best))
	}
	return rest, whys
}

// few says that there were too few bad versions to tell plans apart.
func (r *Result) few() string {
	n := r.Costs[0].Lost.N
	switch {
	case n == 0:
		return " No version was bad in these releases, so nothing is known about what goes wrong."
	case n < fewest:
		return fmt.Sprintf(" Only %d versions were bad: too few to tell plans apart by what they lose; try more releases.", n)
	}
	return ""
}

// faster says what the next shorter plan on the front would cost, for who has no time.
func (r *Result) faster(chosen []*Costs) string {
	var next *Costs
	for _, c := range r.Costs {
		if c.Front && c.Length.Value+minute <= chosen[0].Length.Value && (next == nil || c.Lost.Value < next.Lost.Value) {
			next = c
		}
	}
	if next == nil {
		return ""
	}
	d := r.differ(lost, next, chosen[0], Confidence)
	if !d.Known {
		return ""
	}
	return fmt.Sprintf(" If %s is too long, %s takes %s and loses %s more requests of a bad version (%s).",
		lasts(chosen[0].Length.Value), next.Plan.Name, lasts(next.Length.Value), quantity(d.Value), bounds(d, quantity))
}

// seer says which other plan misses fewer, where one does.
func (r *Result) seer(chosen []*Costs) string {
	k := criteria[1]
	best := slices.MinFunc(r.Costs, func(a, b *Costs) int { return compareFloats(k.value(a), k.value(b)) })
	if slices.Contains(chosen, best) || !r.apart(k, chosen[0], best) {
		return ""
	}
	return fmt.Sprintf(" It misses %s of the bad versions, where %s misses %s: see what that one checks.",
		percents(chosen[0].Missed.Value), best.Plan.Name, percents(best.Missed.Value))
}

func names(costs []*Costs) (all []string) {
	for _, c := range costs {
		all = append(all, c.Plan.Name)
	}
	return all
}

// list is "a, b and c".
func list(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + and + " " + words[len(words)-1]
}
