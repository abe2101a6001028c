package steps

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

// aCopy is a stage that only begins and closes.
type aCopy struct {
	stage.Stage
	service string
	broken  bool
	begun   uint64
	closed  bool
}

func (c *aCopy) Begin(_ context.Context, seed uint64, _ io.Writer) error {
	if c.broken {
		return errors.New("its database has gone")
	}
	c.begun = seed
	return nil
}

func (c *aCopy) Close(context.Context) error {
	c.closed = true
	return nil
}

// copies raises them, and keeps all that it raised.
type copies struct {
	mu  sync.Mutex
	all []*aCopy
}

func (c *copies) raise(_ context.Context, setup stage.Setup) (raised, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &aCopy{service: setup.Service}
	c.all = append(c.all, one)
	return one, nil
}

func TestTheNextScenarioGetsACopyThatIsWarm(t *testing.T) {
	ctx := t.Context()
	var c copies
	var said []string
	p := newPool(ctx, 1, 5, func(line string) { said = append(said, line) }, c.raise)
	take := func(service string, seed uint64) *aCopy {
		st, err := p.take(ctx, stage.Setup{Service: service}, seed, nil)
		require.NoError(t, err)
		p.work.Wait()
		return st.(*aCopy)
	}
	first := take("shop", 1)
	require.Len(t, c.all, 2, "one is taken, and one gets warm")
	spare := c.all[slices.IndexFunc(c.all, func(o *aCopy) bool { return o != first })]
	assert.Zero(t, spare.begun)
	assert.Same(t, spare, take("shop", 2))
	assert.EqualValues(t, 2, spare.begun)

	waits := c.all[len(c.all)-1]
	other := take("menu", 3)
	assert.NotSame(t, waits, other, "another set-up is another copy")
	assert.Equal(t, "menu", other.service)
	assert.Zero(t, waits.begun)

	waits.broken = true
	fourth := take("shop", 4)
	assert.NotSame(t, waits, fourth)
	assert.EqualValues(t, 4, fourth.begun)
	assert.True(t, waits.closed)
	require.Len(t, said, 1)
	assert.Contains(t, said[0], "its database has gone")

	take("menu", 5)
	require.NoError(t, p.close(ctx))
	begun := 0
	for _, one := range c.all {
		if one.begun > 0 {
			begun++
			assert.False(t, one.closed, "whoever took it closes it")
		} else {
			assert.True(t, one.closed, "nobody asked for it")
		}
	}
	assert.Equal(t, 5, begun)
}

func TestNoCopyIsRaisedThatNobodyCanAskFor(t *testing.T) {
	var c copies
	p := newPool(t.Context(), 4, 2, func(string) {}, c.raise)
	for range 2 {
		_, err := p.take(t.Context(), stage.Setup{}, 1, nil)
		require.NoError(t, err)
		p.work.Wait()
	}
	assert.Len(t, c.all, 2)
	require.NoError(t, p.close(t.Context()))
}
