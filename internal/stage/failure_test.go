package stage_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

// whole is one failure of each kind with everything that the kind needs.
var whole = map[stage.FailureKind]stage.Failure{
	stage.CrashAtStart:         {Version: "v2"},
	stage.CrashLater:           {Version: "v2", After: time.Minute},
	stage.CrashLoop:            {Version: "v2"},
	stage.Hang:                 {Version: "v2"},
	stage.OutOfMemory:          {Version: "v2"},
	stage.Errors:               {Version: "v2", Share: 50},
	stage.Latency:              {Version: "v2", Delay: time.Second},
	stage.DependencyDown:       {Dependency: "database"},
	stage.DependencySlow:       {Dependency: "database", Delay: time.Second},
	stage.DependencyErrors:     {Dependency: "payments", Share: 20},
	stage.ConnectionsExhausted: {Dependency: "database"},
	stage.SlowReplica:          {Version: "v2", Delay: time.Second},
	stage.UnevenBalance:        {Version: "v2", Times: 3},
	stage.ZoneLost:             {Zone: "a"},
	stage.MissingVariable:      {Version: "v2", Variable: "PORT"},
	stage.WrongVariable:        {Version: "v2", Variable: "PORT", Value: "x"},
	stage.LostWrites:           {Share: 1},
	stage.WrongAnswers:         {Version: "v2"},
	stage.MemoryLeak:           {Version: "v2", PerRequest: 1 << 20},
}

func TestEveryKindOfFailureIsKnown(t *testing.T) {
	require.Len(t, stage.FailureKinds(), len(whole))
	for _, kind := range stage.FailureKinds() {
		f, ok := whole[kind]
		require.True(t, ok, "%s", kind)
		f.Kind = kind
		assert.NoError(t, f.Validate(), "%v", f)
		assert.Contains(t, f.String(), string(kind))
	}
}

func TestAnUnknownFailureNamesTheKnownOnes(t *testing.T) {
	err := stage.Failure{Kind: "explosion", Version: "v2"}.Validate()
	require.ErrorContains(t, err, `unknown failure "explosion"`)
	for _, kind := range stage.FailureKinds() {
		assert.ErrorContains(t, err, `"`+string(kind)+`"`)
	}
	assert.ErrorContains(t, stage.Failure{Kind: "explosion", Share: -1}.Validate(), "unknown failure", "what it is comes before how much")
	assert.ErrorContains(t, stage.Failure{}.Validate(), `unknown failure ""`)
}

func TestAFailureSaysWhatItNeeds(t *testing.T) {
	for _, c := range []struct {
		kind  stage.FailureKind
		needs []string
	}{
		{stage.CrashAtStart, []string{"a version"}},
		{stage.CrashLater, []string{"a version"}},
		{stage.CrashLoop, []string{"a version"}},
		{stage.Hang, []string{"a version"}},
		{stage.OutOfMemory, []string{"a version"}},
		{stage.Errors, nil},
		{stage.Latency, []string{"a delay"}},
		{stage.DependencyDown, []string{"a dependency"}},
		{stage.DependencySlow, []string{"a dependency", "a delay"}},
		{stage.DependencyErrors, []string{"a dependency"}},
		{stage.ConnectionsExhausted, []string{"a dependency"}},
		{stage.SlowReplica, []string{"a version", "a delay"}},
		{stage.UnevenBalance, []string{"a version", "times, from 2 to 100"}},
		{stage.ZoneLost, []string{"a zone"}},
		{stage.MissingVariable, []string{"a version", "a variable"}},
		{stage.WrongVariable, []string{"a version", "a variable"}},
		{stage.LostWrites, nil},
		{stage.WrongAnswers, nil},
		{stage.MemoryLeak, []string{"perRequest, in bytes"}},
	} {
		err := stage.Failure{Kind: c.kind}.Validate()
		if c.needs == nil {
			assert.NoError(t, err, "%s", c.kind)
			continue
		}
		for _, need := range c.needs {
			assert.ErrorContains(t, err, string(c.kind)+": needs "+need)
		}
	}
}

func TestAFailureOutOfRange(t *testing.T) {
	for _, kind := range stage.FailureKinds() {
		for _, c := range []struct {
			spoil func(*stage.Failure)
			want  string
		}{
			{func(f *stage.Failure) { f.Share = -5 }, "a share of -5 %: must be above 0 and at most 100 %"},
			{func(f *stage.Failure) { f.Share = 100.1 }, "a share of 100.1 %: must be above 0 and at most 100 %"},
			{func(f *stage.Failure) { f.Share = math.NaN() }, "a share of NaN %"},
			{func(f *stage.Failure) { f.Delay = -time.Second }, "a delay of -1s: must be above 0"},
			{func(f *stage.Failure) { f.After = -time.Second }, "after -1s: must not be before its version takes traffic"},
			{func(f *stage.Failure) { f.PerRequest = -1 }, "-1 bytes per request: must be above 0"},
		} {
			f := whole[kind]
			f.Kind = kind
			c.spoil(&f)
			assert.ErrorContains(t, f.Validate(), string(kind)+": "+c.want)
		}
	}
}

func TestWhatAFailureHits(t *testing.T) {
	assert.True(t, stage.Failure{}.Hits("v1"), "no version is every version")
	assert.True(t, stage.Failure{Version: "v2"}.Hits("v2"))
	assert.False(t, stage.Failure{Version: "v2"}.Hits("v1"))
	assert.Equal(t, 100.0, stage.Failure{}.ShareOrAll())
	assert.Equal(t, 5.0, stage.Failure{Share: 5}.ShareOrAll())
}

func TestAFailureAsProse(t *testing.T) {
	for want, f := range map[string]stage.Failure{
		"v2: errors, 50 % of requests":         {Kind: stage.Errors, Version: "v2", Share: 50},
		"dependency slow (payments), 3s":       {Kind: stage.DependencySlow, Dependency: "payments", Delay: 3 * time.Second},
		"v2: missing variable PAYMENTS_URL":    {Kind: stage.MissingVariable, Version: "v2", Variable: "PAYMENTS_URL"},
		"v2: crash later, after 1m0s":          {Kind: stage.CrashLater, Version: "v2", After: time.Minute},
		"latency, 900ms, 10 % of requests":     {Kind: stage.Latency, Delay: 900 * time.Millisecond, Share: 10},
		"v2: dependency down (database)":       {Kind: stage.DependencyDown, Version: "v2", Dependency: "database"},
		"v2: crash at start":                   {Kind: stage.CrashAtStart, Version: "v2"},
		"v2: wrong variable PORT, after 1m30s": {Kind: stage.WrongVariable, Version: "v2", Variable: "PORT", After: 90 * time.Second},
		"v2: memory leak, 2.5 % of requests":   {Kind: stage.MemoryLeak, Version: "v2", Share: 2.5},
		"v2: hang":                             {Kind: stage.Hang, Version: "v2"},
	} {
		assert.Equal(t, want, f.String())
	}
}
