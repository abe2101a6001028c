// Package lang says things in the reader's language. The English text is written
// where it is said and is the key of a catalogue (ja/*.po, as gettext has them, so
// that a translator's tools open them); what has no translation is said in English.
//
// What is composed for a reader goes through Sprintf. What another package has
// already said in English, an error or the detail of an event, goes through Text,
// which finds the format that made it. So nothing below the reports and the command
// line knows of languages, and what is recorded is the same for every reader.
//
// columns.go breaks and cuts lines where letters of both languages stand.
package lang

import (
	"embed"
	"fmt"
	"io/fs"
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
	return English, fmt.Errorf("--lang %q: it is %q or %q", s, English, Japanese)
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
		for i, a := range args {
			switch a := a.(type) {
			case error:
				args[i] = l.Text(a.Error())
			case fmt.Stringer:
				args[i] = l.Text(a.String())
			}
		}
	}
	return fmt.Sprintf(format, args...)
}

// Text says a finished English message in the language.
func (l Lang) Text(message string) string {
	if l == Japanese {
		return translated(message)
	}
	return message
}

//go:embed ja/*.po
var catalogues embed.FS

// japanese is every translation, by its English.
var japanese = sync.OnceValue(func() map[string]string {
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
	return all
})

func translated(english string) string {
	if s, ok := japanese()[english]; ok {
		return s
	}
	return english
}
