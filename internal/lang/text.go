package lang

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// A pattern finds the arguments of a finished message that a format of the catalogue
// made.
type pattern struct {
	format, translation string
	parts               []part
	weight              int // bytes that are not arguments: the more, the surer
	key                 string
	re                  func() [2]*regexp.Regexp // as little as can be for what is free, and as much
}

// A part of a format is text, or a verb and which argument it takes.
type part struct {
	text string
	verb byte // 0: text
	arg  int  // from 0
}

// split takes a format apart as package fmt reads it; not ok where it is none, or takes
// its width from an argument.
func split(format string) (parts []part, ok bool) {
	text, next := "", 0
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			text += format[i : i+1]
			continue
		}
		i++
		for i < len(format) && strings.IndexByte("+-# 0.123456789[]", format[i]) >= 0 {
			if format[i] == '[' {
				end := strings.IndexByte(format[i:], ']')
				if end < 0 {
					return nil, false
				}
				n, err := strconv.Atoi(format[i+1 : i+end])
				if err != nil || n < 1 {
					return nil, false
				}
				next, i = n-1, i+end
			}
			i++
		}
		switch {
		case i == len(format) || format[i] == '*':
			return nil, false
		case format[i] == '%':
			text += "%"
			continue
		}
		if text != "" {
			parts, text = append(parts, part{text: text}), ""
		}
		parts = append(parts, part{verb: format[i], arg: next})
		next++
	}
	if text != "" {
		parts = append(parts, part{text: text})
	}
	return parts, true
}

// What a verb can have written. Of %s, %v and %w, as little as the rest allows.
var writes = map[byte]string{
	'q': `(\[?(?:"(?:[^"\\]|\\.)*" ?)*\]?|'(?:[^'\\]|\\.)*')`,
	'd': `( *[-+]?\d[\d,]*)`,
	'f': `( *[-+]?(?:[\d.]+|Inf)|NaN)`,
	'g': `( *[-+]?(?:[\d.]+(?:e[-+]?\d+)?|Inf)|NaN)`,
	'x': `(0?x?[0-9a-fA-F]+)`,
	't': `(true|false)`,
	'c': `((?s:.))`,
	's': `((?s:.*?))`, 'v': `((?s:.*?))`, 'w': `((?s:.*?))`,
}

// A free verb can have written anything.
func free(verb byte) bool { return verb == 's' || verb == 'v' || verb == 'w' }

// How many letters beside the arguments make a message known for sure: with fewer,
// "%s to %s" would be found in any sentence.
const (
	fewestLetters     = 3
	fewestBesideAFree = 8
	fewestWithAComma  = 5 // or another mark: that is not within a sentence
	fewestOfKey       = 4
)

// anywhere are words that stand in any sentence: they tell nothing of which it is.
var anywhere = strings.Fields("a an and are as at be by for from has in is it its no not of on or so than that the there to was with")

// newPattern is nil for a format that finished messages are not recognised by: one
// without arguments is found as it is, and one with too little text would be found
// where it is not.
func newPattern(format, translation string) *pattern {
	parts, ok := split(format)
	if !ok {
		return nil
	}
	p := &pattern{format: format, translation: translation, parts: parts}
	letters, telling, args, fewest, marked := 0, 0, 0, fewestLetters, false
	for _, q := range parts {
		switch {
		case q.verb == 0:
			p.weight += len(q.text)
			for _, r := range q.text {
				if unicode.IsLetter(r) {
					letters++
				}
				marked = marked || strings.ContainsRune(",;:(", r)
			}
			for _, w := range strings.FieldsFunc(q.text, func(r rune) bool { return !unicode.IsLetter(r) }) {
				if !slices.Contains(anywhere, strings.ToLower(w)) {
					telling += len(w)
				}
			}
			if len(q.text) > len(p.key) {
				p.key = q.text
			}
			continue
		case writes[q.verb] == "":
			return nil
		case free(q.verb):
			fewest = fewestBesideAFree
		}
		args++
	}
	if fewest == fewestBesideAFree && marked {
		fewest = fewestWithAComma
	}
	if args == 0 || letters < fewest || telling < fewestLetters || len(p.key) < fewestOfKey {
		return nil
	}
	p.re = sync.OnceValue(func() [2]*regexp.Regexp {
		var b strings.Builder
		b.WriteString(`^`)
		for i, q := range p.parts {
			switch {
			case q.verb == 0 && strings.TrimSpace(q.text) == "" && p.follows(i+1):
			case q.verb == 0:
				b.WriteString(regexp.QuoteMeta(q.text))
			case free(q.verb) && p.follows(i):
				b.WriteString(`()`)
			case free(q.verb) && p.between(i, "(", ")"):
				b.WriteString(`([^()]*?)`)
			case free(q.verb) && p.between(i, "", "%"):
				b.WriteString(`(\S*?)`)
			default:
				b.WriteString(writes[q.verb])
			}
		}
		little := b.String() + `$`
		return [2]*regexp.Regexp{regexp.MustCompile(little), regexp.MustCompile(strings.ReplaceAll(little, `*?)`, `*)`))}
	})
	return p
}

// follows says whether what is free stands right behind another, but for spaces: all goes
// to the first of them, since nothing tells where it ends.
func (p *pattern) follows(i int) bool {
	if i >= len(p.parts) || !free(p.parts[i].verb) {
		return false
	}
	i--
	if i > 0 && p.parts[i].verb == 0 && strings.TrimSpace(p.parts[i].text) == "" {
		i--
	}
	return i >= 0 && free(p.parts[i].verb)
}

// between says whether a part stands between these marks, in which nobody puts them again.
func (p *pattern) between(i int, before, after string) bool {
	return i+1 < len(p.parts) && strings.HasPrefix(p.parts[i+1].text, after) && (before == "" || i > 0 && strings.HasSuffix(p.parts[i-1].text, before))
}

// A book is the catalogue, ready to recognise what its formats made.
type book struct {
	all   map[string]string
	index map[[fewestOfKey]byte][]*pattern // by the beginning of their longest text
}

func newBook(all map[string]string) *book {
	b := &book{maps.Clone(all), map[[fewestOfKey]byte][]*pattern{}}
	add := func(format, translation string) {
		if _, ok := all[format]; !ok {
			b.all[format] = translation
		}
		if p := newPattern(format, translation); p != nil {
			k := [fewestOfKey]byte([]byte(p.key))
			b.index[k] = append(b.index[k], p)
		}
	}
	for format, translation := range all {
		add(format, translation)
		if f, stopped := strings.CutSuffix(format, "."); stopped { // it may have been joined to another sentence
			format, translation = strings.TrimPrefix(f, " "), strings.TrimSuffix(translation, "。")
			add(format, translation)
		}
		for _, j := range joints { // what is put behind another message is found behind it
			rest, joined := strings.CutPrefix(format, j.en)
			if said, ok := strings.CutPrefix(translation, j.ja); ok && joined {
				add(rest, said)
			}
		}
	}
	for _, ps := range b.index {
		slices.SortFunc(ps, func(p, q *pattern) int {
			return cmp.Or(cmp.Compare(q.weight, p.weight), cmp.Compare(p.format, q.format))
		})
	}
	return b
}

// find is the pattern that made a message, and the arguments as they were written: of
// several, that with the most text.
func (b *book) find(message string) (best *pattern, args []string) {
	for i := 0; i+fewestOfKey <= len(message); i++ {
		for _, p := range b.index[[fewestOfKey]byte([]byte(message[i:i+fewestOfKey]))] {
			if best != nil && (p.weight < best.weight || p.weight == best.weight && p.format >= best.format) {
				break // the others have less text still
			}
			if !strings.HasPrefix(message[i:], p.key) {
				continue
			}
			if a := p.match(message); a != nil {
				best, args = p, a
			}
		}
	}
	return best, args
}

// match is the arguments by their number; nil where the message is of another format.
func (p *pattern) match(message string) []string {
	if first := p.parts[0]; first.verb == 0 && !strings.HasPrefix(message, first.text) {
		return nil
	}
	re := p.re()
	m := re[0].FindStringSubmatch(message)
	if m == nil || !slices.Equal(m, re[1].FindStringSubmatch(message)) {
		return nil // of another format, or nobody knows where an argument ends
	}
	var args []string
	seen := map[int]bool{}
	n := 0
	for _, q := range p.parts {
		if q.verb == 0 {
			continue
		}
		n++
		for len(args) <= q.arg {
			args = append(args, "")
		}
		if seen[q.arg] && args[q.arg] != m[n] {
			return nil // one argument that stands there twice
		}
		seen[q.arg], args[q.arg] = true, m[n]
	}
	return args
}

// Bounds of what a finished message may cost, since part of it comes from anywhere: what
// is beyond is said as it is.
const (
	longest  = 8 << 10 // bytes of a message that is recognised as one
	mostTry  = 400     // parts of a message that are looked up
	deepest  = 8       // messages within messages
	mostCuts = 12      // places at which one is tried to be cut
)

// A reader translates one finished message.
type reader struct {
	*book
	left int // to be looked up
}

// Where messages are joined, and how in Japanese.
var joints = []struct{ en, ja string }{{"\n", "\n"}, {". ", "。"}, {"; and ", "。また、"}, {"; ", "。"}, {": ", ": "}, {", that ", "、"}, {", ", "、"}, {" (", " ("}}

// read translates a message: whole, or else the parts that it is joined from. ok is
// whether anything of it was known.
func (r *reader) read(message string, depth int) (said string, ok bool) {
	text := strings.TrimPrefix(strings.TrimLeft(message, " \t"), "- ")
	indent := message[:len(message)-len(text)]
	if text == "" || depth > deepest {
		return message, false
	}
	if said, ok := r.listed(text, depth); ok {
		return indent + said, true
	}
	if said, ok := r.ending(text, depth); ok {
		return indent + said, true
	}
	if before, after, joined := strings.Cut(text, "\n"); joined {
		lines := []string{before}
		if depth == 0 { // each of them in turn, and not one within the other
			lines = strings.Split(text, "\n")
		} else {
			lines = append(lines, after)
		}
		for i, line := range lines {
			said, known := r.read(line, max(depth, 1))
			lines[i], ok = said, ok || known
		}
		return indent + strings.Join(lines, "\n"), ok
	}
	if len(text) > longest {
		return message, false
	}
	said, ok = r.cut(text, depth)
	return indent + said, ok
}

// whole translates what one format made.
func (r *reader) whole(text string, depth int) (string, bool) {
	if len(text) > longest || r.left <= 0 {
		return "", false
	}
	r.left--
	if said, ok := r.all[text]; ok && (depth == 0 || strings.Contains(text, " ")) {
		return said, true
	}
	p, args := r.find(text)
	if p == nil {
		return "", false
	}
	// Where it is, such as a file and line, stands before what is wrong: a format with
	// more text that made what is behind it is the one.
	for i, at := 0, strings.Index(text, ": "); at >= 0 && i < 4 && free(p.parts[0].verb); i++ {
		if behind, _ := r.find(text[at+2:]); behind != nil && behind.weight > p.weight {
			return "", false // it is found when the text is cut
		}
		next := strings.Index(text[at+2:], ": ")
		if next < 0 {
			break
		}
		at += 2 + next
	}
	before := "" // where it was, which stands before what is wrong in Japanese too
	if first := p.parts[0]; free(first.verb) {
		if at := strings.LastIndex(args[first.arg], ": "); at >= 0 && strings.Count(args[first.arg][:at], `"`)%2 == 0 && places(args[first.arg][:at]) {
			before, _ = r.read(args[first.arg][:at], depth+1)
			before, args[first.arg] = before+": ", args[first.arg][at+2:]
		}
	}
	for _, q := range p.parts {
		if free(q.verb) {
			args[q.arg], _ = r.read(args[q.arg], depth+1)
		}
	}
	parts, _ := split(p.translation)
	var b strings.Builder
	b.WriteString(before)
	for _, q := range parts {
		switch {
		case q.verb == 0:
			b.WriteString(q.text)
		case q.arg < len(args):
			b.WriteString(args[q.arg])
		}
	}
	return b.String(), true
}

// places says whether a text only says where something is: "rehearsal.yaml:3: versions".
func places(text string) bool {
	for part := range strings.SplitSeq(text, ": ") {
		if strings.Count(part, " ") > 1 {
			return false
		}
	}
	return true
}

// cut finds the longest end of a text that is a message, else the longest beginning, and
// translates that and the rest.
func (r *reader) cut(text string, depth int) (string, bool) {
	type place struct {
		at, next int
		joint    string
	}
	var places []place
	for i := 1; i < len(text) && len(places) < mostCuts; i++ {
		for _, j := range joints {
			if strings.HasPrefix(text[i:], j.en) && i+len(j.en) < len(text) {
				places = append(places, place{i, i + len(j.en), j.ja})
				break
			}
		}
	}
	for _, p := range places {
		if text[p.at] == ' ' { // what is in parentheses ends within the text
			continue
		}
		if end, ok := r.ending(text[p.next:], depth+1); ok {
			begin, _ := r.read(text[:p.at], max(depth, 1)) // it is shorter: this ends
			return begin + p.joint + end, true
		}
	}
	for _, p := range slices.Backward(places) {
		if begin, ok := r.ending(text[:p.at], depth+1); ok {
			end, _ := r.read(text[p.next:], max(depth, 1))
			return begin + p.joint + end, true
		}
	}
	return text, false
}

// ending is a message with or without the full stop behind it.
func (r *reader) ending(text string, depth int) (string, bool) {
	if said, ok := r.all[text]; ok && (depth == 0 || strings.Contains(text, " ")) {
		return said, true // but a name within a message stays, whatever it means elsewhere
	}
	if rest, stop := strings.CutSuffix(text, "."); stop {
		if said, ok := r.whole(rest, depth); ok {
			return said + "。", true
		}
	}
	return r.whole(text, depth)
}

// listed is several messages behind each other, where every one of them is known: else a
// format that ends in an argument would take all that is behind it for that.
func (r *reader) listed(text string, depth int) (string, bool) {
	sep := ". "
	if !strings.Contains(text, sep) {
		sep = "; "
	}
	parts := strings.Split(text, sep)
	if len(parts) == 1 || len(parts) > mostCuts || depth > deepest {
		return "", false
	}
	for i, part := range parts {
		said, ok := r.listed(part, depth+1)
		if !ok {
			said, ok = r.ending(part, depth+1)
		}
		if !ok {
			if said, ok = r.cut(part, depth+1); !ok {
				return "", false
			}
		}
		parts[i] = said
	}
	return strings.Join(parts, "。"), true
}
