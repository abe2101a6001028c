package compare

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
	"rehearsal/sim"
)

func TestAMixIsReadAsItIsWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mix.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`fates:
  - {is: good, weight: 3}
  - {is: bad, weight: 2.5, kind: errors, request: any, share: 5% to 50%, moment: 1m to 12m}
  - {is: bad, weight: 1, kind: memory leak, perRequest: 1KiB}
  - {is: fluke, weight: 1, kind: latency, share: 5%, delay: 300ms to 2s, moment: 0s to 10m, lasts: 1m to 4m}
`), 0o600))
	mix, err := ReadMix(file, &shop(t).Setup)
	require.NoError(t, err)
	assert.Equal(t, []sim.Fate{
		{Nature: sim.Good, Weight: 3},
		{Nature: sim.Bad, Weight: 2.5, Kind: stage.Errors, Request: sim.Any, Share: sim.Span[float64]{From: 5, To: 50}, Moment: sim.Span[time.Duration]{From: time.Minute, To: 12 * time.Minute}},
		{Nature: sim.Bad, Weight: 1, Kind: stage.MemoryLeak, PerRequest: sim.Span[float64]{From: 1024, To: 1024}},
		{Nature: sim.Fluke, Weight: 1, Kind: stage.Latency, Share: sim.Span[float64]{From: 5, To: 5}, Delay: sim.Span[time.Duration]{From: 300 * time.Millisecond, To: 2 * time.Second},
			Moment: sim.Span[time.Duration]{To: 10 * time.Minute}, Lasts: sim.Span[time.Duration]{From: time.Minute, To: 4 * time.Minute}},
	}, mix)
}

func TestTheDefaultMixHasNothingThatAServiceLacks(t *testing.T) {
	s := shop(t).Setup
	all, _ := DefaultMix(&s)
	s.Dependencies, s.MemoryLimit = nil, 0
	rest, left := DefaultMix(&s)
	assert.Len(t, left, 4)
	assert.Len(t, rest, len(all)-4)
	assert.Contains(t, left, "memory leak: the service has no memory limit to reach")
	c := sim.Campaign{Setup: withVersions(&s), Mix: rest, Version: newVersion}
	assert.NoError(t, c.Check())
}

func TestABadMixTellsFileAndLine(t *testing.T) {
	for text, wrong := range map[string]string{
		"":                                     `mix.yaml:1: there are no fates`,
		"fates: []":                            `mix.yaml:1: there are no fates`,
		"fates:\n  - {is: good":                `mix.yaml:`,
		"fate:\n  - {is: good, weight: 1}":     `mix.yaml:1: unknown key "fate": want "fates:" and a list`,
		"fates: 7":                             `mix.yaml:1: "7" is not what belongs here: want a list of fates`,
		"fates:\n  - {is: good, wait: 1}":      `mix.yaml:2: unknown key "wait": here may be is, weight, kind`,
		"fates:\n\n  - {is: good}":             `mix.yaml:3: a weight of 0: want more than 0`,
		"fates:\n  - {is: ok, weight: 1}":      `mix.yaml:2: unknown "ok": a release is one of ["good" "fluke" "bad"]`,
		"fates:\n  - {is: good, weight: .nan}": `mix.yaml:2: a weight of NaN`,
		"fates:\n  - {is: bad, weight: 1, kind: errors, share: 50% to 5%}":      `mix.yaml:2: "50% to 5%" ends before it begins`,
		"fates:\n  - {is: bad, weight: 1, kind: errors, share: 0.5}":            `mix.yaml:2: "0.5" is not a percentage above 0% and up to 100%: want 5% or 5% to 50%`,
		"fates:\n  - {is: bad, weight: 1, kind: errors, share: [1]}":            `mix.yaml:2: want 5% or 5% to 50%`,
		"fates:\n  - {is: bad, weight: 1, kind: latency, delay: 3}":             `mix.yaml:2: "3" is not a time`,
		"fates:\n  - {is: bad, weight: 1, kind: memory leak, perRequest: many}": `mix.yaml:2: "many" is not a size`,
		"fates:\n  - {is: bad, weight: 1, kind: errors, request: buy}":          `mix.yaml:2: errors: unknown request "buy"`,
	} {
		_, err := ParseMix("mix.yaml", []byte(text), &shop(t).Setup)
		assert.ErrorContains(t, err, wrong, text)
	}
	_, err := ReadMix(filepath.Join(t.TempDir(), "none.yaml"), &shop(t).Setup)
	assert.ErrorIs(t, err, os.ErrNotExist)
	big := filepath.Join(t.TempDir(), "big.yaml")
	require.NoError(t, os.WriteFile(big, []byte(strings.Repeat("#", mostBytes+1)), 0o600))
	_, err = ReadMix(big, &shop(t).Setup)
	assert.ErrorContains(t, err, "that is not a mix")
}

func TestAMixOfThatTheServiceCannotMeetIsRefused(t *testing.T) {
	s := shop(t).Setup
	s.MemoryLimit = 0
	file := filepath.Join(t.TempDir(), "mix.yaml")
	require.NoError(t, os.WriteFile(file, []byte("fates:\n  - {is: bad, weight: 1, kind: memory leak, perRequest: 1KiB}\n"), 0o600))
	_, err := ReadMix(file, &s)
	assert.ErrorContains(t, err, "the service has no memory limit to reach")
}

func FuzzParseMix(f *testing.F) {
	f.Add(defaultMix)
	f.Add([]byte("fates: [{is: good, weight: 1e309}]"))
	f.Add([]byte("fates: [{is: bad, kind: errors, weight: 1, share: 1% to 1e-300%}]"))
	s := shop(f).Setup
	with := withVersions(&s)
	f.Fuzz(func(t *testing.T, data []byte) {
		mix, err := ParseMix("mix.yaml", data, &s)
		if err != nil {
			return
		}
		c := sim.Campaign{Setup: with, Mix: mix, Version: newVersion, Seed: 1}
		if c.Check() != nil {
			return
		}
		for i := range 20 {
			if trial := c.Trial(i); trial.Nature != sim.Good {
				require.NoError(t, trial.Failure.Validate())
			}
		}
	})
}
