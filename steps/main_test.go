package steps

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"rehearsal/internal/pipeline"
)

// TestMain lets the test binary be what a pipeline calls: the process that runs a
// workflow, and the `rehearse` of its jobs.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == PipelineWorker:
		err = pipeline.Worker(context.Background(), os.Stdin, os.Stdout)
	case filepath.Base(os.Args[0]) == "rehearse":
		path, _ := pipeline.Door()
		var a pipeline.Answer
		if a, err = pipeline.Ask(context.Background(), path, pipeline.Request{Verb: pipeline.Verb(os.Args[1]), Version: os.Args[2]}, os.Stdout); err == nil {
			err = a.Export()
		}
		if a.Status != 0 {
			os.Exit(a.Status)
		}
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(ExitInconclusive)
	}
	os.Exit(0)
}
