package live

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"rehearsal/internal/lang"
)

// A feed is what browsers are sent: the changes from one look at the run to the next,
// the last of which are kept. Nobody has a queue: who is slow is behind, and who is
// further behind than what is kept begins anew with all that is known.
type feed struct {
	lang lang.Lang
	name string // of this feed, in the ids of its events: a browser may remember those of another run

	mu      sync.Mutex
	ids     map[string]string
	now     *view
	kept    []string      // the last changes, as JSON
	last    int           // the number of the last of them
	changed chan struct{} // closed by the next change
}

// keep is how many changes are kept.
const keep = 240

func newFeed(l lang.Lang) *feed {
	return &feed{lang: l, name: rand.Text()[:8], ids: map[string]string{}, now: viewOf(State{}, l, nil, map[string]string{}), changed: make(chan struct{})}
}

// look publishes what is new in the run.
func (f *feed) look(run *Run) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.see(run.Now())
}

// see publishes what is new in s, which nothing that it has seen is newer than.
func (f *feed) see(s State) {
	next := viewOf(s, f.lang, f.now, f.ids)
	changes := next.changes(f.now)
	over := next.over && !f.now.over
	f.now = next
	if len(changes) > 0 {
		f.last++
		f.kept = append(f.kept, encode(changes))
		if n := len(f.kept); n > keep {
			f.kept = append([]string(nil), f.kept[n-keep:]...)
		}
	}
	if len(changes) > 0 || over {
		f.wake()
	}
}

// wake has everybody who waits look again.
func (f *feed) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// beat has everybody write something, which shows that they are still there.
func (f *feed) beat() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wake()
}

func encode(changes [][3]string) string {
	data, err := json.Marshal(changes) // in one line
	if err != nil {
		panic(err)
	}
	return string(data)
}

// place is the number that an event's id says; -1 for none of this feed.
func (f *feed) place(id string) int {
	name, n, ok := strings.Cut(id, "-")
	if number, err := strconv.Atoi(n); ok && name == f.name && err == nil && number >= 0 {
		return number
	}
	return -1
}

// since is what a browser that has everything up to number has not: events as they are
// sent, the number of the last one, whether there will be more, and what closes when
// there are.
func (f *feed) since(number int) (events string, last int, over bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.last - len(f.kept) // everything after it is kept
	var b strings.Builder
	if number < first || number > f.last {
		fmt.Fprintf(&b, "id: %s-%d\ndata: %s\n\n", f.name, f.last, encode(f.now.changes(nil)))
	} else {
		for i, data := range f.kept[number-first:] {
			fmt.Fprintf(&b, "id: %s-%d\ndata: %s\n\n", f.name, number+i+1, data)
		}
	}
	if f.now.over {
		b.WriteString("event: over\ndata: over\n\n")
	}
	return b.String(), f.last, f.now.over, f.changed
}

// whole is the page as it is now.
func (f *feed) whole(service string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.now.whole(service))
}
