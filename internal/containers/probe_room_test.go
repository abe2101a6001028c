package containers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

func TestRoomIsJudgedByTheNumbers(t *testing.T) {
	r := room{containers: 6, memory: 512 << 20, memoryHas: 4 << 30, disk: 504 << 20, diskHas: 10 << 30, images: 300 << 20, unlimited: []string{"database", "payments"}}
	said, fits := r.judge()
	assert.True(t, fits)
	assert.Equal(t, "6 containers may take 512MiB of memory, the engine has 4GiB; they may write 504MiB, and 10GiB of disk are free beside 300MiB of images; "+
		"without a memory limit, and not counted: database, payments", said)

	small := r
	small.memoryHas = 256 << 20
	said, fits = small.judge()
	assert.False(t, fits)
	assert.Contains(t, said, "not enough memory: 6 containers may take 512MiB of memory, the engine has 256MiB")

	full := r
	full.diskHas = 100 << 20
	said, fits = full.judge()
	assert.False(t, fits)
	assert.Contains(t, said, "not enough disk: ")

	elsewhere := r
	elsewhere.diskHas = -1
	said, fits = elsewhere.judge()
	assert.True(t, fits)
	assert.Contains(t, said, "cannot be seen from here")
}

func TestRoomCountsBothVersions(t *testing.T) {
	project, err := LoadCompose(t.Context(), "../../fixtures/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := &Stage{project: project, setup: &stage.Setup{
		Service: "shop", Replicas: 2, MemoryLimit: 128 << 20, Versions: map[string]stage.Version{"v2": {Name: "v2", Replicas: 3}},
	}, versions: map[string]*version{"v1": {replicas: make([]*replica, 2)}}}
	r := s.room("v2")
	assert.Equal(t, 7, r.containers, "database, payments, two of v1 and three of v2")
	assert.EqualValues(t, 5*128<<20, r.memory)
	assert.Equal(t, []string{"database", "payments"}, r.unlimited)
}

func TestAnEngineThatCountsForSomebodyElseIsAskedAgain(t *testing.T) {
	asked := 0
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"message":"a disk usage operation is already running"}`))
			return
		}
		_, _ = w.Write([]byte(`{"LayersSize":42}`))
	}))
	defer engine.Close()
	docker, err := client.New(client.WithHost("tcp://"+engine.Listener.Addr().String()), client.WithAPIVersion("1.41"))
	require.NoError(t, err)
	bytes, err := imageSizes(t.Context(), docker)
	require.NoError(t, err)
	assert.EqualValues(t, 42, bytes)
	assert.Equal(t, 3, asked)

	asked = -1000
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = imageSizes(ctx, docker)
	assert.Error(t, err, "not for ever")
}
