package page

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"

	"rehearsal/internal/chart"
	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/live"
	"rehearsal/internal/stage"
)

//go:embed page
var files embed.FS

func part(name string) string {
	data, err := files.ReadFile("page/" + name)
	if err != nil {
		panic(err) // they are part of the program
	}
	return string(data)
}

// The names of the stages in results, in the order in which they run.
const (
	simulated  = "simulated"
	containers = "containers"
)

// What is shown in full before the page packs or shortens it.
const (
	mostInline = 60 // timelines
	mostTold   = 60 // failed scenarios with what was printed; others have it by their timelines
)

// view is all that the page shows.
type view struct {
	Run        *Run
	Lang       lang.Lang
	Style      template.CSS
	Script     template.JS
	Policy     string
	Status     int
	Verdict    string
	Because    []string
	Counts     []counts
	Versions   []string
	Scenarios  int
	Failed     []failure
	Matrix     *matrix
	Features   []*featureView
	Rollbacks  []rollbackView
	Refused    []string
	Standings  []standing
	Unverified []string
	Chunks     []template.HTML
	HasPacked  bool
}

type counts struct {
	Stage                                           string
	Passed, Failed, Inconclusive, NotEnded, Unknown int
}

type featureView struct {
	*Feature
	ID    string
	Parts []partView
	Worst string
	N     int
}

type partView struct {
	Part
	Scenarios []*scenarioView
}

// A scenarioView is a scenario and what came of it.
type scenarioView struct {
	*Scenario
	ID      string
	Verdict string // the worst of its stages; "" where it was not rehearsed
	Stages  []*StageView
	Apart   []Finding
	Chart   template.HTML
	Packed  bool // Chart and what was printed are in a chunk
	Chunk   int
	Item    int
	order   int
}

// A StageView is what came of a scenario on one stage.
type StageView struct {
	*Result
	story  *story
	Events []event
	Origin time.Duration // of the clock of the events
	Prints []print
	More   int
	Below  bool // Prints stand by the timeline, and not where it is said what went wrong
	Past   []Past
	Notes  []Note
}

type failure struct {
	Scenario *scenarioView
	*StageView
}

type rollbackView struct {
	Scenario *scenarioView
	Stage    string
	*Rollback
}

type standing struct {
	Name, Sign string
	Of         []Difference
}

// Report writes the page of a run, in the language.
func Report(w io.Writer, r *Run, l lang.Lang) error {
	v := &view{Run: r, Lang: l}
	// What stands in place of a timeline as long as it is packed.
	packed := fmt.Sprintf(":root{--packed:%q}\n", l.Sprintf("The timeline is drawn by JavaScript when the scenario is opened: “Open all” before printing."))
	v.Style = template.CSS(packed + part("style.css") + chart.CSS) //nolint:gosec // part of the program
	v.Script = template.JS(part("script.js"))                      //nolint:gosec // part of the program
	v.Policy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action 'none'",
		digest(string(v.Style)), digest(string(v.Script)))
	all := v.collect()
	if err := v.read(all); err != nil {
		return err
	}
	v.count(all)
	v.judge()
	v.Matrix = matrixOf(all)
	v.listFailed(all)
	v.listRollbacks(all)
	v.listRefused(all)
	v.listLedger()
	v.listUnverified(all)
	pages, err := template.New("").Funcs(v.funcs()).ParseFS(files, "page/*.tmpl")
	if err != nil {
		return err
	}
	if err := v.pack(pages, all); err != nil {
		return err
	}
	out := transform.NewWriter(w, runes.Map(visible))
	if err := pages.ExecuteTemplate(out, "page", v); err != nil {
		return err
	}
	return out.Close()
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// visible shows what would not be seen but acts: control characters as their pictures, and
// what changes the direction of the text around it as a replacement character. All that
// the page says goes through it, so that no place can forget.
func visible(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case r < 0x20:
		return 0x2400 + r
	case r == 0x7f:
		return 0x2421
	case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c:
		return unicode.ReplacementChar
	}
	return r
}

// collect lays the results beside the features, in the order of the features. What has a
// result and no feature comes after them, under the feature's name.
func (v *view) collect() (all []*scenarioView) {
	byWhere := map[string][]*Result{}
	for _, res := range v.Run.Results {
		byWhere[res.Where] = append(byWhere[res.Where], res)
	}
	apart := map[string][]Finding{}
	for _, c := range v.Run.Compared {
		apart[c.Where] = c.Apart
	}
	add := func(s *Scenario) *scenarioView {
		sv := &scenarioView{Scenario: s, ID: fmt.Sprintf("s%d", len(all)+1), Apart: apart[s.Where], order: len(all)}
		for _, res := range byWhere[s.Where] {
			sv.Stages = append(sv.Stages, &StageView{Result: res})
		}
		slices.SortStableFunc(sv.Stages, func(a, b *StageView) int { return cmp.Compare(rankOf(a.Stage), rankOf(b.Stage)) })
		delete(byWhere, s.Where)
		for _, st := range sv.Stages {
			sv.Verdict = worse(sv.Verdict, st.Verdict)
		}
		if len(sv.Apart) > 0 {
			sv.Verdict = worse(sv.Verdict, failed)
		}
		all = append(all, sv)
		return sv
	}
	for _, f := range v.Run.Features {
		fv := &featureView{Feature: f}
		for _, p := range f.Parts {
			pv := partView{Part: p}
			for _, s := range p.Scenarios {
				pv.Scenarios = append(pv.Scenarios, add(s))
			}
			fv.Parts = append(fv.Parts, pv)
		}
		v.Features = append(v.Features, fv)
	}
	strays := map[string]*featureView{}
	for _, res := range v.Run.Results {
		if byWhere[res.Where] == nil {
			continue
		}
		file, _, _ := cutLast(res.Where, ":")
		fv := strays[file]
		if fv == nil {
			fv = &featureView{Feature: &Feature{File: file, Name: cmp.Or(res.Feature, file)}, Parts: []partView{{}}}
			strays[file] = fv
			v.Features = append(v.Features, fv)
		}
		s := add(&Scenario{Feature: fv.Feature, Rule: res.Rule, Where: res.Where, Name: cmp.Or(res.Scenario, res.Where)})
		fv.Parts[0].Scenarios = append(fv.Parts[0].Scenarios, s)
	}
	for i, f := range v.Features {
		f.ID = fmt.Sprintf("f%d", i+1)
		for _, p := range f.Parts {
			for _, s := range p.Scenarios {
				f.Worst = worse(f.Worst, s.Verdict)
				f.N++
			}
		}
	}
	v.Scenarios = len(all)
	return all
}

func rankOf(stage string) int {
	return slices.Index([]string{simulated, containers}, stage) // another one is first
}

// worse is the verdict that counts, of two.
func worse(a, b string) string {
	order := []string{"", passed, notEnded, inconclusive, failed}
	ia, ib := slices.Index(order, a), slices.Index(order, b)
	if ib < 0 || ia >= 0 && ib > ia { // what is not known here is not made little of
		return b
	}
	return a
}

// read reads the histories, draws the timelines, and lets go of what was read.
func (v *view) read(all []*scenarioView) error {
	inline := 0
	for _, s := range all {
		if s.Verdict != "" && s.Verdict != passed && inline < mostInline {
			inline++
		} else {
			s.Packed = len(all) > mostInline && s.Verdict != ""
		}
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, s := range all {
		g.Go(func() (err error) {
			var predicted, measured *stage.History
			for _, st := range s.Stages {
				st.story = v.Run.story(st.Result)
				st.Events, st.Notes = st.story.events, st.story.notes
				if rec := st.story.record; rec != nil {
					st.Prints, st.More = rec.Printed, rec.More
					st.Origin = originOf(rec.History)
					if st.Stage == simulated {
						predicted = rec.History
					} else {
						measured = rec.History
					}
				}
				if v.Run.Past != nil {
					st.Past = v.Run.Past(st.Stage, st.Feature, st.Result.Scenario)
				}
			}
			if predicted != nil || measured != nil {
				svg, err := chart.Timeline(predicted, measured, chart.Options{Lang: v.Lang, Version: versionOf(s.Stages)})
				if err != nil {
					s.Stages[0].Notes = append(s.Stages[0].Notes, note("the timeline cannot be drawn: %v", err))
				}
				s.Chart = template.HTML(svg) //nolint:gosec // chart escapes what it is given
			}
			for _, st := range s.Stages {
				st.story.record = nil
			}
			return nil
		})
	}
	return g.Wait()
}

// originOf is where the clock of the timeline begins: where the release does, or else
// where the steady state was confirmed.
func originOf(h *stage.History) (at time.Duration) {
	for _, e := range h.Events() {
		switch e.Kind {
		case stage.Stepped:
			return e.At
		case stage.Confirmed:
			at = e.At
		default:
		}
	}
	return at
}

func versionOf(stages []*StageView) string {
	for _, st := range stages {
		if st.story.version != "" {
			return st.story.version
		}
	}
	return ""
}

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

// colours are the escape sequences by which programs colour what they print.
var colours = regexp.MustCompile("\x1b\\[[0-9;:]*[A-Za-z]")

func (v *view) funcs() template.FuncMap {
	l := v.Lang
	return template.FuncMap{
		"t":     func(format string, args ...any) string { return l.Sprintf(format, args...) },
		"text":  l.Text,
		"lang":  func() string { return string(l) },
		"say":   func(n Note) string { return n.Say(l) },
		"dur":   func(d time.Duration) string { return duration(l, d) },
		"clock": func(at, origin time.Duration) string { return clock(at - origin) },
		"num":   func(n int64) string { return thousands(n) },
		"nums":  func(n int) string { return thousands(n) },
		"sign":  sign,
		"class": class,
		"word":  func(verdict string) string { return word(l, verdict) },
		"stage": func(name string) string { return l.Text(name) },
		"when":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"short": func(s string) string { return s[:min(len(s), 12)] },
		"line":  func(s string) string { return cut(colours.ReplaceAllString(s, ""), 600) },
		"percent": func(m check.Measures) string {
			p := m.FailedShare()
			if p > 0 && p < 0.05 {
				return "<0.1 %"
			}
			return fmt.Sprintf("%.1f %%", p)
		},
		"join":    strings.Join,
		"heading": func(rule string) int { return map[bool]int{true: 4, false: 5}[rule == ""] },
		"add":     func(a, b int) int { return a + b },
	}
}

func duration(l lang.Lang, d time.Duration) string {
	if d < time.Second {
		return l.Sprintf("%d ms", max(d, 0).Milliseconds())
	}
	return live.Duration(l, d)
}

// clock is a time as the timeline's axis has it.
func clock(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "−", -d
	}
	s := int64(d.Round(time.Second) / time.Second)
	if s == 0 {
		sign = ""
	}
	if s >= 3600 {
		return fmt.Sprintf("%s%d:%02d:%02d", sign, s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%s%d:%02d", sign, s/60, s%60)
}

func sign(verdict string) string {
	switch verdict {
	case passed:
		return "✓"
	case failed:
		return "✗"
	case inconclusive:
		return "?"
	case notEnded:
		return "…"
	case "":
		return "–"
	}
	return "•"
}

// class is the verdict as a word of the style sheet's.
func class(verdict string) string {
	switch verdict {
	case passed, failed, inconclusive:
		return verdict
	case notEnded:
		return "half"
	case "":
		return "none"
	}
	return "inconclusive"
}

func word(l lang.Lang, verdict string) string {
	switch verdict {
	case notEnded:
		return l.Sprintf("did not end")
	case "":
		return l.Sprintf("not rehearsed")
	}
	return l.Text(verdict)
}
