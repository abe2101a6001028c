package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are shown by help and in the man pages, for the commands that bring none
// themselves. A test holds that each is a command line that is understood.
var examples = map[string][]string{
	"rehearse":                  {"rehearse verify --stage sim", "rehearse plan"},
	"rehearse verify":           {"rehearse verify --stage sim", "rehearse verify --tags '@canary && ~@thorough' --report report features/rollback.feature", "rehearse verify --pace 1 --cloudwatch localstack --serve"},
	"rehearse plan":             {"rehearse plan", "rehearse plan --file staging/rehearsal.yaml plans/canary.yaml"},
	"rehearse steps":            {"rehearse steps --lang ja", "rehearse steps --glue features/phrases.js"},
	"rehearse lint":             {"rehearse lint", "rehearse lint features/rollback.feature"},
	"rehearse docs":             {"rehearse docs", "rehearse docs --lang ja --output release-docs-ja"},
	"rehearse report":           {"rehearse report report", "rehearse report report --lang ja --output report-ja.html"},
	"rehearse doctor":           {"rehearse doctor", "rehearse doctor --engine"},
	"rehearse knownbad":         {"rehearse knownbad features/rollback.feature"},
	"rehearse release":          {"rehearse release v2 --stage containers", `rehearse release v2 --ignore-window "a fix for customers who cannot pay"`},
	"rehearse pipeline":         {"rehearse pipeline v2 --stage sim"},
	"rehearse confirm":          {"rehearse confirm v2"},
	"rehearse check":            {"rehearse check v2 --stage sim", "rehearse check v2 --stable v1"},
	"rehearse capacity":         {"rehearse capacity v2 --stage sim --p99 300ms --errors 0.1", "rehearse capacity v2 --require 1.5x --json capacity.json"},
	"rehearse parity":           {"rehearse parity", "rehearse parity --today 2027-12-31"},
	"rehearse cloudwatch":       {"rehearse cloudwatch --speed 0 --alarms alarms.json"},
	"rehearse cloudwatch image": {"rehearse cloudwatch image --tag registry.example.com/cloudwatch"},
	"rehearse alarms":           {"rehearse alarms alarms.json", "rehearse alarms alarms.json --fails 50% --tasks 4"},
	"rehearse conformance":      {"rehearse conformance --endpoint http://127.0.0.1:4566", "rehearse conformance --list"},
	"rehearse runs":             {"rehearse runs -n 5", "rehearse runs --flaky", `rehearse runs "The new version fails"`},
	"rehearse evidence":         {"rehearse evidence verify report --key release.pub"},
	"rehearse evidence verify":  {"rehearse evidence verify report --key release.pub"},
	"rehearse evidence replay":  {"rehearse evidence replay report --key release.pub"},
	"rehearse evidence key":     {"rehearse evidence key release"},
	"rehearse version":          {"rehearse version"},
	"rehearse man":              {"rehearse man ~/.local/share/man/man1"},
}

func addExamples(root *cobra.Command) {
	eachCommand(root, func(c *cobra.Command) {
		if lines := examples[c.CommandPath()]; c.Example == "" && len(lines) > 0 {
			c.Example = "  " + strings.Join(lines, "\n  ")
		}
	})
}
