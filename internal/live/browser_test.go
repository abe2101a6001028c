package live_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/browser"
	"rehearsal/internal/check"
	"rehearsal/internal/lang"
	"rehearsal/internal/live"
	"rehearsal/internal/stage"
)

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
	return browser.Until(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// What a page comes to show by changes is what one shows that is opened then.
func TestChangesLeadToTheSamePageAsASnapshot(t *testing.T) {
	ctx, said := browser.Start(t)
	s := standing(t, lang.English)
	server, err := live.Serve(s.Run, "", lang.English)
	require.NoError(t, err)
	defer func() { _ = server.Close(t.Context()) }()
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL), shows("A name-that-is-one-word")))
	s.until(200 * time.Second)
	require.NoError(t, chromedp.Do(ctx, shows("bake 2m 1s of 5m")))
	s.until(alarmed)
	require.NoError(t, chromedp.Do(ctx, shows("ALARM shop-5xx-rate")))
	assert.Equal(t, "the alarm shop-5xx-rate went off: The new version fails half of its requests", browser.Of(ctx, t, chromedp.Text("#alert")))
	s.Run.End("raised", check.Passed, "")
	s.Tell(func(st *live.State, now time.Time) { st.Begin("next", "containers", "The <b>next</b> one", now) })
	s.until(280 * time.Second)
	require.NoError(t, chromedp.Do(ctx, shows("The <b>next</b> one"), shows("rolled back")))
	s.Run.End("canary", check.Passed, "")
	s.Run.End("next", check.Passed, "")
	s.over(1, "BROKEN: a promise was broken, do not release")
	require.NoError(t, chromedp.Do(ctx, shows("BROKEN")))
	changed := browser.Of(ctx, t, chromedp.InnerHTML("#live"))
	assert.Equal(t, "BROKEN: a promise was broken, do not release", browser.Of(ctx, t, chromedp.Text("#alert")))
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL), shows("BROKEN")))
	assert.Equal(t, browser.Of(ctx, t, chromedp.InnerHTML("#live")), changed)
	assert.True(t, browser.Of(ctx, t, chromedp.Evaluate[bool](`document.getElementById("lost").hidden`)))
	lines, _ := said.All()
	assert.Empty(t, lines, "the console is silent: the policy allows what the page does")
}

// A run that goes away leaves what was known last, and says so; one that is heard again
// goes on.
func TestAPageOutlivesTheRun(t *testing.T) {
	ctx, _ := browser.Start(t)
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
	text := browser.Of(ctx, t, chromedp.Text("body"))
	assert.NotContains(t, text, "A name-that-is-one-word", "what the run before had is gone")
	assert.NotContains(t, text, "There is no word")
	another.Tell(func(st *live.State, _ time.Time) { st.Over = true })
}

// The page at three widths, in both schemes and languages: nothing is wider than the
// page, and all text can be read. The screenshots are kept with -artifacts.
func TestThePageIsSeen(t *testing.T) {
	ctx, said := browser.Start(t)
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
				browser.Scheme(ctx, t, scheme)
				require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate(server.URL), shows("shop-5xx-rate")))
				wide := browser.Of(ctx, t, chromedp.Evaluate[string](`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.tagName + " " + e.className).join()`))
				faint := browser.Of(ctx, t, chromedp.Evaluate[[]string](browser.FaintText))
				text := browser.Of(ctx, t, chromedp.Text("body"))
				shot := browser.Of(ctx, t, chromedp.FullScreenshot(100))
				name := fmt.Sprintf("%s-%s-%d.png", l, scheme, width)
				assert.Empty(t, wide, "wider than the page: %s", name)
				assert.Empty(t, faint, "too little contrast: %s", name)
				assert.Contains(t, text, "v2 10 %")
				require.NoError(t, os.WriteFile(filepath.Join(t.ArtifactDir(), name), shot, 0o600))
			}
		}
	}
	lines, _ := said.All()
	assert.Empty(t, lines)
}
