package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// run lets everything happen that was planned.
func (k *kernel) run() {
	for t, planned := k.next(); planned; t, planned = k.next() {
		k.advance(t)
		k.happen()
	}
}

func TestEventsHappenInOrderOfTimeAndThenOfPlanning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type planned struct {
			at    time.Duration
			order int
		}
		k := newKernel(1)
		var happened []planned
		plans := 0
		var plan func(at time.Duration, children []int)
		plan = func(at time.Duration, children []int) {
			p := planned{max(at, k.now()), plans}
			plans++
			k.at(at, func() {
				assert.Equal(t, p.at, k.now())
				happened = append(happened, p)
				for _, wait := range children {
					plan(k.now()+time.Duration(wait), nil)
				}
			})
		}
		smallWaits := rapid.SliceOfN(rapid.IntRange(-2, 5), 0, 3)
		for _, at := range rapid.SliceOf(rapid.IntRange(0, 20)).Draw(t, "times") {
			plan(time.Duration(at), smallWaits.Draw(t, "children"))
		}
		k.run()
		require.Len(t, happened, plans)
		for i := 1; i < len(happened); i++ {
			a, b := happened[i-1], happened[i]
			require.True(t, a.at < b.at || a.at == b.at && a.order < b.order, "%v happened before %v", a, b)
		}
	})
}

func TestTheClockNeitherGoesBackNorPastAnEvent(t *testing.T) {
	k := newKernel(1)
	k.advance(time.Minute)
	require.Panics(t, func() { k.advance(time.Second) })
	k.after(time.Second, func() {})
	require.Panics(t, func() { k.advance(time.Hour) })
	require.Equal(t, time.Minute, k.now())
}

func TestEventsWithoutEndAtOneInstantAreNoticed(t *testing.T) {
	k := newKernel(1)
	var again func()
	again = func() { k.after(0, again) }
	again()
	require.PanicsWithValue(t, "sim: events at one instant bring each other about without end", k.happen)
}
