// Package browser is a headless Chromium for tests that look at pages.
package browser

import (
	"context"
	"fmt"
	"os/exec"
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
	"github.com/stretchr/testify/require"
)

// Start is a browser that ends with the test, and what it says meanwhile. The test is
// skipped where it is to be short, or where there is no Chromium.
func Start(t testing.TB) (context.Context, *Console) {
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
	said := &Console{}
	require.NoError(t, chromedp.Do(ctx)) // starts it
	require.NoError(t, chromedp.Listen(ctx, said.hear))
	_, err = chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	return ctx, said
}

// A Console is what a browser says of its pages, and what they ask of any network.
type Console struct {
	mu           sync.Mutex
	lines, asked []string
}

func (c *Console) hear(event any) {
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

// All is the lines of the console, and the addresses that were asked for.
func (c *Console) All() (lines, asked []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...), append([]string(nil), c.asked...)
}

// Of is what the action finds.
func Of[T any](ctx context.Context, t testing.TB, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	require.NoError(t, err)
	return v
}

// Until waits for a script to be true in the page.
func Until(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](script, chromedp.WithPollingTimeout(time.Minute))
}

// Scheme has pages be "light" or "dark".
func Scheme(ctx context.Context, t testing.TB, scheme string) {
	t.Helper()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	require.NoError(t, err)
}

// FaintText is a script: it finds the text whose contrast is below 4.5 : 1, as WCAG 2.2 (1.4.3) has it.
const FaintText = `(() => {
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
