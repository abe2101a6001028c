package steps

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheNearestPhraseIsTheFewestWordsAway(t *testing.T) {
	v, err := NewVocabulary(shop(t))
	require.NoError(t, err)
	for text, want := range map[string]string{
		`the relase succeeds`:                                              `the release succeeds`,
		`the release is rolled back due to an alarm`:                       `the release is rolled back because of an alarm`,
		`the alarm "a-b-c-d-e-f" goes of in 12 hours of exposure`:          `the alarm {alarm} goes off within {within:duration} of exposure`,
		`version "a release that is rolled back" fails 7% of all requests`: `version {version} fails {percent} of its requests`,
		`the shop window of "v2" show price`:                               `the shop window of {version} shows prices`,
		`the moon is full`:                                                 ``,
		`リリースが成功した`:                                                        ``,
	} {
		assert.Equal(t, want, v.Nearest(text, "en"), text)
	}
	for text, want := range map[string]string{
		`リリースが成功した`:               `リリースは成功する`,
		`利用者が触れてから10分で警報 "x" が鳴る`: `利用者が触れてから{within:duration}以内に警報 {alarm} が鳴る`,
		`月が満ちている`:                 ``,
	} {
		assert.Equal(t, want, v.Nearest(text, "ja"), text)
	}
	assert.Equal(t, `the release succeeds`, v.Nearest("the release suceeds", "fr"), "a language without phrases has all of them")
}
