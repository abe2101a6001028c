package page_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/page"
)

// text is what a reader sees of the report, or of the element with the id: the text
// without the tags, spaces in one.
func text(t testing.TB, report, id string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(report))
	require.NoError(t, err)
	var b strings.Builder
	var walk func(n *html.Node, in bool)
	walk = func(n *html.Node, in bool) {
		for _, a := range n.Attr {
			in = in || a.Key == "id" && a.Val == id
		}
		switch {
		case n.Type == html.ElementNode && (n.Data == "script" || n.Data == "style"):
			return
		case n.Type == html.TextNode && (in || id == ""):
			b.WriteString(n.Data + " ")
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c, in)
		}
	}
	walk(doc, false)
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestTheReportSaysWhatCameOfTheRun(t *testing.T) {
	report := mixedRun(t).html(lang.English)
	for _, x := range []struct {
		section string
		says    []string
	}{
		{"verdict", []string{
			"✗ Broken A promise was broken: do not release.", "simulated 4 0 0 0", "containers 1 ✗ 1 0 1", "Scenarios 7", "Versions released v2",
			"Began 2026-11-26 12:43 UTC", "Took 3m 20s", "Seed 1", "Commit 8a190b8d6f0e and changes that are not committed", "strategy: canary", "Not verified: 6",
		}},
		{"failed", []string{
			"✗ further apart than the tolerance The new version fails half of its requests", "predicted 2m50s, measured 4m10s: further apart than 30s",
			"✗ failed containers The payments API is down features/bad.feature:19", `At the step the alarm "shop-5xx-rate" goes off within 2 minutes of exposure`,
			`the alarm "shop-5xx-rate" went off 2m52s after exposure: more than 2m0s`, "… 160 more before these", `"n":199`,
			"… did not end containers One that ran when the run was killed",
		}},
		{"matrix", []string{
			"Failure shop-5xx-rate", "v2: error answers, 50 % of requests The new version fails half of its requests , The payments API is down", "predicted 2m 41s", "measured 2m 41s ★ first",
			"✗ undetected simulated: 1,260 requests failed, and nothing noticed", "Silent in every scenario: shop-error-logs, shop-memory",
		}},
		{"promises", []string{
			"A bad version is caught before it spreads A canary gives the new version to a tenth of the customers first.", `Given a staging copy of the shop, with version "v1" serving everyone`,
			"An alarm during the bake takes the release back", "Then the alarm \"shop-5xx-rate\" goes off within 2 minutes of exposure ✗ here",
			"One that the run did not come to not rehearsed", "10% of the customers first", "step share 1 10%", "もし \"v2\" を \"blue-green\" 計画でリリースする", "✓ simulated passed",
		}},
		{"rollbacks", []string{`The new version fails half of its requests containers the alarm "shop-5xx-rate" went off on v1 after 3 ms at once none of 354 lost`}},
		{"parity", []string{"9 fields are the same", "✗ open 1", "shop memory 256 MiB 512 MiB", "The new version needs more memory than it gets", "waived by the shop's release team until 2027-12-31 (waivers.yaml:3)"}},
		{"unverified", []string{
			"nothing was rehearsed in containers: there is no Docker engine", "Scenarios left to the simulated stage, as asked: 3.", "Scenarios of the features without a result: 1.",
			"Not compared with production: alarms:", "histories/features-bad-24.containers.ndjson ends in the middle of line",
		}},
	} {
		got := text(t, report, x.section)
		for _, s := range x.says {
			assert.Contains(t, got, s, x.section)
		}
	}
}

// Beside the picture of a timeline its events stand as a list.
func TestEachTimelineStandsInWordsToo(t *testing.T) {
	report := mixedRun(t).html(lang.English)
	assert.Contains(t, report, `<svg class="chart"`)
	for _, s := range []string{
		"0:00 start v2", "users can meet the failure", "failure present: v2: error answers, 50 % of requests (", "traffic: v1 90 %, v2 10 %", "ALARM shop-5xx-rate", "service is restored", "none of 354 acknowledged writes lost or doubled",
	} {
		assert.Contains(t, text(t, report, "s1"), s)
	}
}

// The past of a scenario is shown where it is known.
func TestTheRunsBeforeAreShown(t *testing.T) {
	f := mixedRun(t)
	r, err := page.Read(f.dir)
	require.NoError(t, err)
	r.Past = func(on, feature, scenario string) []page.Past {
		if on != "containers" || scenario != "The payments API is down" {
			return nil
		}
		return []page.Past{
			{At: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), Commit: "0123456789abcdef", Verdict: "passed", Detect: 171 * time.Second, Restore: 160 * time.Second},
			{At: time.Date(2026, 11, 19, 9, 0, 0, 0, time.UTC), Verdict: "inconclusive", Detect: -1, Restore: -1},
		}
	}
	var b bytes.Buffer
	require.NoError(t, page.Report(&b, r, lang.English))
	assert.Contains(t, text(t, b.String(), "s2"), "The runs before containers")
	assert.Contains(t, text(t, b.String(), "s2"), "✓ passed 2026-11-20 09:00 UTC 0123456789ab , detected after 2m 51s, restored after 2m 40s ? inconclusive 2026-11-19 09:00 UTC")
}

func TestWhatIsMissingOrDamagedIsSaidAndTheRestIsShown(t *testing.T) {
	remove := func(name string) func(folder) {
		return func(f folder) { require.NoError(f.t, os.RemoveAll(filepath.Join(f.dir, name))) }
	}
	change := func(name string, how func(string) string) func(folder) {
		return func(f folder) {
			data, err := os.ReadFile(filepath.Join(f.dir, name))
			require.NoError(f.t, err)
			f.write(name, how(string(data)))
		}
	}
	const history = "histories/features-bad-12.containers.ndjson"
	for name, x := range map[string]struct {
		spoil func(folder)
		says  []string
	}{
		"no run.json":               {remove("run.json"), []string{"Whether the run ended is not known.", "run.json is not there", "The payments API is down"}},
		"a run.json that is broken": {change("run.json", func(s string) string { return s[:40] }), []string{"run.json is damaged: unexpected end of JSON input", "✗ Broken"}},
		"a run that was killed": {change("run.json", func(s string) string { return strings.Replace(s, "2026-11-26T12:46:30Z", "0001-01-01T00:00:00Z", 1) }),
			[]string{"The run did not end: it was killed, or it still goes on.", "✗ Broken"}},
		"no results": {remove("results.ndjson"), []string{"results.ndjson is not there", "did not end"}},
		"a result that is cut short": {change("results.ndjson", func(s string) string { return s[:len(s)-20] }),
			[]string{"results.ndjson ends in the middle of line 6: the run was killed as it wrote it", "The payments API is down"}},
		"a result that is damaged": {change("results.ndjson", func(s string) string { return strings.Replace(s, `{"stage"`, `{{{"stage"`, 1) }),
			[]string{"results.ndjson, line 1: damaged, so one result is missing", "The payments API is down"}},
		"a result twice": {change("results.ndjson", func(s string) string { return s + s }), []string{"results.ndjson, line 7: it does not say what it is of, or says it a second time"}},
		"a verdict that is not known here": {change("results.ndjson", func(s string) string { return strings.Replace(s, `"verdict":"passed"`, `"verdict":"flaky"`, 1) }),
			[]string{"• simulated flaky"}},
		"no features":      {remove("features"), []string{"the folder features is not there: scenarios are shown without their steps", "The payments API is down"}},
		"a broken feature": {change("features/features-bad.feature", func(s string) string { return s + "\nnonsense\n" }), []string{"features/features-bad.feature is not Gherkin", "The payments API is down"}},
		"no histories":     {remove("histories"), []string{"the folder histories is not there: timelines and logs are not shown", "The payments API is down"}},
		"one history less": {remove(history), []string{history + " is not there: its timeline and logs are not shown"}},
		"an empty history": {change(history, func(string) string { return "" }), []string{"everyone was back on"}},
		"a history of a newer version": {change(history, func(s string) string { return strings.Replace(s, `"kind":"began"`, `"kind":"dreamt"`, 1) }),
			[]string{history + ": 1 events are of a kind that this rehearse does not know: a newer one wrote them"}},
		"an event without what it is about": {change(history, func(s string) string { return strings.Replace(s, `,"traffic":{`, `,"freight":{`, 1) }),
			[]string{history + ": 1 events are of a kind that this rehearse does not know"}},
		"a line of a history that is damaged": {change(history, func(s string) string { return strings.Replace(s, `"kind":"began"`, `"kind"`, 1) }),
			[]string{history + ": 1 lines are damaged and left out, the first is line 1"}},
		"a history with a hole": {change(history, func(s string) string {
			lines := strings.SplitAfter(s, "\n")
			return strings.Join(append(lines[:10:10], lines[20:]...), "")
		}), []string{history + ": lines are missing in 1 places"}},
		"a history of absurd numbers": {change(history, func(s string) string {
			return strings.NewReplacer(`"at":3`, `"at":-3`, `"requests":`, `"requests":-9`, `"p99":`, `"p99":-`, `"v1":90`, `"v1":1e300`, `"to":2`, `"to":922337203685477`).Replace(s) + `{"at":9223372036854775807,"seq":999,"kind":"ended"}` + "\n"
		}), []string{"The payments API is down"}},
		"a history of zeros":  {change(history, func(string) string { return strings.Repeat("\x00", 1<<16) }), []string{history + " ends in the middle of line 1"}},
		"a line without end":  {change(history, func(s string) string { return strings.Repeat("x", 9<<20) + "\n" + s }), []string{"it is longer than any line that a history has"}},
		"a broken comparison": {change("compared.json", func(s string) string { return s[1:] }), []string{"compared.json is damaged"}},
		"a broken ledger":     {change("parity.json", func(s string) string { return s[1:] }), []string{"parity.json is damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := mixedRun(t)
			x.spoil(f)
			for _, l := range []lang.Lang{lang.English, lang.Japanese} {
				got := text(t, f.html(l), "")
				assert.Contains(t, got, "shop")
				if l == lang.English {
					for _, s := range x.says {
						assert.Contains(t, got, s)
					}
				}
			}
		})
	}
}

func TestAFolderWithoutAReportIsAMistake(t *testing.T) {
	_, err := page.Read(t.TempDir())
	assert.ErrorContains(t, err, "name the folder that `rehearse verify --report` wrote")
	_, err = page.Read(filepath.Join(t.TempDir(), "nowhere"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err = page.Read(file)
	assert.ErrorContains(t, err, "is a file")
}

// nasty is what a scenario, a finding or a log line may hold.
const nasty = "<script>alert(1)</script> \"'><img src=x onerror=alert(2)> \u202egnp.exe\u202c \u2066x \x1b[31mred\x1b[0m \x1b]0;title\x07 \x00 {{.}} </style> --> &lt;"

func nastyRun(t testing.TB) folder {
	f := newFolder(t)
	long := strings.Repeat("averylongwordwithoutabreak", 40)
	feature := "Feature: " + strings.ReplaceAll(nasty, "\x00", "") + "\n\n  Scenario: " + strings.ReplaceAll(nasty, "\x00", "") + "\n    Given " + long + "\n    Then <script>alert(3)</script>\n"
	f.keep(map[string]string{"features/nasty.feature": feature})
	facts := facts
	facts.Service, facts.Commit, facts.Tags, facts.Plan, facts.Unverified, facts.Images = nasty, nasty, nasty, nasty, []string{nasty}, map[string]string{nasty: nasty}
	f.json("run.json", facts)
	f.write("histories/features-nasty-3.containers.ndjson", strings.ReplaceAll(withPrints(t, recorded(t, "canary-rolled-back"), 1), "payments are out of order", strings.Trim(quoted(nasty), `"`)+long))
	bad := page.Finding{Check: nasty, Verdict: nasty, Detail: nasty + long}
	f.results(
		page.Result{Stage: "containers", Where: "features/nasty.feature:3", Feature: nasty, Scenario: nasty, Verdict: "failed", Step: nasty, Outcome: nasty, Version: nasty, Error: nasty + "\n" + long, Findings: []page.Finding{bad}, History: "x/features-nasty-3.containers.ndjson"},
		page.Result{Stage: nasty, Where: "elsewhere.feature:1", Feature: nasty, Rule: nasty, Scenario: nasty + long, Verdict: nasty, Error: nasty, History: "../../../etc/passwd"},
	)
	f.json("compared.json", []page.Comparison{{Where: "features/nasty.feature:3", Apart: []page.Finding{bad}}})
	w := page.Waiver{What: nasty, Reason: nasty, Owner: nasty, Expires: nasty, File: nasty}
	f.json("parity.json", page.Ledger{Staging: nasty, Production: nasty, Expired: []page.Waiver{w}, Stale: []page.Waiver{w}, Warnings: []string{nasty}, Notes: []string{nasty},
		Differences: []page.Difference{{Service: nasty, Field: long, Staging: nasty, Production: nasty, Standing: nasty, Waiver: &w, Weakens: []string{nasty}}}})
	return f
}

func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return strings.ReplaceAll(string(data), `"`, `\"`) // it goes into a string within a string
}

func TestWhateverANameOrALogHoldsIsShownAndDoesNothing(t *testing.T) {
	report := nastyRun(t).html(lang.English)
	doc, err := html.Parse(strings.NewReader(report))
	require.NoError(t, err)
	scripts := 0
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		assert.NotEqual(t, "img", n.Data)
		if n.Data == "script" {
			scripts++
		}
		for _, a := range n.Attr {
			assert.False(t, strings.HasPrefix(a.Key, "on"), "an attribute %s", a.Key)
		}
	}
	assert.Equal(t, 1, scripts, "the page's own")
	for _, r := range report {
		switch {
		case r < 0x20 && r != '\n' && r != '\t', r == 0x7f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			assert.Fail(t, "a character that acts and is not seen", "%U", r)
		}
	}
	assert.Contains(t, text(t, report, "promises"), "<script>alert(1)</script>")
	assert.NotContains(t, report, "root:", "no file outside of the folder is read")
}

// A log of a million lines is read in one pass, and its end is shown.
func TestALogOfAMillionLinesIsCutHonestly(t *testing.T) {
	const n = 1_000_000
	f := newFolder(t)
	name := "histories/features-bad-19.containers.ndjson"
	file, err := os.Create(filepath.Join(f.dir, name))
	require.NoError(t, err)
	b := bufio.NewWriter(file)
	fmt.Fprintln(b, `{"at":1,"seq":0,"kind":"began"}`)
	for i := range n {
		fmt.Fprintf(b, `{"at":%d,"seq":%d,"kind":"log","version":"v2","detail":"line %d of a log that is long"}`+"\n", 2+i, 1+i, i+1)
	}
	fmt.Fprintf(b, `{"at":%d,"seq":%d,"kind":"ended"}`+"\n", n+3, n+1)
	require.NoError(t, b.Flush())
	require.NoError(t, file.Close())
	f.results(page.Result{Stage: "containers", Where: "features/bad.feature:19", Scenario: "It talks", Verdict: "failed", Error: "x", History: name})

	most := uint64(0)
	done := make(chan struct{})
	go func() { // the most memory that is in use meanwhile
		defer close(done)
		var m runtime.MemStats
		report := f.html(lang.English)
		runtime.ReadMemStats(&m)
		most = m.Sys
		got := text(t, report, "failed")
		assert.Contains(t, got, "… 999,960 more before these")
		assert.Contains(t, got, "line 1000000 of a log that is long")
		assert.NotContains(t, got, "line 999960 of")
		assert.NotContains(t, text(t, report, "unverified"), "damaged")
	}()
	<-done
	assert.Less(t, most, uint64(500<<20), "bytes of the system's")
}

// largeRun is a run of so many features of twenty scenarios, with the verdict of each.
func largeRun(t testing.TB, features int, verdict func(i int) string) folder {
	f := newFolder(t)
	texts := map[string]string{}
	var variants []string // of a history, the same in each feature
	for k := range 20 {
		variants = append(variants, strings.ReplaceAll(withPrints(t, recorded(t, "canary-rolled-back"), 30), `"share":50`, fmt.Sprintf(`"share":%d`, k+1)))
	}
	var results []page.Result
	for i := range features {
		var b strings.Builder
		fmt.Fprintf(&b, "Feature: A bad version is caught before it spreads, part %d\n\n  Whatever is wrong with it must show there.\n", i)
		line := 4
		for k := range 20 {
			name := fmt.Sprintf("The new version fails %d%% of its requests in region r%02d", k, i)
			fmt.Fprintf(&b, "\n  Scenario: %s\n    Given version \"v2\" fails %d%% of its requests\n    When \"v2\" is released as the \"canary\" plan says\n    Then the alarm \"shop-5xx-rate\" goes off within 4 minutes of exposure\n    And all customers are back on \"v1\" within 30 seconds of the alarm\n", name, k)
			history := fmt.Sprintf("histories/features-f%02d-%d.simulated.ndjson", i, line+1)
			f.write(history, variants[k])
			r := page.Result{Stage: "simulated", Where: fmt.Sprintf("features/f%02d.feature:%d", i, line+1), Feature: "A bad version", Scenario: name, Verdict: verdict(20*i + k), Version: "v2", History: history,
				Findings: []page.Finding{
					{Check: "alarm \"shop-5xx-rate\" within 4m0s of exposure", Verdict: "passed", Detail: "the alarm \"shop-5xx-rate\" went off 2m51s after exposure"},
					{Check: "all on \"v1\" within 30s", Verdict: "passed", Detail: fmt.Sprintf("everyone was back on \"v1\" %dms after the alarm \"shop-5xx-rate\"", k)},
					{Check: "no acknowledged write lost or doubled", Verdict: "passed", Detail: "all 21254 acknowledged writes are stored once"},
				},
				Measures: check.Measures{Detect: 171 * time.Second, Restore: 160 * time.Second, Requests: 60092, Failed: 1646, Alarm: "shop-5xx-rate"}}
			if r.Verdict != "passed" {
				r.Error, r.Step = "the alarm went off too late", "the alarm \"shop-5xx-rate\" goes off within 4 minutes of exposure"
			}
			results = append(results, r)
			line += 6
		}
		texts[fmt.Sprintf("features/f%02d.feature", i)] = b.String()
	}
	f.keep(texts)
	f.results(results...)
	f.json("run.json", facts)
	return f
}

func TestAThousandScenariosAreLessThanFiveMegabytes(t *testing.T) {
	if testing.Short() {
		t.Skip("it draws a thousand timelines")
	}
	for name, verdict := range map[string]func(int) string{
		"nearly all passed": func(i int) string { return map[bool]string{true: "failed", false: "passed"}[i%100 == 7] },
		"all failed":        func(int) string { return "failed" },
	} {
		t.Run(name, func(t *testing.T) {
			report := largeRun(t, 50, verdict).html(lang.English)
			t.Logf("%d bytes", len(report))
			assert.Less(t, len(report), 5_000_000)
			assert.Greater(t, len(report), 1_000_000, "it is all there")
		})
	}
}

// Whatever a history and the results hold, there is a report.
func FuzzAnyFolderIsAReport(f *testing.F) {
	canary := strings.SplitAfter(recorded(f, "canary-rolled-back"), "\n")
	f.Add(strings.Join(canary[:12], ""), `{"stage":"containers","where":"a.feature:1","verdict":"failed","history":"h.containers.ndjson"}`)
	f.Add(strings.Join(canary[12:40], ""), `{"stage":"simulated","where":"a.feature:1","verdict":"","version":"v2","history":"h.containers.ndjson"}`)
	f.Add(strings.Join(canary[100:], ""), "{}\n[]")
	f.Fuzz(func(t *testing.T, history, results string) {
		d := newFolder(t)
		d.write("histories/h.containers.ndjson", history)
		d.write("results.ndjson", results)
		if r, err := page.Read(d.dir); err == nil {
			require.NoError(t, page.Report(&bytes.Buffer{}, r, lang.Japanese))
		}
	})
}
