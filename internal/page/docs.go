package page

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"

	"rehearsal/internal/alarm"
	"rehearsal/internal/chart"
	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/release"
)

// A Guide is what is promised of releases, without running anything: the features, the
// plans, the alarms and the words.
type Guide struct {
	Service    string
	Features   []*Feature
	Plans      []*release.Plan // the team's own first
	Replicas   int             // of the service; 0: not known
	Alarms     []alarm.Alarm
	Composites []alarm.Composite
	// Last gives the last outcomes of a scenario on a stage, the newest first; nil where
	// none are known.
	Last   func(stage string, s *Scenario) []Past
	Source string    // where Last has them from
	Now    time.Time // for their age
	Notes  []Note    // what could not be read
}

// ReadFeatures reads feature files, and the folders' that it is given, without running
// them. What cannot be read, or is not Gherkin, is a Note.
func ReadFeatures(paths []string) (all []*Feature, notes []Note) {
	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			files = nil
			_ = filepath.WalkDir(path, func(file string, _ os.DirEntry, err error) error {
				if err != nil {
					notes = append(notes, note("%s cannot be read: %v", file, err))
				} else if strings.HasSuffix(file, ".feature") {
					files = append(files, file)
				}
				return nil
			})
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				notes = append(notes, note("%s cannot be read: %v", file, err))
				continue
			}
			f, err := parseFeature(append(fmt.Appendf(nil, "%s%s\n", cameFrom, filepath.ToSlash(file)), data...))
			if err != nil {
				notes = append(notes, note("%s is not Gherkin: %v", file, err))
				continue
			}
			all = append(all, f)
		}
	}
	return all, notes
}

// Outcomes gives what a report folder says of a scenario, for Guide.Last.
func (r *Run) Outcomes() func(stage string, s *Scenario) []Past {
	known := map[string]Past{}
	for _, res := range r.Results {
		p := Past{Verdict: res.Verdict, Detect: res.Measures.Detect, Restore: res.Measures.Restore}
		if r.Facts != nil {
			p.At, p.Commit = r.Facts.Began, r.Facts.Commit
		}
		known[res.Stage+" "+res.Where] = p
		known[res.Stage+" "+res.Feature+" "+res.Scenario] = p // where lines have moved since
	}
	return func(stage string, s *Scenario) []Past {
		for _, key := range []string{stage + " " + s.Where, stage + " " + s.Feature.Name + " " + s.Name} {
			if p, ok := known[key]; ok {
				return []Past{p}
			}
		}
		return nil
	}
}

// Docs writes the guide as one HTML file, which needs nothing else.
func Docs(w io.Writer, g *Guide, l lang.Lang) error {
	d := &docs{Guide: g, Lang: l}
	// Who reads Japanese begins with what is written in Japanese.
	slices.SortStableFunc(g.Features, func(a, b *Feature) int {
		return cmp.Compare(d.foreign(a), d.foreign(b))
	})
	pages, err := template.New("").Funcs((&view{Lang: l}).funcs()).ParseFS(files, "page/*.tmpl")
	if err != nil {
		return err
	}
	out := transform.NewWriter(w, runes.Map(visible))
	if err := pages.ExecuteTemplate(out, "docs", d); err != nil {
		return err
	}
	return out.Close()
}

// docs is what the template asks of a guide.
type docs struct {
	*Guide
	lang.Lang
}

func (d *docs) foreign(f *Feature) int {
	if f.Language == string(d.Lang) {
		return 0
	}
	return 1
}

// Style is the sheet of the report, with what is the guide's own.
func (d *docs) Style() template.CSS {
	return template.CSS(part("style.css") + part("docs.css") + chart.CSS) //nolint:gosec // part of the program
}

// Policy lets the page load nothing, and run nothing.
func (d *docs) Policy() string {
	return fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action 'none'", digest(string(d.Style())))
}

// An outcome is how a scenario ended last on one stage.
type outcome struct {
	Verdict, Stage, Age string
	Strip               template.HTML // the runs before too, where there are several
}

// Outcomes is how a scenario ended last, by stage.
func (d *docs) Outcomes(s *Scenario) (all []outcome) {
	if d.Last == nil {
		return nil
	}
	for _, stage := range []string{simulated, containers} {
		past := d.Last(stage, s)
		if len(past) == 0 {
			continue
		}
		o := outcome{Verdict: past[0].Verdict, Stage: stage, Age: d.age(past[0].At)}
		if len(past) > 1 {
			o.Strip = d.strip(past)
		}
		all = append(all, o)
	}
	return all
}

func (d *docs) strip(past []Past) template.HTML {
	runs := make([]chart.Run, len(past))
	for i, p := range past {
		runs[i] = chart.Run{At: p.At, Verdict: check.Inconclusive, Detect: p.Detect}
		switch p.Verdict {
		case passed:
			runs[i].Verdict = check.Passed
		case failed:
			runs[i].Verdict = check.Failed
		}
	}
	svg, err := chart.Runs(runs, chart.Options{Lang: d.Lang})
	if err != nil {
		return ""
	}
	return template.HTML(svg) // escaped by chart
}

// age is how long ago something was; "" where that is not known.
func (d *docs) age(at time.Time) string {
	if at.IsZero() || at.After(d.Now) {
		return ""
	}
	switch age := d.Now.Sub(at); {
	case age < 2*time.Minute:
		return d.Sprintf("just now")
	case age < time.Hour:
		return d.Sprintf("%d minutes ago", int(age.Minutes()))
	case age < 48*time.Hour:
		return d.Sprintf("%d hours ago", int(age.Hours()))
	default:
		return d.Sprintf("%d days ago", int(age.Hours()/24))
	}
}

// A plan as it is told.
type toldPlan struct {
	Name    string
	Own     bool
	Diagram template.HTML
	Words   []string
}

// Told is every plan, the team's own first.
func (d *docs) Told() (all []toldPlan) {
	for i, p := range d.Plans {
		told := toldPlan{Name: p.Name, Own: i == 0}
		svg, err := chart.Plan(p, d.Replicas, chart.Options{Lang: d.Lang})
		if err != nil {
			told.Words = []string{d.Text(err.Error())}
		} else {
			told.Diagram = template.HTML(svg) // escaped by chart
			told.Words = chart.PlanWords(p, d.Replicas, d.Lang)
		}
		all = append(all, told)
	}
	return all
}

// An alarm as it is told.
type toldAlarm struct {
	Name, Kind, Description string
	Watched                 bool // by the team's own plan
	Words                   []string
}

// Explained is every alarm in words.
func (d *docs) Explained() (all []toldAlarm) {
	tell := func(name, description, kind string, words []string, err error) {
		a := toldAlarm{Name: name, Kind: kind, Description: description, Words: words}
		if err != nil {
			a.Words = []string{d.Text(err.Error())}
		}
		a.Watched = len(d.Plans) > 0 && slices.Contains(d.Plans[0].Alarms, name)
		all = append(all, a)
	}
	for i := range d.Alarms {
		words, err := AlarmWords(&d.Alarms[i], d.Lang)
		tell(d.Alarms[i].AlarmName, d.Alarms[i].AlarmDescription, "", words, err)
	}
	for i := range d.Composites {
		words, err := CompositeWords(&d.Composites[i], d.Lang)
		tell(d.Composites[i].AlarmName, d.Composites[i].AlarmDescription, d.Sprintf("composite"), words, err)
	}
	return all
}

// Glossary is the words.
func (d *docs) Glossary() []lang.Word { return lang.Glossary() }

// Prose has the lines of each paragraph in one: where a file breaks its lines is no
// matter of the page. Japanese is put together without spaces.
func (d *docs) Prose(f *Feature, text string) string {
	space := " "
	if f.Language == string(lang.Japanese) {
		space = ""
	}
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.ReplaceAll(p, "\n", space)
	}
	return strings.Join(paragraphs, "\n\n")
}

// Count is how many scenarios there are.
func (d *docs) Count() (n int) {
	for _, f := range d.Features {
		for _, p := range f.Parts {
			n += len(p.Scenarios)
		}
	}
	return n
}
