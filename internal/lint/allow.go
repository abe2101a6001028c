package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	messages "github.com/cucumber/messages/go/v34"
)

// An allow is a comment that switches a rule off for the lines that follow it:
//
//	# lint: allow vague-duration, because the incident is called so
type allow struct {
	place
	rule        Rule
	first, last int // lines
	used        bool
}

var (
	lintComment  = regexp.MustCompile(`^\s*#\s*lint\s*:`)
	allowComment = regexp.MustCompile(`^\s*#\s*lint\s*:\s*allow\s+([\w-]+)\s*,?\s+because\s+(.*\S)\s*$`)
)

// allowing reads a comment; false where it is none that switches a rule off. last gives
// the last line of what begins in a line, 0 where nothing does.
func (l *linter) allowing(t text, line int, last func(first int) int) {
	comment := t.lines[line-1]
	if !lintComment.MatchString(comment) {
		return
	}
	at := t.at(int64(line), "#")
	m := allowComment.FindStringSubmatch(comment)
	if m == nil {
		l.badAllow(at, "a comment for lint gives no reason, or names no rule", "write \"# lint: allow RULE, because ...\"")
		return
	}
	if !slices.Contains(Rules(), Rule(m[1])) {
		l.badAllow(at, fmt.Sprintf("there is no rule %s", m[1]), fmt.Sprintf("known are %s", strings.Join(ruleNames(), ", ")))
		return
	}
	first := line + 1
	for first <= len(t.lines) && skipped(t.lines[first-1]) {
		first++
	}
	a := &allow{place: at, rule: Rule(m[1]), first: first, last: last(first)}
	if a.last == 0 {
		l.badAllow(at, "nothing that a rule could be switched off for begins below the comment", "write it above a step, a scenario, a rule or the feature")
		return
	}
	l.allows = append(l.allows, a)
}

func skipped(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || strings.HasPrefix(line, "#")
}

// allow reads the comments of a feature.
func (f *feature) allow(comments []*messages.Comment) {
	for _, c := range comments {
		f.allowing(f.text, int(c.Location.Line), func(first int) int {
			for _, n := range f.nodes { // the widest comes first
				if n.first == first {
					return n.last
				}
			}
			return 0
		})
	}
}

// allowed is the findings that no comment allows, and the comments that allow nothing.
func (l *linter) allowed() []Finding {
	found := slices.DeleteFunc(slices.Clone(l.found), func(f Finding) bool {
		is := false
		for _, a := range l.allows {
			if a.file == f.File && a.rule == f.Rule && a.first <= f.Line && f.Line <= a.last {
				a.used, is = true, true
			}
		}
		return is
	})
	l.found = nil
	for _, a := range l.allows {
		if !a.used {
			l.badAllow(a.place, fmt.Sprintf("nothing below breaks the rule %s", a.rule), "delete the comment")
		}
	}
	return append(found, l.found...)
}
