package sim

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// maxAtOnce is how many events may happen at one instant. A model that needs more
// has events that bring each other about without time passing.
const maxAtOnce = 100_000

// A kernel is virtual time: a clock, the events to come, ordered by (time,
// sequence), and the one source of chance. Nothing in it waits or runs beside
// anything else; only now may be read from other goroutines.
type kernel struct {
	clock    atomic.Int64 // release time, nanoseconds
	sequence uint64
	queue    []event // a binary heap, the soonest first
	chance   *rand.Rand
}

// An event is something that happens at an instant of release time.
type event struct {
	at       time.Duration
	sequence uint64
	happen   func()
}

func newKernel(seed uint64) *kernel {
	return &kernel{chance: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), queue: make([]event, 0, 64)}
}

// now is the release time.
func (k *kernel) now() time.Duration { return time.Duration(k.clock.Load()) }

// at has happen called at t, or at once where t has passed: after everything that
// was planned for that instant before.
func (k *kernel) at(t time.Duration, happen func()) {
	k.sequence++
	k.queue = append(k.queue, event{max(t, k.now()), k.sequence, happen})
	for i := len(k.queue) - 1; i > 0; {
		parent := (i - 1) / 2
		if !k.queue[i].before(k.queue[parent]) {
			break
		}
		k.queue[i], k.queue[parent] = k.queue[parent], k.queue[i]
		i = parent
	}
}

// after has happen called when d has passed.
func (k *kernel) after(d time.Duration, happen func()) { k.at(k.now()+d, happen) }

// next is when the next event happens.
func (k *kernel) next() (time.Duration, bool) {
	if len(k.queue) == 0 {
		return 0, false
	}
	return k.queue[0].at, true
}

// advance moves the clock to t. Time never goes back, nor past an event.
func (k *kernel) advance(t time.Duration) {
	if next, planned := k.next(); t < k.now() || planned && next < t {
		panic("sim: the clock would skip an event or go back")
	}
	k.clock.Store(int64(t))
}

// happen lets everything happen that is planned for this instant, in order, what
// is planned for it meanwhile included.
func (k *kernel) happen() {
	for range maxAtOnce {
		if next, planned := k.next(); !planned || next > k.now() {
			return
		}
		k.pop().happen()
	}
	panic("sim: events at one instant bring each other about without end")
}

func (k *kernel) pop() event {
	first, last := k.queue[0], len(k.queue)-1
	k.queue[0] = k.queue[last]
	k.queue[last] = event{}
	k.queue = k.queue[:last]
	for i := 0; ; {
		soonest := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if k.queue[child].before(k.queue[soonest]) {
				soonest = child
			}
		}
		if soonest == i {
			return first
		}
		k.queue[i], k.queue[soonest] = k.queue[soonest], k.queue[i]
		i = soonest
	}
}

func (e event) before(o event) bool {
	return e.at < o.at || e.at == o.at && e.sequence < o.sequence
}
