package page_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
)

// browser is a headless Chromium, what its console says, and what it asks of any network.
func browser(t testing.TB) (context.Context, *console) {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes seconds to start")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no Chromium (Debian's package chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	said := &console{}
	require.NoError(t, chromedp.Do(ctx)) // starts it
	require.NoError(t, chromedp.Listen(ctx, said.hear))
	_, err = chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	return ctx, said
}

type console struct {
	mu           sync.Mutex
	lines, asked []string
}

func (c *console) hear(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := event.(type) {
	case *cdplog.EventEntryAdded:
		c.lines = append(c.lines, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
	case *runtime.EventExceptionThrown:
		c.lines = append(c.lines, e.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		if url := e.Request.URL; !strings.HasPrefix(url, "file:") && !strings.HasPrefix(url, "data:") {
			c.asked = append(c.asked, url)
		}
	}
}

func (c *console) all() (lines, asked []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...), append([]string(nil), c.asked...)
}

// of is what the action finds.
func of[T any](ctx context.Context, t testing.TB, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	require.NoError(t, err)
	return v
}

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
	ctx, said := browser(t)
	dir := mixedRun(t)
	for _, l := range []lang.Lang{lang.English, lang.Japanese} {
		file := written(t, dir, l)
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{390, 820, 1440} {
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				require.NoError(t, err)
				require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 1000), chromedp.Navigate("file://"+file)))
				name := fmt.Sprintf("%s-%s-%d.png", l, scheme, width)
				require.NoError(t, os.WriteFile(filepath.Join(shots(t), name), of(ctx, t, chromedp.FullScreenshot(100)), 0o600))
				for _, id := range []string{"failed", "matrix", "promises", "rollbacks", "parity"} {
					if os.Getenv("PAGE_SHOTS") != "" {
						require.NoError(t, os.WriteFile(filepath.Join(shots(t), id+"-"+name), of(ctx, t, chromedp.Screenshot("#"+id)), 0o600))
					}
				}
				of(ctx, t, chromedp.Evaluate[bool](`(() => { for (const d of document.querySelectorAll("details")) d.open = true; return true; })()`))
				wide := of(ctx, t, chromedp.Evaluate[[]string](wider))
				faint := of(ctx, t, chromedp.Evaluate[[]string](faintText))
				assert.Empty(t, wide, "wider than the page: %s", name)
				assert.Empty(t, faint, "too little contrast: %s", name)
			}
		}
	}
	lines, asked := said.all()
	assert.Empty(t, lines, "the console is silent: the policy allows what the page does")
	assert.Empty(t, asked, "nothing is asked of any network")
}

// wider is what reaches beyond the page, unless it is in a part that scrolls by itself.
const wider = `[...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll > *, .unseen, .log > *, svg *") && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
	.map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40)).concat(document.documentElement.scrollWidth > document.documentElement.clientWidth ? ["the page scrolls sideways"] : [])`

// faintText is the text whose contrast is below 4.5 : 1, as WCAG 2.2 (1.4.3) has it.
const faintText = `(() => {
	const channel = c => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
	const light = rgb => 0.2126 * channel(rgb[0]) + 0.7152 * channel(rgb[1]) + 0.0722 * channel(rgb[2]);
	const parse = css => css.match(/[\d.]+/g).map(Number);
	const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
	const out = [];
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; n = walk.nextNode();) {
		const e = n.parentElement;
		if (!n.data.trim() || !e.getClientRects().length || e.closest("title, desc, script, noscript")) continue;
		const s = getComputedStyle(e), b = behind(e);
		let c = parse(e.closest("svg") ? s.fill : s.color);
		for (let o = e; o && o !== document.body; o = o.parentElement) { const a = +getComputedStyle(o).opacity; if (a < 1) c = c.slice(0, 3).map((v, i) => v * a + b[i] * (1 - a)); }
		const la = light(c), lb = light(b);
		const ratio = (Math.max(la, lb) + 0.05) / (Math.min(la, lb) + 0.05);
		if (ratio < 4.5) out.push(n.data.trim() + " " + ratio.toFixed(2));
	}
	return out;
})()`

// wait is until the page says that the script is true.
func wait(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](script, chromedp.WithPollingTimeout(time.Minute))
}

// What is packed is drawn when its scenario is opened, by the keyboard, by a link, or all at once.
func TestAPackedTimelineIsDrawnWhenItsScenarioIsOpened(t *testing.T) {
	ctx, said := browser(t)
	file := written(t, largeRun(t, 10, func(i int) string { return map[bool]string{true: "failed", false: "passed"}[i == 7] }), lang.English)
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1000, 1000), chromedp.Navigate("file://"+file)))
	drawn := `document.querySelectorAll(".pictures svg").length`
	assert.Equal(t, 1, of(ctx, t, chromedp.Evaluate[int](drawn)), "what failed is there without a script")
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys("#s5 > summary", "\r"), wait(`!!document.querySelector("#s5 .pictures svg")`)))
	assert.Contains(t, of(ctx, t, chromedp.Evaluate[string](`document.querySelector("#s5 .pictures").textContent`)), "error answers, 5 % of requests", "it is the scenario's own")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+file+"#s177"), wait(`!!document.querySelector("#s177[open] .pictures svg")`)))
	require.NoError(t, chromedp.Do(ctx, chromedp.SendKeys("#find", "region r07"), wait(`document.getElementById("found").textContent === "20 scenarios"`)))
	assert.Equal(t, 20, of(ctx, t, chromedp.Evaluate[int](`[...document.querySelectorAll(".scenario")].filter(e => e.checkVisibility()).length`)))
	require.NoError(t, chromedp.Do(ctx, chromedp.Click("#all"), wait(`document.querySelectorAll(".scenario:not([hidden]) .pictures svg").length === 20`)))
	of(ctx, t, chromedp.Evaluate[bool](`(() => { find.value = ""; show.value = "failed"; return show.dispatchEvent(new Event("change")); })()`))
	assert.Equal(t, "1 scenarios", of(ctx, t, chromedp.Evaluate[string](`document.getElementById("found").textContent`)))
	lines, asked := said.all()
	assert.Empty(t, lines)
	assert.Empty(t, asked)
}

// Names and logs that would break a page, on a narrow one.
func TestWhateverANameHoldsFitsThePage(t *testing.T) {
	ctx, said := browser(t)
	file := written(t, nastyRun(t), lang.English)
	for _, width := range []int64{390, 1440} {
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 1000), chromedp.Navigate("file://"+file)))
		of(ctx, t, chromedp.Evaluate[bool](`(() => { for (const d of document.querySelectorAll("details")) d.open = true; return true; })()`))
		assert.Empty(t, of(ctx, t, chromedp.Evaluate[[]string](wider)), width)
	}
	lines, asked := said.all()
	assert.Empty(t, lines)
	assert.Empty(t, asked)
}

// Without a script everything is there but what is packed, and the page says so of that.
func TestThePageNeedsNoScript(t *testing.T) {
	ctx, _ := browser(t)
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("file://"+written(t, mixedRun(t), lang.English))))
	assert.Contains(t, of(ctx, t, chromedp.Text("body")), "A promise was broken: do not release.")
	require.NoError(t, chromedp.Do(ctx, chromedp.Click("#s6 > summary")))
	assert.Contains(t, of(ctx, t, chromedp.Text("#s6")), "The timeline in words")
}

// A report of a thousand scenarios, from opening it until it is shown: the goal is two
// seconds.
func BenchmarkOpeningAThousandScenarios(b *testing.B) {
	ctx, _ := browser(b)
	file := written(b, largeRun(b, 50, func(i int) string { return map[bool]string{true: "failed", false: "passed"}[i%100 == 7] }), lang.English)
	require.NoError(b, chromedp.Do(ctx, chromedp.EmulateViewport(1440, 1000)))
	for b.Loop() {
		require.NoError(b, chromedp.Do(ctx, chromedp.Navigate("about:blank"), chromedp.Navigate("file://"+file), wait(`performance.getEntriesByName("first-contentful-paint").length > 0`)))
		b.ReportMetric(of(ctx, b, chromedp.Evaluate[float64](`performance.getEntriesByType("navigation")[0].loadEventEnd`)), "ms-to-load")
		b.ReportMetric(of(ctx, b, chromedp.Evaluate[float64](`performance.getEntriesByName("first-contentful-paint")[0].startTime`)), "ms-to-paint")
	}
}
