// Package lang says things in the reader's language. The English text is written
// where it is said and is the key of a catalogue (ja/*.po, as gettext has them, so
// that a translator's tools open them); what has no translation is said in English.
//
// What is composed for a reader goes through Sprintf. What another package has
// already said in English, an error or the detail of an event, goes through Text,
// which finds the format that made it. So nothing below the reports and the command
// line knows of languages, and what is recorded is the same for every reader.
//
// text.go recognises finished messages; columns.go breaks and cuts lines where letters of both languages stand.
package lang

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/leonelquinteros/gotext"
)

// A Lang is a language that people read.
type Lang string

// What there is.
const (
	English  Lang = "en"
	Japanese Lang = "ja"
)

// Parse reads what --lang says.
func Parse(s string) (Lang, error) {
	switch l := Lang(s); l {
	case English, Japanese:
		return l, nil
	}
	return English, fmt.Errorf("it is %q or %q", English, Japanese)
}

// Of is the language of a locale, by the first of LC_ALL, LC_MESSAGES and LANG that
// is set, as POSIX says (Base Definitions, 8.2): English where it is none that there is.
func Of(getenv func(string) string) Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if locale := getenv(name); locale != "" {
			if strings.HasPrefix(locale, "ja") {
				return Japanese
			}
			return English
		}
	}
	return English
}

// Sprintf formats in the language. The English format is the key of the catalogue;
// a translation may take the arguments in another order (%[2]s). An argument that is
// an error or a fmt.Stringer is said in the language too.
func (l Lang) Sprintf(format string, args ...any) string {
	if l == Japanese {
		format = translated(format)
		args = slices.Clone(args) // the caller's own stay as they are
		for i, a := range args {
			said := ""
			switch a := a.(type) {
			case error:
				said = a.Error()
			case fmt.Stringer:
				said = a.String()
			}
			if text := l.Text(said); text != said { // what has none is formatted as what it is
				args[i] = text
			}
		}
	}
	return fmt.Sprintf(format, args...)
}

// Text says a finished English message in the language. It finds the format that made
// it, and those that made what it is joined from (errors within errors, lines, sentences):
// where several could have, that with the most text. What is in quotes stays as it is,
// and so does what no format is known for.
func (l Lang) Text(message string) string {
	if l != Japanese {
		return message
	}
	r := reader{japanese(), mostTry}
	said, _ := r.read(message, 0)
	return said
}

//go:embed ja/*.po
var catalogues embed.FS

// japanese is every translation.
var japanese = sync.OnceValue(func() *book {
	all := map[string]string{}
	files, err := fs.Glob(catalogues, "ja/*.po")
	for _, name := range files {
		var data []byte
		if data, err = catalogues.ReadFile(name); err != nil {
			break
		}
		po := gotext.NewPo()
		po.Parse(data)
		for id, t := range po.GetDomain().GetTranslations() {
			if s := t.Get(); id != "" && s != id {
				all[id] = s
			}
		}
	}
	if err != nil {
		panic(err) // they are part of the program
	}
	return newBook(all)
})

func translated(english string) string {
	if s, ok := japanese().all[english]; ok {
		return s
	}
	return english
}
