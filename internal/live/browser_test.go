package live_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/live"
	"rehearsal/internal/stage"
)

// browser is a headless Chromium, and what its console says.
func browser(t *testing.T) (context.Context, *console) {
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
	return ctx, said
}

type console struct {
	mu    sync.Mutex
	lines []string
}

func (c *console) hear(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := event.(type) {
	case *cdplog.EventEntryAdded:
		c.lines = append(c.lines, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
	case *runtime.EventExceptionThrown:
		c.lines = append(c.lines, e.ExceptionDetails.Text)
	}
}

func (c *console) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}

// A stand is a run under way: a real canary up to its alarm, a release that rolls, a
// stage that is raised, and some that have ended.
type stand struct {
	*live.Run
	now    atomic.Int64 // release time of the canary
	canary []stage.Event
	h      *stage.History
	begun  bool
	t      *testing.T
}

func standing(t *testing.T, l lang.Lang) *stand {
	t.Helper()
	s := &stand{Run: live.NewRun("shop"), canary: recorded(t, "canary-rolled-back"), t: t}
	name, step := "The new version fails half of its requests", `"v2" is released as the "canary" plan says`
	if l == lang.Japanese {
		name, step = "新しい版が要求の半分に失敗する", `"v2" を "canary" 計画でリリースする`
	}
	s.Tell(func(st *live.State, now time.Time) {
		st.Plan("containers", 9)
		for i := range 4 {
			st.Begin(fmt.Sprint(i), "containers", "One that has ended already, whatever came of it", now.Add(-time.Minute))
		}
		st.Begin("canary", "containers", name, now.Add(-time.Minute))
		st.Step("canary", step)
		st.Begin("raised", "containers", "A name-that-is-one-word-and-so-long-that-it-would-never-fit-on-a-narrow-page", now.Add(-3*time.Second))
		st.Said = "docker.io/library/postgres:17: pulled in 12s"
	})
	s.Run.End("0", check.Passed, "")
	s.Run.End("1", check.Failed, "two acknowledged orders were lost: 0193-ab, 0193-ac\nand the alarm \"shop-5xx-rate\" did not go off within 4m0s")
	s.Run.End("2", check.Inconclusive, "the stage was lost: the engine went away")
	s.Run.End("3", check.Passed, "")
	s.h = stage.NewHistory(func() time.Duration { return time.Duration(s.now.Load()) }, nil)
	s.Stage("canary", s.h)
	return s
}

// until records what was recorded up to the release time.
func (s *stand) until(to time.Duration) {
	for len(s.canary) > 0 && s.canary[0].At <= to {
		e := s.canary[0]
		s.now.Store(int64(e.At))
		if e.Kind == stage.Stepped && !s.begun {
			s.begun = true
			s.Release("canary", planOf(s.t, "canary"), "v2")
		}
		s.h.Record(e)
		s.canary = s.canary[1:]
	}
	s.now.Store(int64(to))
}

func (s *stand) over(status int, verdict string) {
	s.Tell(func(st *live.State, _ time.Time) { st.Over, st.Status, st.Verdict = true, status, verdict })
}

const alarmed = 240*time.Second + 145*time.Millisecond // when the alarm of the canary is on, and nothing was done about it

// shows waits until the page says the text.
func shows(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](fmt.Sprintf("document.body.innerText.includes(%q)", text), chromedp.WithPollingTimeout(time.Minute))
}

// of is what the action finds.
func of[T any](ctx context.Context, t *testing.T, a chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, a)
	require.NoError(t, err)
	return v
}

// What a page comes to show by changes is what one shows that is opened then.
func TestChangesLeadToTheSamePageAsASnapshot(t *testing.T) {
	ctx, said := browser(t)
	s := standing(t, lang.English)
	server, err := live.Serve(s.Run, "", lang.English)
	require.NoError(t, err)
	defer func() { _ = server.Close(t.Context()) }()
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL), shows("A name-that-is-one-word")))
	s.until(200 * time.Second)
	require.NoError(t, chromedp.Do(ctx, shows("bake 2m 1s of 5m")))
	s.until(alarmed)
	require.NoError(t, chromedp.Do(ctx, shows("ALARM shop-5xx-rate")))
	assert.Equal(t, "the alarm shop-5xx-rate went off: The new version fails half of its requests", of(ctx, t, chromedp.Text("#alert")))
	s.Run.End("raised", check.Passed, "")
	s.Tell(func(st *live.State, now time.Time) { st.Begin("next", "containers", "The <b>next</b> one", now) })
	s.until(280 * time.Second)
	require.NoError(t, chromedp.Do(ctx, shows("The <b>next</b> one"), shows("rolled back")))
	s.Run.End("canary", check.Passed, "")
	s.Run.End("next", check.Passed, "")
	s.over(1, "BROKEN: a promise was broken, do not release")
	require.NoError(t, chromedp.Do(ctx, shows("BROKEN")))
	changed := of(ctx, t, chromedp.InnerHTML("#live"))
	assert.Equal(t, "BROKEN: a promise was broken, do not release", of(ctx, t, chromedp.Text("#alert")))
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL), shows("BROKEN")))
	assert.Equal(t, of(ctx, t, chromedp.InnerHTML("#live")), changed)
	assert.True(t, of(ctx, t, chromedp.Evaluate[bool](`document.getElementById("lost").hidden`)))
	assert.Empty(t, said.all(), "the console is silent: the policy allows what the page does")
}

// A run that goes away leaves what was known last, and says so; one that is heard again
// goes on.
func TestAPageOutlivesTheRun(t *testing.T) {
	ctx, _ := browser(t)
	s := standing(t, lang.English)
	server, err := live.Serve(s.Run, "", lang.English)
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL), shows("raising the stage")))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_ = server.Close(gone)
	require.NoError(t, chromedp.Do(ctx, shows("There is no word from the run"), shows("A name-that-is-one-word")))

	another := live.NewRun("shop")
	server, err = live.Serve(another, strings.TrimSuffix(strings.TrimPrefix(server.URL, "http://"), "/"), lang.English)
	require.NoError(t, err)
	defer func() { _ = server.Close(t.Context()) }()
	another.Tell(func(st *live.State, now time.Time) { st.Begin("1", "containers", "another run", now) })
	require.NoError(t, chromedp.Do(ctx, shows("another run")))
	text := of(ctx, t, chromedp.Text("body"))
	assert.NotContains(t, text, "A name-that-is-one-word", "what the run before had is gone")
	assert.NotContains(t, text, "There is no word")
	another.Tell(func(st *live.State, _ time.Time) { st.Over = true })
}

// The page at three widths, in both schemes and languages: nothing is wider than the
// page, and all text can be read. The screenshots are kept with -artifacts.
func TestThePageIsSeen(t *testing.T) {
	ctx, said := browser(t)
	for _, l := range []lang.Lang{lang.English, lang.Japanese} {
		s := standing(t, l)
		s.until(alarmed)
		server, err := live.Serve(s.Run, "", l)
		require.NoError(t, err)
		defer func() {
			s.over(0, "VERIFIED: every promise was kept")
			_ = server.Close(t.Context())
		}()
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{390, 820, 1400} {
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				require.NoError(t, err)
				require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(server.URL), shows("shop-5xx-rate")))
				wide := of(ctx, t, chromedp.Evaluate[string](`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.tagName + " " + e.className).join()`))
				faint := of(ctx, t, chromedp.Evaluate[[]string](faintText))
				text := of(ctx, t, chromedp.Text("body"))
				shot := of(ctx, t, chromedp.FullScreenshot(100))
				name := fmt.Sprintf("%s-%s-%d.png", l, scheme, width)
				assert.Empty(t, wide, "wider than the page: %s", name)
				assert.Empty(t, faint, "too little contrast: %s", name)
				assert.Contains(t, text, "v2 10 %")
				require.NoError(t, os.WriteFile(filepath.Join(t.ArtifactDir(), name), shot, 0o600))
			}
		}
	}
	assert.Empty(t, said.all())
}

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
		if (!n.data.trim() || !e.getClientRects().length) continue;
		const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) out.push(n.data.trim() + " " + ratio.toFixed(2));
	}
	return out;
})()`
