package page

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"runtime"
	"slices"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"

	"rehearsal/internal/chart"
	"rehearsal/internal/lang"
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
	mostPlain  = 150 // scenarios of which nothing is packed
	mostInline = 60  // timelines of what did not pass, in a larger report
	mostTold   = 60  // failed scenarios with what was printed; others have it by their timelines
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
			s.Packed = len(all) > mostPlain && s.Verdict != ""
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
