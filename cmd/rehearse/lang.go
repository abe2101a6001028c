package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rehearsal/internal/lang"
	"rehearsal/internal/report"
)

// A langFlag is --lang; "" is what the locale says.
type langFlag lang.Lang

func (f *langFlag) String() string { return string(*f) }
func (f *langFlag) Type() string   { return "en|ja" }

// Set reads the flag.
func (f *langFlag) Set(text string) error {
	l, err := lang.Parse(text)
	*f = langFlag(l)
	return err
}

func (f *langFlag) lang() lang.Lang {
	if *f == "" {
		return lang.Of(os.Getenv)
	}
	return lang.Lang(*f)
}

func addLang(root *cobra.Command) {
	root.PersistentFlags().Var(new(langFlag), "lang", "the language to speak (default: as the locale says)")
}

// readersLang is the language that a command speaks.
func readersLang(c *cobra.Command) lang.Lang {
	return c.Root().PersistentFlags().Lookup("lang").Value.(*langFlag).lang()
}

// langOf is the language that a command line asks for, before it is read: what is wrong
// with it, and help, are said in the language too.
func langOf(args []string) lang.Lang {
	var f langFlag
	for i, a := range args {
		value, given := strings.CutPrefix(a, "--lang=")
		switch {
		case a == "--":
			return f.lang()
		case given:
		case a == "--lang" && i+1 < len(args):
			value = args[i+1]
		default:
			continue
		}
		_ = f.Set(value) // cobra says what is wrong with it
	}
	return f.lang()
}

// A speaker says things in the reader's language.
type speaker struct {
	io.Writer
	lang.Lang
}

// speaks is a command's output in its language.
func speaks(c *cobra.Command) speaker { return speaker{c.OutOrStdout(), readersLang(c)} }

// say prints a line.
func (s speaker) say(format string, args ...any) { fmt.Fprintln(s, s.Sprintf(format, args...)) }

// wrap prints a paragraph in lines as wide as any terminal.
func (s speaker) wrap(format string, args ...any) { report.Say(s, s.Lang, "", format, args...) }

// tell prints a line that somebody else has said in English.
func (s speaker) tell(line string) { fmt.Fprintln(s, s.Text(line)) }

// localise says the help of every command in a language.
func localise(root *cobra.Command, l lang.Lang) {
	if l == lang.English {
		return
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	cobra.AddTemplateFunc("localised", func(usages string) string { // pflag's own words
		return strings.ReplaceAll(usages, "(default ", l.Sprintf("(default "))
	})
	template := root.UsageTemplate()
	for _, heading := range []string{
		"Usage:", "Aliases:", "Examples:", "Available Commands:", "Additional Commands:", "Flags:", "Global Flags:", "Additional help topics:",
		`Use "{{.CommandPath}} [command] --help" for more information about a command.`,
	} {
		template = strings.ReplaceAll(template, "\n"+heading, "\n"+l.Sprintf(heading))
		if rest, ok := strings.CutPrefix(template, heading); ok {
			template = l.Sprintf(heading) + rest
		}
	}
	root.SetUsageTemplate(strings.ReplaceAll(template, "| trimTrailingWhitespaces", "| trimTrailingWhitespaces | localised"))
	eachCommand(root, func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		c.Short, c.Long = l.Text(c.Short), l.Text(c.Long)
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { f.Usage = l.Text(f.Usage) })
		c.Flags().Lookup("help").Usage = l.Sprintf("help for %s", c.Name())
	})
}

func eachCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, child := range c.Commands() {
		eachCommand(child, do)
	}
}
