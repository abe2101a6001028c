package steps

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryPhraseReadsInBothLanguagesAndInNoOtherWay(t *testing.T) {
	fs := forms()
	require.Greater(t, len(fs), 60)
	for _, p := range Phrases() {
		en, ja := p.Examples()
		for _, text := range []string{en, ja} {
			var readAs []string
			for _, f := range fs {
				if f.re.MatchString(text) {
					readAs = append(readAs, f.template)
				}
			}
			assert.Len(t, readAs, 1, "%q", text)
		}
		_, inEnglish, kinds, err := compile(p.English)
		require.NoError(t, err)
		_, inJapanese, kindsJapanese, err := compile(p.Japanese)
		require.NoError(t, err)
		sorted := func(s []string) []string { return slices.Sorted(slices.Values(s)) }
		assert.Equal(t, sorted(inEnglish), sorted(inJapanese), "the gaps of %q", p.English)
		assert.Equal(t, sorted(kinds), sorted(kindsJapanese), "the types of the gaps of %q", p.English)
		assert.Contains(t, []string{"Given", "When", "Then"}, p.Keyword)
		assert.NotEmpty(t, p.KeywordJapanese())
	}
}

func TestDurationsInBothLanguages(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"800 ms": 800 * time.Millisecond, "1 millisecond": time.Millisecond, "2 s": 2 * time.Second, "30 seconds": 30 * time.Second,
		"1 minute": time.Minute, "4 minutes": 4 * time.Minute, "5 min": 5 * time.Minute, "1.5 hours": 90 * time.Minute, "2 h": 2 * time.Hour,
		"800ミリ秒": 800 * time.Millisecond, "30秒": 30 * time.Second, "4分": 4 * time.Minute, "2時間": 2 * time.Hour,
	} {
		assert.Equal(t, want, Args{"d": text}.Duration("d"), text)
	}
}

func TestNearestPhraseAndName(t *testing.T) {
	assert.Equal(t, `the release succeeds`, nearest(forms(), "the release succeeds now"))
	assert.Equal(t, `リリースは成功する`, nearest(forms(), "リリースが成功した"))
	assert.Contains(t, nearestName("shop-5xx", []string{"shop-5xx-rate", "memory"}), `did you mean "shop-5xx-rate"?`)
}
