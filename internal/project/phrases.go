package project

import (
	"path/filepath"
)

// A Phrase is one of the team's own words: it stands for built-in phrases, in order.
// Whether those exist is for the package that knows them.
type Phrase struct {
	File     string
	Line     int    // from 1
	English  string // with gaps, as {version}; "" where there is only Japanese
	Japanese string // with the same gaps; "" where there is only English
	Means    []Meaning
}

// A Meaning is one of the built-in phrases, with the gaps of the team's phrase in it.
type Meaning struct {
	Line int
	Text string
}

type yamlPhrase struct {
	Phrase   string   `yaml:"phrase"`
	Japanese string   `yaml:"japanese"`
	Means    []string `yaml:"means"`
}

const wantPhrases = `a list of phrases, such as - {phrase: "the shop is open in {version}", means: ['the answer is 200']}`

// phrases reads the file of the team's own words.
func (r *reader) phrases(name string) (out []Phrase) {
	file, data, ok := r.open(at{"phrases"}, name, wantPhrases)
	if !ok {
		return nil
	}
	in := &reader{ctx: r.ctx, file: file, dir: filepath.Dir(file), untyped: map[int]bool{}}
	var list []yamlPhrase
	if in.decode(data, &list, "want "+wantPhrases) {
		for i, p := range list {
			out = append(out, in.phrase(i, p))
		}
	}
	r.errs = append(r.errs, in.errs...)
	return out
}

func (r *reader) phrase(i int, p yamlPhrase) Phrase {
	line, _ := r.find(at{i})
	if p.Phrase == "" && p.Japanese == "" {
		r.fail(at{i}, "a phrase needs its words: \"phrase\" in English, \"japanese\", or both")
	}
	if len(p.Means) == 0 {
		r.fail(at{i, "means"}, "the phrase %q needs \"means\", the built-in phrases that it stands for: `rehearse steps` lists them", orDefault(p.Phrase, p.Japanese))
	}
	out := Phrase{File: r.file, Line: line, English: p.Phrase, Japanese: p.Japanese}
	for j, text := range p.Means {
		line, _ := r.find(at{i, "means", j})
		out.Means = append(out.Means, Meaning{line, text})
	}
	return out
}
