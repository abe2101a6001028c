package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"rehearsal/internal/project"
)

// A TeamPhrase is one of a team's own words, of the file that rehearsal.yaml names as
// phrases.
type TeamPhrase struct {
	Phrase
	Means []string // the built-in phrases that it stands for, in order
}

// TeamPhrases is the team's own words. Its error is an *InputError for each thing that is
// wrong with them.
func TeamPhrases(p *project.Project) ([]TeamPhrase, error) {
	_, own, err := vocabulary(p)
	return own, err
}

// vocabulary is every form of a project, the built-in ones first, and the team's phrases.
func vocabulary(p *project.Project) ([]form, []TeamPhrase, error) {
	t := &team{builtIn: forms()}
	all := t.builtIn
	var phrases []TeamPhrase
	for _, own := range p.Phrases {
		forms, phrase := t.read(own)
		if len(forms) > 0 {
			phrases = append(phrases, phrase)
		}
		all = append(all, forms...)
	}
	for _, own := range t.own {
		t.meaning(own)
		t.ambiguity(own)
	}
	return all, phrases, errors.Join(t.errs...)
}

// team reads the team's own phrases, and collects what is wrong with them.
type team struct {
	builtIn []form
	own     []teamForm
	errs    []error
}

type teamForm struct {
	form
	project.Phrase
}

func (t *team) fail(file string, line int, format string, args ...any) {
	text := fmt.Sprintf("%s:%d: %s", file, line, fmt.Sprintf(format, args...))
	if !slices.ContainsFunc(t.errs, func(err error) bool { return err.Error() == text }) { // both languages have it
		t.errs = append(t.errs, &InputError{text})
	}
}

// read makes the forms of one phrase; none where its gaps cannot be read.
func (t *team) read(own project.Phrase) (forms []form, p TeamPhrase) {
	p = TeamPhrase{Phrase: Phrase{English: own.English, Japanese: own.Japanese}}
	for _, m := range own.Means {
		p.Means = append(p.Means, m.Text)
	}
	for _, template := range []string{own.English, own.Japanese} {
		if template == "" {
			continue
		}
		f, err := newForm(p.Phrase, template)
		if err != nil {
			t.fail(own.File, own.Line, "%q: %v", template, err)
			return nil, p
		}
		p.Keyword = t.keyword(f, p.Means)
		f.phrase.Keyword, f.phrase.do = p.Keyword, t.do(own, f)
		f.means = p.Means
		forms = append(forms, f)
		t.own = append(t.own, teamForm{f, own})
	}
	if len(forms) == 2 && !slices.Equal(slices.Sorted(slices.Values(gapsOf(forms[0]))), slices.Sorted(slices.Values(gapsOf(forms[1])))) {
		t.fail(own.File, own.Line, "%q and %q have different gaps: %q and %q", own.English, own.Japanese, gapsOf(forms[0]), gapsOf(forms[1]))
	}
	return forms, p
}

// gapsOf is the gaps of a form with their types.
func gapsOf(f form) []string {
	all := make([]string, len(f.names))
	for i, n := range f.names {
		all[i] = n + ":" + f.types[i]
	}
	return all
}

// keyword is where a phrase reads best that stands for others: that of the last of them.
func (t *team) keyword(own form, means []string) string {
	if len(means) > 0 {
		text := own.fill(means[len(means)-1], own.sample())
		for _, f := range t.builtIn {
			if f.re.MatchString(text) {
				return f.phrase.Keyword
			}
		}
	}
	return "Then"
}

// do carries out the built-in phrases, in order.
func (t *team) do(own project.Phrase, as form) func(context.Context, *World, Args) error {
	return func(ctx context.Context, w *World, a Args) error {
		for _, m := range own.Means {
			f, args, err := t.find(as.fill(m.Text, a))
			if err == nil {
				err = f.phrase.do(ctx, w, args)
			}
			if err != nil {
				return fmt.Errorf("%s:%d: %w", own.File, m.Line, err)
			}
		}
		return nil
	}
}

// find is the built-in phrase that a text reads as.
func (t *team) find(text string) (form, Args, error) {
	for _, f := range t.builtIn {
		if m := f.re.FindStringSubmatch(text); m != nil {
			return f, f.args(m[1:]), nil
		}
	}
	return form{}, nil, &InputError{fmt.Sprintf("no built-in phrase reads %q", text)}
}

// meaning checks what a phrase stands for.
func (t *team) meaning(own teamForm) {
	sample := own.sample()
	used := map[string]bool{}
	for _, m := range own.Means {
		for _, s := range gapName.FindAllStringSubmatch(m.Text, -1) {
			used[s[1]] = true
			switch _, known := sample[s[1]]; {
			case known && s[2] != "":
				t.fail(own.File, m.Line, "{%s:%s}: a type belongs into the phrase itself: here write {%s}", s[1], s[2], s[1])
			case !known && s[1] != "key" && s[1] != "acknowledged": // those are the stage's to fill
				t.fail(own.File, m.Line, "there is no {%s} in %q: it has %q", s[1], own.template, own.names)
			}
		}
		text := own.fill(m.Text, sample)
		if own.re.MatchString(text) {
			t.fail(own.File, m.Line, "the phrase %q stands for itself", own.template)
			continue
		}
		if i := slices.IndexFunc(t.own, func(o teamForm) bool { return o.re.MatchString(text) }); i >= 0 {
			t.fail(own.File, m.Line, "%q is one of the team's own phrases (line %d): write out the built-in ones that it stands for", m.Text, t.own[i].Line)
			continue
		}
		if _, _, err := t.find(text); err != nil {
			t.fail(own.File, m.Line, "no built-in phrase reads %q; the nearest is %q; `rehearse steps` lists all", m.Text, nearest(t.builtIn, text))
		}
	}
	for _, n := range own.names {
		if !used[n] {
			t.fail(own.File, own.Line, "the gap {%s} of %q is used in none of its meanings", n, own.template)
		}
	}
}

// ambiguity finds texts that read as the phrase and as another.
func (t *team) ambiguity(own teamForm) {
	en := func(g gap) string { return g.en }
	mine := example(own.template, en)
	for _, b := range t.builtIn {
		if b.re.MatchString(mine) || own.re.MatchString(example(b.template, en)) {
			t.fail(own.File, own.Line, "%q can be read as the built-in phrase %q too: put it in other words", own.template, b.template)
		}
	}
	for _, o := range t.own {
		if o.Line < own.Line && (o.re.MatchString(mine) || own.re.MatchString(example(o.template, en))) {
			t.fail(own.File, own.Line, "%q can be read as %q (line %d) too: put it in other words", own.template, o.template, o.Line)
		}
	}
}
