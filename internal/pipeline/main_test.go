package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestMain lets the test binary be the worker, and the `rehearse` that jobs call.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("HOME") != "" && len(os.Args) == 2 && os.Args[1] == "worker":
		if err := Worker(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case filepath.Base(os.Args[0]) == "rehearse":
		path, _ := Door()
		a, err := Ask(context.Background(), path, Request{Verb: Verb(os.Args[1]), Version: os.Args[2]}, os.Stdout)
		if err == nil {
			err = a.Export()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(a.Status)
	}
	os.Exit(m.Run())
}
