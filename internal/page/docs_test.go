package page_test

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/browser"
	"rehearsal/internal/chart"
	"rehearsal/internal/lang"
	"rehearsal/internal/page"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// shopGuide is the guide of the sample shop.
func shopGuide(t *testing.T) *page.Guide {
	t.Helper()
	g := &page.Guide{Service: "shop", Replicas: 2, Now: noon}
	g.Features, g.Notes = page.ReadFeatures([]string{"../../features"})
	require.Empty(t, g.Notes)
	for _, file := range []string{"../../fixtures/release.yaml", "../../fixtures/plans/linear.yaml"} {
		plan, err := release.ParseFile(file)
		require.NoError(t, err)
		g.Plans = append(g.Plans, plan)
	}
	set, err := alarm.ReadFile("../../fixtures/alarms.json")
	require.NoError(t, err)
	g.Alarms, g.Composites = set.Alarms, set.Composites
	return g
}

func docsOf(t *testing.T, g *page.Guide, l lang.Lang) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, page.Docs(&b, g, l))
	return b.String()
}

var notText = regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`)

// said is the text of an HTML file, without its style, with single spaces.
func said(page string) string {
	return strings.Join(strings.Fields(html.UnescapeString(notText.ReplaceAllString(page, " "))), " ")
}

func TestTheGuideSaysWhatIsPromised(t *testing.T) {
	g := shopGuide(t)
	g.Source = "past runs"
	g.Last = func(stage string, s *page.Scenario) []page.Past {
		if s.Name != "The new version fails half of its requests" {
			return nil
		}
		if stage == "containers" {
			return []page.Past{{At: noon.Add(-75 * time.Hour), Verdict: "failed", Detect: -1, Restore: -1}}
		}
		return []page.Past{{At: noon.Add(-5 * time.Hour), Verdict: "passed", Detect: 170 * time.Second}, {At: noon.Add(-24 * time.Hour), Verdict: "inconclusive", Detect: -1}}
	}
	out := docsOf(t, g, lang.English)
	text := said(out)
	for _, words := range []string{
		"A bad version is caught before it spreads",
		`Given version "v2" fails 50% of its requests`,
		"✓ simulated: passed 5 hours ago", "✗ containers: failed 3 days ago", "The oldest first: 2026-11-25 inconclusive; 2026-11-26 passed, detected after 2m 50s.",
		"No outcome is known", "Outcomes are the last known ones, from past runs.",
		"Step 1: 10 % of the users get the new version, and it is watched for 5m.",
		"Goes off when the statistic p99 of AWS/ApplicationELB TargetResponseTime is above 0.5 s for 3 of 5 minutes.",
		"bake the watched wait after a shift",
	} {
		assert.Contains(t, text, words)
	}
	assert.Contains(t, text, "Alarms watch everyone's requests. Beside them, requests with known answers are sent to the new version", "lines of a description are joined")

	japanese := said(docsOf(t, g, lang.Japanese))
	for _, words := range []string{
		"模擬: 合格 5時間前", "コンテナ: 不合格 3日前", "段階 1：利用者の 10 % を新しい版へ切り替え、5分様子を見る。",
		"AWS/ApplicationELB TargetResponseTime の p99 が 0.5 s を超える状態が 5分のうち 3分 あると鳴る。",
		"様子見 bake 切り替えの後、見守りながら待つこと",
	} {
		assert.Contains(t, strings.ReplaceAll(japanese, "シミュレーション", "模擬"), words)
	}
	assert.Less(t, strings.Index(japanese, "リリースの最中も"), strings.Index(japanese, "A bad version is caught"), "who reads Japanese begins with what is written in Japanese")
}

func TestEveryMessageOfTheGuideHasItsJapanese(t *testing.T) {
	data, err := os.ReadFile("page/docs.html.tmpl")
	require.NoError(t, err)
	all := regexp.MustCompile(`\bt ("(?:[^"\\]|\\.)+")`).FindAllStringSubmatch(string(data), -1)
	require.Greater(t, len(all), 10)
	for _, m := range all {
		s, err := strconv.Unquote(m[1])
		require.NoError(t, err)
		assert.NotEqual(t, s, lang.Japanese.Text(s), "internal/lang/ja/docs.po has no translation")
	}
}

func TestTheGuideTellsOfWhatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	write("good.feature", "Feature: <script>alert(1)</script>\n  Scenario: a \u202e b & <b>\n    Given x\n      \"\"\"\n      <i>\n      \"\"\"\n")
	write("bad.feature", "Scenario without a feature")
	write("empty.feature", "")
	g := &page.Guide{Service: `"><script>`, Now: noon, Alarms: []alarm.Alarm{{AlarmName: "<u>", AlarmDescription: "<u>"}}, Composites: []alarm.Composite{{AlarmName: "c", AlarmRule: "?"}}, Plans: []*release.Plan{{Name: "<p>", Strategy: "new"}}}
	g.Features, g.Notes = page.ReadFeatures([]string{dir, filepath.Join(dir, "none.feature")})
	require.Len(t, g.Features, 1)
	out := docsOf(t, g, lang.English)
	for _, tag := range []string{"<script", "<u>", "<i>", "<p>\n", "\u202e"} {
		assert.NotContains(t, out, tag)
	}
	text := said(out)
	for _, words := range []string{"bad.feature is not Gherkin", "empty.feature is not Gherkin", "none.feature cannot be read", "watches no metric", "AlarmRule", "there is no plan to draw"} {
		assert.Contains(t, text, words)
	}
	assert.Contains(t, said(docsOf(t, &page.Guide{}, lang.Japanese)), "機能の記述がない。")
}

func TestAReportFolderKnowsOutcomes(t *testing.T) {
	f := newFolder(t)
	f.json("run.json", map[string]any{"began": noon.Add(-50 * time.Hour)})
	f.results(page.Result{Stage: "simulated", Where: "a.feature:9", Feature: "A", Scenario: "one", Verdict: "failed"})
	run, err := page.Read(f.dir)
	require.NoError(t, err)
	last := run.Outcomes()
	feature := &page.Feature{Name: "A"}
	for _, s := range []*page.Scenario{{Feature: feature, Where: "a.feature:9", Name: "renamed"}, {Feature: feature, Where: "a.feature:12", Name: "one"}} {
		past := last("simulated", s)
		require.Len(t, past, 1, s.Name)
		assert.Equal(t, "failed", past[0].Verdict)
		assert.Equal(t, noon.Add(-50*time.Hour), past[0].At)
	}
	assert.Empty(t, last("containers", &page.Scenario{Feature: feature, Where: "a.feature:9"}))
	assert.Empty(t, last("simulated", &page.Scenario{Feature: feature, Where: "b.feature:9", Name: "two"}))
}

// The guide at three widths, in both schemes and languages, as the report is seen.
func TestTheGuideIsSeen(t *testing.T) {
	ctx, console := browser.Start(t)
	g := shopGuide(t)
	g.Last = func(string, *page.Scenario) []page.Past {
		return []page.Past{{At: noon, Verdict: "passed", Detect: 170 * time.Second}, {At: noon, Verdict: "failed", Detect: -1}}
	}
	for _, l := range []lang.Lang{lang.English, lang.Japanese} {
		file := filepath.Join(t.TempDir(), "index.html")
		require.NoError(t, os.WriteFile(file, []byte(docsOf(t, g, l)), 0o600))
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{390, 820, 1440} {
				browser.Scheme(ctx, t, scheme)
				require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 1000), chromedp.Navigate("file://"+file)))
				name := fmt.Sprintf("docs-%s-%s-%d.png", l, scheme, width)
				require.NoError(t, os.WriteFile(filepath.Join(shots(t), name), browser.Of(ctx, t, chromedp.FullScreenshot(100)), 0o600))
				browser.Of(ctx, t, chromedp.Evaluate[bool](`(() => { for (const d of document.querySelectorAll("details")) d.open = true; return true; })()`))
				assert.Empty(t, browser.Of(ctx, t, chromedp.Evaluate[[]string](wider)), "wider than the page: %s", name)
				assert.Empty(t, browser.Of(ctx, t, chromedp.Evaluate[[]string](browser.FaintText)), "too little contrast: %s", name)
				assert.Empty(t, browser.Of(ctx, t, chromedp.Evaluate[[]string](outOfChart)), "a diagram's text outside of it: %s", name)
				assert.Empty(t, browser.Of(ctx, t, chromedp.Evaluate[[]string](tiny)), "a diagram's text too small: %s", name)
			}
		}
	}
	lines, asked := console.All()
	assert.Empty(t, lines, "the console is silent")
	assert.Empty(t, asked, "nothing is asked of any network")
}

// outOfChart is text of a chart that reaches out of it; tiny is one of less than 9 px.
const (
	outOfChart = `[...document.querySelectorAll("svg.chart text")].filter(e => { const a = e.getBoundingClientRect(), b = e.ownerSVGElement.getBoundingClientRect();
		return a.width > 0 && (a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1 || a.bottom > b.bottom + 1); }).map(e => e.textContent)`
	tiny = `[...document.querySelectorAll("svg.chart text")].filter(e => { const svg = e.ownerSVGElement, scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
		return scale > 0 && parseFloat(getComputedStyle(e).fontSize) * scale < 9; }).map(e => e.textContent)`
)

// A timeline at three widths: all of its text is within it, and can be read.
func TestTimelinesAreSeen(t *testing.T) {
	ctx, console := browser.Start(t)
	f, err := os.Open("../live/testdata/canary-rolled-back.ndjson")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	h, err := stage.ReadHistory(f)
	require.NoError(t, err)
	for _, l := range []lang.Lang{lang.English, lang.Japanese} {
		svg, err := chart.Timeline(h, h, chart.Options{Lang: l})
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "timeline.html")
		require.NoError(t, os.WriteFile(file, []byte("<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'><style>:root{color-scheme:light dark}body{margin:16px}"+chart.CSS+"</style>"+svg), 0o600))
		for _, width := range []int64{390, 820} {
			require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate("file://"+file)))
			name := fmt.Sprintf("timeline-%s-%d.png", l, width)
			require.NoError(t, os.WriteFile(filepath.Join(shots(t), name), browser.Of(ctx, t, chromedp.FullScreenshot(100)), 0o600))
			assert.Empty(t, browser.Of(ctx, t, chromedp.Evaluate[[]string](outOfChart)), "text outside of it: %s", name)
			assert.Empty(t, browser.Of(ctx, t, chromedp.Evaluate[[]string](tiny)), "text too small: %s", name)
		}
	}
	lines, _ := console.All()
	assert.Empty(t, lines)
}
