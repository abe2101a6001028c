package page

import (
	"cmp"
	"maps"
	"slices"
)

func (v *view) count(all []*scenarioView) {
	byStage := map[string]*counts{}
	versions := map[string]bool{}
	for _, s := range all {
		for _, st := range s.Stages {
			c := byStage[st.Stage]
			if c == nil {
				c = &counts{Stage: st.Stage}
				byStage[st.Stage] = c
			}
			switch st.Verdict {
			case passed:
				c.Passed++
			case failed:
				c.Failed++
			case inconclusive:
				c.Inconclusive++
			case notEnded:
				c.NotEnded++
			default:
				c.Unknown++
			}
			if st.story.version != "" {
				versions[st.story.version] = true
			}
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(byStage), func(a, b string) int { return cmp.Or(cmp.Compare(rankOf(a), rankOf(b)), cmp.Compare(a, b)) }) {
		v.Counts = append(v.Counts, *byStage[name])
	}
	v.Versions = slices.Sorted(maps.Keys(versions))
}

// judge says what the run concluded, as far as that is known.
func (v *view) judge() {
	f := v.Run.Facts
	l := v.Lang
	broken := slices.ContainsFunc(v.Run.Results, func(r *Result) bool { return r.Verdict == failed })
	switch {
	case f != nil && !f.Ended.IsZero():
		v.Status = f.Status
	case broken:
		v.Status = 1
	default:
		v.Status = 3
	}
	switch v.Status {
	case 0:
		v.Verdict, v.Because = l.Sprintf("Verified"), []string{l.Sprintf("Every promise was kept.")}
	case 1:
		v.Verdict, v.Because = l.Sprintf("Broken"), []string{l.Sprintf("A promise was broken: do not release.")}
	case 2:
		v.Verdict, v.Because = l.Sprintf("Wrong input"), []string{l.Sprintf("Mend it and run again.")}
	default:
		v.Verdict, v.Because = l.Sprintf("Inconclusive"), []string{l.Sprintf("Nothing may be concluded: do not release on it.")}
	}
	switch {
	case f == nil:
		v.Because = append(v.Because, l.Sprintf("Whether the run ended is not known."))
	case f.Ended.IsZero():
		v.Because = append(v.Because, l.Sprintf("The run did not end: it was killed, or it still goes on."))
	}
}

func (v *view) listFailed(all []*scenarioView) {
	for _, s := range all {
		for _, st := range s.Stages {
			if st.Verdict != passed {
				st.Below = len(v.Failed) >= mostTold
				v.Failed = append(v.Failed, failure{s, st})
			} else {
				st.Below = true
			}
		}
		if len(s.Apart) > 0 {
			v.Failed = append(v.Failed, failure{Scenario: s})
		}
	}
	// What was broken before what could not be told.
	slices.SortStableFunc(v.Failed, func(a, b failure) int {
		verdict := func(f failure) string {
			if f.StageView == nil {
				return failed
			}
			return f.Verdict
		}
		rank := func(s string) int { return slices.Index([]string{failed, inconclusive, notEnded}, s) }
		return cmp.Compare(rank(verdict(a)), rank(verdict(b)))
	})
}

func (v *view) listRollbacks(all []*scenarioView) {
	for _, s := range all {
		for _, st := range s.Stages {
			if st.story.back != nil {
				v.Rollbacks = append(v.Rollbacks, rollbackView{s, st.Stage, st.story.back})
			}
		}
	}
}

func (v *view) listRefused(all []*scenarioView) {
	seen := map[string]bool{}
	for _, s := range all {
		for _, st := range s.Stages {
			for _, c := range st.story.outside {
				text := c.Call.String()
				if c.Version != "" {
					text += " (" + c.Version + ")"
				}
				if !seen[text] {
					seen[text] = true
					v.Refused = append(v.Refused, text)
				}
			}
		}
	}
	if len(v.Refused) == 0 && v.Run.Facts != nil {
		v.Refused = v.Run.Facts.Outside
	}
}

func (v *view) listLedger() {
	if v.Run.Ledger == nil {
		return
	}
	for _, s := range []standing{{Name: "open", Sign: "✗"}, {Name: "unknown", Sign: "?"}, {Name: "waived", Sign: "–"}, {Name: "harmless", Sign: "✓"}, {Name: "", Sign: "•"}} {
		for _, d := range v.Run.Ledger.Differences {
			known := slices.Contains([]string{"open", "unknown", "waived", "harmless"}, d.Standing)
			if d.Standing == s.Name || s.Name == "" && !known {
				s.Of = append(s.Of, d)
			}
		}
		if len(s.Of) > 0 {
			v.Standings = append(v.Standings, s)
		}
	}
}

// listUnverified says what the verdict does not cover, and why.
func (v *view) listUnverified(all []*scenarioView) {
	l := v.Lang
	say := func(format string, args ...any) { v.Unverified = append(v.Unverified, l.Sprintf(format, args...)) }
	if f := v.Run.Facts; f != nil {
		for _, u := range f.Unverified {
			say("%s", l.Text(u))
		}
		if f.Part {
			say("Only a part of the project's scenarios was asked for.")
		}
		if f.Skipped > 0 {
			say("Scenarios left to the simulated stage, as asked: %d. What containers would do is only predicted.", f.Skipped)
		}
		if f.LeftOut > 0 {
			say("Scenarios that push to the team's pipeline and were left out, as asked: %d.", f.LeftOut)
		}
		if f.NotCompared != "" {
			say("%s", l.Text(f.NotCompared))
		}
	}
	not, half := 0, 0
	for _, s := range all {
		if len(s.Stages) == 0 {
			not++
		}
		for _, st := range s.Stages {
			if st.Verdict == notEnded {
				half++
			}
		}
	}
	if half > 0 {
		say("Scenarios that had begun and did not end: %d.", half)
	}
	if not > 0 {
		say("Scenarios of the features without a result: %d. They were not selected, or the run did not come to them.", not)
	}
	if v.Run.Ledger != nil {
		for _, n := range v.Run.Ledger.Notes {
			say("Not compared with production: %s", l.Text(n))
		}
	}
	for _, n := range v.Run.Missing {
		say("%s", n.Say(l))
	}
	for _, s := range all {
		for _, st := range s.Stages {
			for _, n := range st.Notes {
				say("%s", n.Say(l))
			}
		}
	}
}
