package live

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
)

// sent is events as a browser reads them.
func sent(t *testing.T, events string) (ids []string, changes [][][3]string) {
	t.Helper()
	for block := range strings.SplitSeq(strings.TrimSuffix(events, "\n\n"), "\n\n") {
		id, data, ok := strings.Cut(block, "\ndata: ")
		if !ok || strings.HasPrefix(id, "event:") {
			continue
		}
		var c [][3]string
		require.NoError(t, json.Unmarshal([]byte(data), &c))
		ids, changes = append(ids, strings.TrimPrefix(id, "id: ")), append(changes, c)
	}
	return ids, changes
}

func TestWhoIsBehindIsSentWhatIsMissingOrAllAnew(t *testing.T) {
	f := newFeed(lang.English)
	see := func(n int) { f.see(State{Service: "shop", Said: fmt.Sprint("line ", n)}) }
	for n := range 10 {
		see(n)
	}
	events, last, over, _ := f.since(-1)
	ids, changes := sent(t, events)
	require.Len(t, ids, 1)
	assert.Equal(t, "live", changes[0][0][1], "who is new is sent all")
	assert.Contains(t, changes[0][0][2], "line 9")
	assert.False(t, over)
	assert.Equal(t, last, f.place(ids[0]))

	see(10)
	see(11)
	see(11) // nothing new
	events, _, _, _ = f.since(last)
	ids, changes = sent(t, events)
	require.Len(t, ids, 2)
	assert.Equal(t, last+1, f.place(ids[0]))
	assert.Equal(t, "head", changes[0][0][1], "who has the rest is sent what is new")
	assert.Contains(t, changes[1][0][2], "line 11")

	for n := range 100 * keep {
		see(n)
	}
	assert.Len(t, f.kept, keep, "what is kept is bounded")
	events, _, _, _ = f.since(last)
	_, changes = sent(t, events)
	require.Len(t, changes, 1, "who is too far behind begins anew")
	assert.Equal(t, "live", changes[0][0][1])
	events, _, _, _ = f.since(f.last - keep)
	ids, _ = sent(t, events)
	assert.Len(t, ids, keep)
	events, _, _, _ = f.since(f.last)
	assert.Empty(t, events)

	for _, id := range []string{"", "-", "5", f.name, f.name + "-", f.name + "--5", f.name + "-1e3", "other000-5", f.name + "-5\r\n"} {
		assert.Equal(t, -1, f.place(id), "%q", id)
	}
	events, _, _, _ = f.since(f.last + 5) // of the future
	ids, _ = sent(t, events)
	assert.Len(t, ids, 1)
}

func TestAFeedWakesWhoWaits(t *testing.T) {
	f := newFeed(lang.English)
	woken := func(changed <-chan struct{}) bool {
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	f.see(State{Service: "shop"})
	_, _, _, changed := f.since(f.last)
	f.see(State{Service: "shop"})
	assert.False(t, woken(changed), "nothing is new")
	f.beat()
	assert.True(t, woken(changed), "a sign of life")
	_, _, over, changed := f.since(f.last)
	assert.False(t, over)
	f.see(State{Service: "shop", Over: true})
	assert.True(t, woken(changed))
	events, _, over, _ := f.since(f.last)
	assert.True(t, over)
	assert.Contains(t, events, "event: over\n")
}

// What an event may say is in one line, and escaped.
func TestWhatIsSentIsEscaped(t *testing.T) {
	f := newFeed(lang.English)
	var s State
	s.Service, s.Said = "<b>shop", "<script>alert(1)</script>\n\ndata: x\r\nid: 1"
	s.Begin("1", "containers", "<img src=x onerror=alert(1)>\n\n", time.Time{})
	s.Step("1", "</dd><script>")
	f.see(s)
	s.End("1", 1, "<i>why</i>\nand \u2028more", time.Time{})
	f.see(s)
	events, _, _, _ := f.since(0)
	_, changes := sent(t, events)
	require.Len(t, changes, 2)
	for _, c := range changes {
		for _, op := range c {
			for _, bad := range []string{"<script", "<img", "<i>", "<b>"} {
				assert.NotContains(t, op[2], bad)
			}
		}
	}
	assert.Contains(t, fmt.Sprint(changes), "&lt;img src=x onerror=alert(1)&gt;")
	page := f.whole(s.Service)
	assert.Equal(t, 1, strings.Count(page, "<script"))
	assert.NotContains(t, page, "<b>")
}

func BenchmarkSee(b *testing.B) {
	f := newFeed(lang.English)
	var s State
	for i := range 8 {
		s.Begin(fmt.Sprint(i), "containers", "a scenario", time.Time{})
		s.Active[i].Up = true
	}
	for b.Loop() {
		for i := range s.Active {
			s.Active[i].Now += time.Second
		}
		f.see(s)
	}
}
