package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the man pages, one for each command, to a folder",
		Hidden: true, // whoever packages rehearse needs it
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return writeMan(args[0], os.Getenv("SOURCE_DATE_EPOCH"))
		},
	}
}

// writeMan writes a page for each command that is not hidden, in English. The same
// program writes the same bytes: the date is that of epoch, in seconds since 1970, as
// https://reproducible-builds.org/specs/source-date-epoch/ has it; "" is no date.
func writeMan(dir, epoch string) error {
	var date time.Time
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return fmt.Errorf("SOURCE_DATE_EPOCH %q: want seconds since 1970", epoch)
		}
		date = time.Unix(seconds, 0).UTC()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root := command() // not the one that runs, which speaks the reader's language
	root.InitDefaultCompletionCmd()
	var err error
	eachCommand(root, func(c *cobra.Command) {
		if err != nil || !listed(c) {
			return
		}
		c.DisableAutoGenTag = true // it has the day on which the page was made
		var page bytes.Buffer
		if err = doc.GenMan(c, &doc.GenManHeader{Section: "1", Date: &date, Source: "Rehearsal", Manual: "Rehearsal"}, &page); err != nil {
			return
		}
		text := page.Bytes()
		if epoch == "" {
			text = bytes.Replace(text, fmt.Appendf(nil, "%q", date.Format("Jan 2006")), []byte(`""`), 1)
		}
		err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"), text, 0o644)
	})
	return err
}

// listed says whether a command, and all that it is under, is shown to users.
func listed(c *cobra.Command) bool {
	for ; c != nil; c = c.Parent() {
		if c.Hidden || c.Name() == "help" {
			return false
		}
	}
	return true
}
