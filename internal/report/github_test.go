package report_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/report"
)

func broken() report.Run {
	return report.Run{
		Status: 1, Seed: 7, Skipped: 2, LeftOut: 1, Unverified: []string{"nothing was rehearsed in containers: no engine"},
		Scenarios: []report.Scenario{
			{Stage: "simulated", Where: "features/a.feature:3", Name: "It holds"},
			{Stage: "simulated", Where: "features/a,b.feature:12", Name: "Half | of: it", Verdict: check.Failed, Step: "no request failed", Err: errors.New("100% of\n<b>them</b> `failed` @team")},
			{Stage: "containers", Where: "features/a.feature:3", Name: "It holds", Verdict: check.Inconclusive, Input: true, Step: "s"},
		},
		Compared: []report.Comparison{{Where: "features/a.feature:3", Name: "It holds", Apart: []check.Finding{{Check: "time to detect", Detail: "3m > 1m"}}}},
	}
}

func TestWhatWentWrongIsAnnotatedWhereItIsWritten(t *testing.T) {
	var b bytes.Buffer
	here, err := os.Getwd()
	require.NoError(t, err)
	report.Annotations(&b, broken(), filepath.Dir(here))
	assert.Equal(t, []string{
		"::error file=report/features/a%2Cb.feature,line=12,title=failed on the simulated stage%3A Half | of%3A it::at: no request failed%0A100%25 of%0A<b>them</b> `failed` @team",
		"::error file=report/features/a.feature,line=3,title=wrong input on the containers stage%3A It holds::at: s",
		"::error file=report/features/a.feature,line=3,title=the stages are apart%3A It holds::time to detect: 3m > 1m",
		"::error title=not verified::nothing was rehearsed in containers: no engine",
	}, strings.Split(strings.TrimSpace(b.String()), "\n"))
	b.Reset()
	report.Annotations(&b, report.Run{Scenarios: []report.Scenario{{}}}, "")
	assert.Empty(t, b.String())
}

func TestMistakesAreAnnotatedEach(t *testing.T) {
	var b bytes.Buffer
	report.AnnotateMistakes(&b, lang.English, errors.New("/elsewhere/rehearsal.yaml:5: unknown key \"servise\"\nno features"), "/home")
	assert.Equal(t, "::error file=/elsewhere/rehearsal.yaml,line=5,title=wrong input::unknown key \"servise\"\n::error title=wrong input::no features\n", b.String())
}

func TestAStepSummaryInMarkdown(t *testing.T) {
	var b bytes.Buffer
	report.Markdown(&b, broken())
	got := b.String()
	for _, want := range []string{
		"## Rehearsal: BROKEN: a promise was broken, do not release\n",
		"| simulated | 1 | 1 | 0 |\n| containers | 0 | 0 | 1 |\n",
		`| Half \| of: it<br>` + "`features/a,b.feature:12`" + ` | simulated | failed | no request failed: 100% of<br>&lt;b&gt;them&lt;/b&gt; 'failed' &#64;team |`,
		"| It holds **apart** |", "**Not verified:** nothing was rehearsed in containers: no engine",
		"2 scenarios were left to the simulated stage", "1 scenarios that push", "seed 7\n",
	} {
		assert.Contains(t, got, want)
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "|") {
			assert.Contains(t, line, " |\n", "a row stays on its line")
		}
	}
}
