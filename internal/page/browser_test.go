package page_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/browser"
	"rehearsal/internal/lang"
)

// shots is the folder for screenshots: one that PAGE_SHOTS names, or the test's artefacts.
func shots(t *testing.T) string {
	if dir := os.Getenv("PAGE_SHOTS"); dir != "" {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		return dir
	}
	return t.ArtifactDir()
}

// The report at three widths, in both schemes and languages: nothing is wider than the
// page, all text can be read, and nothing is asked of any network.
func TestTheReportIsSeen(t *testing.T) {
	ctx, said := browser.Start(t)
	dir := mixedRun(t)
	for _, l := range []lang.Lang{lang.English, lang.Japanese} {
		file := written(t, dir, l)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{390, 820, 1440} {
				browser.Scheme(ctx, t, scheme)
				require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 1000), chromedp.Navigate("file://"+file)))
				name := fmt.Sprintf("%s-%s-%d.png", l, scheme, width)
				require.NoError(t, os.WriteFile(filepath.Join(shots(t), name), browser.Of(ctx, t, chromedp.FullScreenshot(100)), 0o600))
				for _, id := range []string{"failed", "matrix", "promises", "rollbacks", "parity"} {
					if os.Getenv("PAGE_SHOTS") != "" {
						require.NoError(t, os.WriteFile(filepath.Join(shots(t), id+"-"+name), browser.Of(ctx, t, chromedp.Screenshot("#"+id)), 0o600))
					}
				}
				browser.Of(ctx, t, chromedp.Evaluate[bool](`(() => { for (const d of document.querySelectorAll("details")) d.open = true; return true; })()`))
				wide := browser.Of(ctx, t, chromedp.Evaluate[[]string](wider))
				faint := browser.Of(ctx, t, chromedp.Evaluate[[]string](browser.FaintText))
				assert.Empty(t, wide, "wider than the page: %s", name)
				assert.Empty(t, faint, "too little contrast: %s", name)
			}
		}
	}
	lines, asked := said.All()
	assert.Empty(t, lines, "the console is silent: the policy allows what the page does")
	assert.Empty(t, asked, "nothing is asked of any network")
}

// wider is what reaches beyond the page, unless it is in a part that scrolls by itself.
const wider = `[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll > *, .unseen, .log > *, svg *") && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
	.map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40)).concat(document.documentElement.scrollWidth > document.documentElement.clientWidth ? ["the page scrolls sideways"] : [])`

// What is packed is drawn when its scenario is opened, by the keyboard, by a link, or all at once.
func TestAPackedTimelineIsDrawnWhenItsScenarioIsOpened(t *testing.T) {
	ctx, said := browser.Start(t)
	file := written(t, largeRun(t, 10, func(i int) string { return map[bool]string{true: "failed", false: "passed"}[i == 7] }), lang.English)
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1000, 1000), chromedp.Navigate("file://"+file)))
	drawn := `document.querySelectorAll(".pictures svg").length`
	assert.Equal(t, 1, browser.Of(ctx, t, chromedp.Evaluate[int](drawn)), "what failed is there without a script")
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys("#s5 > summary", "\r"), browser.Until(`!!document.querySelector("#s5 .pictures svg")`)))
	assert.Contains(t, browser.Of(ctx, t, chromedp.Evaluate[string](`document.querySelector("#s5 .pictures").textContent`)), "error answers, 5 % of requests", "it is the scenario's own")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+file+"#s177"), browser.Until(`!!document.querySelector("#s177[open] .pictures svg")`)))
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys("#find", "region r07"), browser.Until(`document.getElementById("found").textContent === "20 scenarios"`)))
	assert.Equal(t, 20, browser.Of(ctx, t, chromedp.Evaluate[int](`[...document.querySelectorAll(".scenario")].filter(e => e.checkVisibility()).length`)))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click("#all"), browser.Until(`document.querySelectorAll(".scenario:not([hidden]) .pictures svg").length === 20`)))
	browser.Of(ctx, t, chromedp.Evaluate[bool](`(() => { find.value = ""; show.value = "failed"; return show.dispatchEvent(new Event("change")); })()`))
	assert.Equal(t, "1 scenarios", browser.Of(ctx, t, chromedp.Evaluate[string](`document.getElementById("found").textContent`)))
	lines, asked := said.All()
	assert.Empty(t, lines)
	assert.Empty(t, asked)
}

// Names and logs that would break a page, on a narrow one.
func TestWhateverANameHoldsFitsThePage(t *testing.T) {
	ctx, said := browser.Start(t)
	file := written(t, nastyRun(t), lang.English)
	for _, width := range []int64{390, 1440} {
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 1000), chromedp.Navigate("file://"+file)))
		browser.Of(ctx, t, chromedp.Evaluate[bool](`(() => { for (const d of document.querySelectorAll("details")) d.open = true; return true; })()`))
		assert.Empty(t, browser.Of(ctx, t, chromedp.Evaluate[[]string](wider)), width)
	}
	lines, asked := said.All()
	assert.Empty(t, lines)
	assert.Empty(t, asked)
}

// Without a script everything is there but what is packed, and the page says so of that.
func TestThePageNeedsNoScript(t *testing.T) {
	ctx, _ := browser.Start(t)
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+written(t, mixedRun(t), lang.English))))
	assert.Contains(t, browser.Of(ctx, t, chromedp.Text("body")), "A promise was broken: do not release.")
	require.NoError(t, chromedp.Do(ctx, chromedp.Click("#s6 > summary")))
	assert.Contains(t, browser.Of(ctx, t, chromedp.Text("#s6")), "The timeline in words")
}

// A report of a thousand scenarios, from opening it until it is shown: the goal is two
// seconds.
func BenchmarkOpeningAThousandScenarios(b *testing.B) {
	ctx, _ := browser.Start(b)
	file := written(b, largeRun(b, 50, func(i int) string { return map[bool]string{true: "failed", false: "passed"}[i%100 == 7] }), lang.English)
	require.NoError(b, chromedp.Do(ctx, chromedp.EmulateViewport(1440, 1000)))
	for b.Loop() {
		require.NoError(b, chromedp.Do(ctx, chromedp.Navigate("about:blank"), chromedp.Navigate("file://"+file), browser.Until(`performance.getEntriesByName("first-contentful-paint").length > 0`)))
		b.ReportMetric(browser.Of(ctx, b, chromedp.Evaluate[float64](`performance.getEntriesByType("navigation")[0].loadEventEnd`)), "ms-to-load")
		b.ReportMetric(browser.Of(ctx, b, chromedp.Evaluate[float64](`performance.getEntriesByName("first-contentful-paint")[0].startTime`)), "ms-to-paint")
	}
}
