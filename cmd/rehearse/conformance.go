package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"rehearsal/internal/conformance"
)

func conformanceCommand() *cobra.Command {
	f := &conformanceFlags{}
	c := &cobra.Command{
		Use:   "conformance --endpoint URL",
		Short: "Hold any CloudWatch against what AWS documents, case by case",
		Long: `Conformance tries a CloudWatch, whichever, through the AWS SDK: every row of the
user guide's tables on missing data, and cases of the API. It prints what behaves as
AWS documents, what deviates and how, and what could not be decided.

Cases that need minutes are tried where the clock can be moved, as that of
"rehearse cloudwatch" can, or where --patience lets them wait, all at the same time.
What is made bears the prefix rehearsal-conformance- and a random number, and is
deleted afterwards; metrics cannot be deleted, in AWS they expire.

Exit status: 0 all is as AWS documents, 1 something deviates, 2 the input is wrong,
3 something could not be decided.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	c.Flags().StringVar(&f.endpoint, "endpoint", "", "where the CloudWatch answers, such as http://127.0.0.1:4566")
	c.Flags().StringVar(&f.region, "region", "", "the region (default: the endpoint's, else us-east-1)")
	c.Flags().BoolVar(&f.remote, "allow-remote", false, "the endpoint may be on another machine; this machine's AWS credentials are used for it")
	c.Flags().StringSliceVar(&f.only, "only", nil, "only the cases with these names, or patterns such as put-*")
	c.Flags().DurationVar(&f.patience, "patience", 0, "how long a case may wait for a clock that cannot be moved, such as 3m")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().BoolVar(&f.list, "list", false, "only list the cases")
	return c
}

type conformanceFlags struct {
	endpoint, region   string
	remote, json, list bool
	only               []string
	patience           time.Duration
}

func (f *conformanceFlags) run(c *cobra.Command) error {
	cases, err := conformance.Select(f.only)
	if err != nil {
		return err
	}
	if f.list {
		for _, k := range cases {
			fmt.Fprintf(c.OutOrStdout(), "%-36s %s\n", k.Name, k.Documented)
		}
		return nil
	}
	if f.patience < 0 {
		return fmt.Errorf("--patience %s: want a duration such as 3m", f.patience)
	}
	e, err := conformance.ParseEndpoint(f.endpoint, f.region, f.remote)
	if err != nil {
		return err
	}
	if !e.Local() {
		if err := f.identify(c.Context(), &e); err != nil {
			return err
		}
	}
	if waits := slices.ContainsFunc(cases, func(k conformance.Case) bool { return k.Takes > 0 && k.Takes <= f.patience }); waits && !f.json {
		fmt.Fprintln(os.Stderr, readersLang(c).Sprintf("%d cases; those that must wait do so together, for up to %s", len(cases), f.patience))
	}
	o := conformance.Options{Endpoint: e, Only: f.only, Patience: f.patience}
	say, tried := newProgress(c.ErrOrStderr(), readersLang(c), "%s: %d cases tried", "%s %3d%% of %d cases: %s"), 0
	if !f.json {
		o.Progress = func(conformance.Result) {
			tried++
			say.count("CloudWatch", tried, len(cases))
		}
	}
	report, err := conformance.Run(c.Context(), o)
	say.end()
	if report == nil {
		return err
	}
	write := report.WriteText
	if f.json {
		write = report.WriteJSON
	}
	if err := write(c.OutOrStdout()); err != nil {
		return err
	}
	if status := report.ExitStatus(); status != 0 {
		return exitStatus(status)
	}
	return nil
}

// identify takes this machine's credentials: only here, where a person has named a
// CloudWatch elsewhere and said that it is meant.
func (f *conformanceFlags) identify(ctx context.Context, e *conformance.Endpoint) error {
	loaded, err := config.LoadDefaultConfig(ctx, config.WithRegion(e.Region))
	if err != nil {
		return fmt.Errorf("the AWS credentials of this machine: %s", strings.TrimSpace(err.Error()))
	}
	e.Credentials = loaded.Credentials
	return nil
}
