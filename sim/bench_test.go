package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
	"rehearsal/sim"
)

// BenchmarkRelease is a whole canary release: an hour of release time, 100
// replicas of each version, 5 alarms. Neither time nor memory may grow with the
// rate of requests.
func BenchmarkRelease(b *testing.B) {
	for _, rate := range []float64{1_000, 1_000_000} {
		b.Run(fmt.Sprintf("%.0f_requests_per_second", rate), func(b *testing.B) {
			setup := shop(b)
			setup.Replicas, setup.Traffic.Rate = 100, rate
			require.Len(b, setup.Alarms, 5)
			b.ReportAllocs()
			for seed := uint64(0); b.Loop(); seed++ {
				byHand(b, sim.Options{Setup: setup, Seed: seed})
			}
		})
	}
}

// byHand releases v2 without a plan, in an hour.
func byHand(b *testing.B, o sim.Options) {
	ctx := b.Context()
	s, err := sim.New(ctx, o)
	must(b, err)
	must(b, s.Deploy(ctx, o.Versions["v1"]))
	must(b, s.Shift(ctx, stage.Shares{"v1": 100}))
	hold(b, s, 10*time.Minute)
	must(b, s.Deploy(ctx, o.Versions["v2"]))
	for _, share := range []float64{5, 25, 50, 100} {
		must(b, s.Shift(ctx, stage.Shares{"v1": 100 - share, "v2": share}))
		hold(b, s, 12*time.Minute)
	}
	must(b, s.Retire(ctx, o.Versions["v1"]))
	hold(b, s, time.Hour-s.History().Now())
	must(b, s.Close(ctx))
}

// hold waits as a release does, asking about the alarms after every event.
func hold(b *testing.B, s *sim.Stage, d time.Duration) {
	held, err := s.Wait(b.Context(), d, func(h *stage.History) bool {
		return h.AlarmState("shop-5xx-rate").String() == "ALARM"
	})
	must(b, err)
	if held {
		b.Fatal("an alarm went off in a good release")
	}
}

func must(b *testing.B, err error) {
	if err != nil {
		b.Fatal(err)
	}
}
