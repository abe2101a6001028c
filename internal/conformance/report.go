package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// width is how many columns a report takes at most, but for words that are longer.
const width = 80

// WriteJSON writes the report as one JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes what conforms by name, what deviates with what was observed in its
// place and the page, and what is undecided with the reason.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, in %s; the clock is %s\n", r.Endpoint, r.title(), r.Clock)
	for _, v := range []Verdict{Conforms, Deviates, Undecided} {
		n := r.Count(v)
		if n == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", map[Verdict]string{
			Conforms: "Behaves as AWS documents", Deviates: "Deviates", Undecided: "Could not be decided",
		}[v])
		if v == Conforms {
			var names []string
			for _, c := range r.Results {
				if c.Verdict == v {
					names = append(names, c.Name)
				}
			}
			wrap(&b, "  ", "  ", strings.Join(names, " "))
			continue
		}
		for _, c := range r.Results {
			if c.Verdict != v {
				continue
			}
			fmt.Fprintf(&b, "  %s\n", c.Name)
			wrap(&b, "    AWS   ", "          ", c.Documented)
			label := "    here  "
			if v == Undecided {
				label = "    why   "
			}
			wrap(&b, label, "          ", c.Observed)
			if v == Deviates {
				fmt.Fprintf(&b, "    see   %s\n", c.Source)
			}
		}
	}
	if len(r.Left) > 0 {
		b.WriteString("\nCould not be deleted\n")
		for _, l := range r.Left {
			wrap(&b, "  ", "    ", l)
		}
	}
	fmt.Fprintf(&b, "\n%d cases: %d as AWS documents, %d deviate, %d undecided\n", len(r.Results), r.Count(Conforms), r.Count(Deviates), r.Count(Undecided))
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) title() string {
	for _, p := range protocols {
		if p.name == r.Protocol {
			return p.title
		}
	}
	return r.Protocol
}

// wrap writes a text in lines that begin as told.
func wrap(b *strings.Builder, first, next, text string) {
	line := first
	length := len([]rune(first))
	fresh := true
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		if !fresh && length+1+n > width {
			b.WriteString(line + "\n")
			line, length, fresh = next, len([]rune(next)), true
		}
		if !fresh {
			line, length = line+" ", length+1
		}
		line, length, fresh = line+word, length+n, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// ExitStatus is 0 where everything is as AWS documents, 1 where something deviates,
// and 3 where nothing does and something is undecided.
func (r *Report) ExitStatus() int {
	switch {
	case r.Count(Deviates) > 0:
		return 1
	case r.Count(Undecided) > 0:
		return 3
	}
	return 0
}
