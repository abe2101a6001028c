package live

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"time"

	"rehearsal/internal/lang"
)

//go:embed page/page.html.tmpl
var pageTemplate string

//go:embed page/style.css
var pageStyle string

//go:embed page/script.js
var pageScript string

var pages = template.Must(template.New("").Parse(pageTemplate))

// policy lets the page have its own style and script, and ask its own server, and
// nothing else.
var policy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	digest(pageStyle), digest(pageScript))

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// A view is a State as a browser shows it: pieces of HTML, each of which changes by
// itself.
type view struct {
	Head           template.HTML
	Cards          []card
	Ended          []template.HTML // the newest first
	UnderWay, Done string
	lang           lang.Lang
	over           bool
	alert          string // what somebody who does not look should hear
	red            map[string]bool
}

type card struct {
	ID, Name string
	Parts    []part
}

type part struct {
	ID, Class string
	HTML      template.HTML
}

// render fills one of the page's templates.
func render(name string, data any) template.HTML {
	var b strings.Builder
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		panic(err) // they are part of the program
	}
	return template.HTML(b.String()) //nolint:gosec // html/template made it
}

// whole is the page, with what is known at first.
func (v *view) whole(service string) template.HTML {
	l := v.lang
	return render("page", map[string]any{
		"Lang": string(l), "Title": l.Sprintf("Rehearsing the releases of %s", service), "Live": render("live", v),
		"Style": template.CSS(pageStyle), "Script": template.JS(pageScript), //nolint:gosec // part of the program
		"Lost":     l.Sprintf("There is no word from the run: it has ended, or was killed. This is the last that was known."),
		"NoScript": l.Sprintf("Without JavaScript this page stays as it is: reload it."),
	})
}

// viewOf shows s. What ended before is not rendered again; ids has a short id for each
// scenario that was ever under way.
func viewOf(s State, l lang.Lang, before *view, ids map[string]string) *view {
	v := &view{lang: l, UnderWay: l.Sprintf("Under way"), Done: l.Sprintf("Ended"), over: s.Over, red: map[string]bool{}}
	v.Head = render("head", map[string]any{
		"Verdict": l.Text(s.Verdict), "Status": s.Status, "Text": s.Head(l)[0], "Said": s.Said, "Total": s.Total(), "Ended": len(s.Ended),
	})
	for i := range s.Active {
		v.Cards = append(v.Cards, v.card(&s.Active[i], s.At, ids))
	}
	known := 0
	if before != nil {
		v.Ended, v.alert, known = before.Ended, before.alert, len(before.Ended)
	}
	for _, e := range s.Ended[known:] {
		v.Ended = append([]template.HTML{v.ended(e)}, v.Ended...)
	}
	for _, sc := range s.Active {
		for _, a := range sc.Red() {
			v.red[sc.ID+" "+a] = true
			if before == nil || !before.red[sc.ID+" "+a] {
				v.alert = l.Sprintf("the alarm %s went off: %s", a, sc.Name)
			}
		}
	}
	if s.Over {
		v.alert = l.Text(s.Verdict)
	}
	return v
}

func (v *view) card(s *Scenario, at time.Time, ids map[string]string) card {
	l := v.lang
	id := ids[s.ID]
	if id == "" {
		id = fmt.Sprintf("s%d", len(ids)+1)
		ids[s.ID] = id
	}
	c := card{ID: id, Name: s.Name}
	add := func(class, template string, data map[string]any) {
		data["Label"] = l.Text(class)
		c.Parts = append(c.Parts, part{id + "-" + class, class, render(template, data)})
	}
	text := func(class, what string) { add(class, "text", map[string]any{"Text": what}) }
	where := l.Text(s.Stage)
	if s.Up {
		where += l.Sprintf(", ") + Duration(l, s.Now)
	}
	text("stage", where)
	text("step", s.Step)
	if s.Up {
		add("traffic", "traffic", v.traffic(s))
		add("errors", "errors", v.errors(s))
		red := ""
		if names := s.Red(); len(names) > 0 {
			red = l.Sprintf("ALARM %s", strings.Join(names, " "))
		}
		add("alarms", "alarms", map[string]any{"Red": red, "Calm": s.Calm(l)})
	} else {
		text("traffic", "")
		text("errors", "")
		text("alarms", "")
	}
	var failures []string
	for _, f := range s.Failures {
		failures = append(failures, f.Say(l))
	}
	text("failure", strings.Join(failures, "; "))
	d := s.Doing(l, at)
	text("plan", d.Now)
	text("next", d.Then)
	left, wall := s.Remaining(l)
	if wall != "" {
		left = l.Sprintf("%s of the plan, about %s in real time", left, wall)
	}
	text("left", left)
	return c
}

func (v *view) traffic(s *Scenario) map[string]any {
	type share struct {
		Class       int
		From, Width float64
		Text        string
	}
	var shares []share
	from := 0.0
	for i, name := range s.Shares.Versions() {
		p := s.Shares[name]
		shares = append(shares, share{i % 4, from, p, name + " " + Percent(p)})
		from += p
	}
	return map[string]any{"Shares": shares, "None": v.lang.Sprintf("no version has any")}
}

func (v *view) errors(s *Scenario) map[string]any {
	type bar struct{ X, Y, Height int }
	var bars []bar
	const top = 19
	for i, n := range s.Levels(top) {
		if n >= 0 {
			bars = append(bars, bar{i, top - n, n + 1}) // none failed shows as a thin line
		}
	}
	p, _ := s.Rate.Percent(s.Now)
	return map[string]any{"Bars": bars, "Width": Pieces, "Rate": s.ErrorRate(v.lang), "Some": p > 0, "Peak": s.Peak(v.lang)}
}

func (v *view) ended(e Ended) template.HTML {
	return render("ended", map[string]any{
		"Class": e.Verdict.String(), "Mark": v.lang.Text(e.Verdict.String()), "Name": e.Name, "Stage": v.lang.Text(e.Stage), "Took": Duration(v.lang, e.Took), "Why": e.Why,
	})
}

// changes is how a page that shows before comes to show v: a list of how, where, what.
func (v *view) changes(before *view) [][3]string {
	if before == nil {
		return [][3]string{{"put", "live", string(render("live", v))}, {"put", "alert", template.HTMLEscapeString(v.alert)}}
	}
	var out [][3]string
	if v.Head != before.Head {
		out = append(out, [3]string{"put", "head", string(v.Head)})
	}
	shown := map[string]map[string]template.HTML{}
	for _, c := range before.Cards {
		shown[c.ID] = map[string]template.HTML{}
		for _, p := range c.Parts {
			shown[c.ID][p.ID] = p.HTML
		}
	}
	for _, c := range v.Cards {
		was, there := shown[c.ID]
		if delete(shown, c.ID); !there {
			out = append(out, [3]string{"add", "cards", string(render("card", c))})
			continue
		}
		for _, p := range c.Parts {
			if was[p.ID] != p.HTML {
				out = append(out, [3]string{"put", p.ID, string(p.HTML)})
			}
		}
	}
	for _, c := range before.Cards {
		if _, gone := shown[c.ID]; gone {
			out = append(out, [3]string{"drop", c.ID, ""})
		}
	}
	for i := len(v.Ended) - len(before.Ended) - 1; i >= 0; i-- {
		out = append(out, [3]string{"top", "ended", string(v.Ended[i])})
	}
	if v.alert != before.alert {
		out = append(out, [3]string{"put", "alert", template.HTMLEscapeString(v.alert)})
	}
	return out
}
