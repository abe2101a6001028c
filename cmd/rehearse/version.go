package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// tag is the version that a released program was given: -ldflags "-X main.tag=v1.2.3".
var tag string

// version is the program's: its tag, else the module's version as far as the build
// knows it.
func version() string {
	if tag != "" {
		return tag
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "(devel)"
}

// build is the version of this program. One that was built without a version is told
// from others by its content: what differs is not the same program.
func build() string {
	v := version()
	if !strings.Contains(v, "devel") && !strings.Contains(v, "dirty") {
		return v
	}
	name, err := os.Executable()
	if err != nil {
		return v
	}
	f, err := os.Open(name)
	if err != nil {
		return v
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return v
	}
	return fmt.Sprintf("%s %x", v, hash.Sum(nil)[:6])
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is, and what it was built from and with",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := speaks(c)
			fmt.Fprintf(out, "rehearse %s\n", build())
			if b, ok := debug.ReadBuildInfo(); ok {
				set := map[string]string{}
				for _, s := range b.Settings {
					set[s.Key] = s.Value
				}
				if commit := set["vcs.revision"]; commit != "" {
					out.say("commit %s of %s", commit, set["vcs.time"])
				}
				if set["vcs.modified"] == "true" {
					out.say("with changes that were not committed")
				}
			}
			fmt.Fprintf(out, "%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
