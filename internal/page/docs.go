package page

import (
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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

//go:embed page/docs.html
var docsPages embed.FS

// Docs writes the guide as one HTML file, which needs nothing else.
func Docs(w io.Writer, g *Guide, l lang.Lang) error {
	d := &docs{Guide: g, Lang: l}
	t, err := template.New("docs.html").Funcs(template.FuncMap{"t": l.Sprintf}).ParseFS(docsPages, "page/docs.html")
	if err != nil {
		return err
	}
	// Who reads Japanese begins with what is written in Japanese.
	slices.SortStableFunc(g.Features, func(a, b *Feature) int {
		return cmp.Compare(d.foreign(a), d.foreign(b))
	})
	return t.Execute(w, d)
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

// Style is the sheet of the charts.
func (d *docs) Style() template.CSS { return template.CSS(chart.CSS) }

// Date is when the page was written.
func (d *docs) Date() string { return d.Now.UTC().Format("2006-01-02 15:04 UTC") }

// Problems is what could not be read.
func (d *docs) Problems() (all []string) {
	for _, n := range d.Notes {
		all = append(all, n.Say(d.Lang))
	}
	return all
}

// A told outcome is a line about one stage.
type outcome struct {
	Class, Sign, Text string
	Strip             template.HTML // the runs before, where there are several
}

// Outcomes is how a scenario ended last, by stage.
func (d *docs) Outcomes(s *Scenario) (all []outcome) {
	if d.Last == nil {
		return nil
	}
	for _, stage := range []struct{ name, text string }{
		{"simulated", d.Sprintf("on the simulated stage")},
		{"containers", d.Sprintf("in containers")},
	} {
		past := d.Last(stage.name, s)
		if len(past) == 0 {
			continue
		}
		p := past[0]
		o := outcome{Class: "unsure", Sign: "?"}
		switch p.Verdict {
		case passed:
			o.Class, o.Sign = "good", "✓"
		case failed:
			o.Class, o.Sign = "bad", "✗"
		}
		o.Text = d.Sprintf("%s %s", d.Text(p.Verdict), stage.text)
		if age := d.age(p.At); age != "" {
			o.Text = d.Sprintf("%s %s, %s", d.Text(p.Verdict), stage.text, age)
		}
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
			told.Words = []string{d.Sprintf("%v", err)}
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
	add := func(name, description, kind string, words []string, err error) {
		a := toldAlarm{Name: name, Kind: kind, Description: description, Words: words}
		if err != nil {
			a.Words = []string{d.Sprintf("%v", err)}
		}
		a.Watched = len(d.Plans) > 0 && slices.Contains(d.Plans[0].Alarms, name)
		all = append(all, a)
	}
	for i := range d.Alarms {
		words, err := AlarmWords(&d.Alarms[i], d.Lang)
		add(d.Alarms[i].AlarmName, d.Alarms[i].AlarmDescription, "", words, err)
	}
	for i := range d.Composites {
		words, err := CompositeWords(&d.Composites[i], d.Lang)
		add(d.Composites[i].AlarmName, d.Composites[i].AlarmDescription, d.Sprintf("composite"), words, err)
	}
	return all
}

// Glossary is the words.
func (d *docs) Glossary() []lang.Word { return lang.Glossary() }

// Count is how many scenarios there are.
func (d *docs) Count() (n int) {
	for _, f := range d.Features {
		for _, p := range f.Parts {
			n += len(p.Scenarios)
		}
	}
	return n
}
