package specs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cucumber/godog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/specs"
)

// A team's own suite: its own step beside Rehearsal's phrases.
func Example() {
	ctx := context.Background()
	rehearsed, err := specs.Open(ctx, specs.Options{File: "../fixtures/rehearsal.yaml", Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = rehearsed.Close() }()

	priceListIsThere := func(ctx context.Context, version string) error {
		scenario, err := specs.Of(ctx)
		if err != nil {
			return err
		}
		answer, err := scenario.Request(ctx, version, "GET", "/products", "")
		if err != nil || answer.Assumed {
			return err
		}
		if !strings.Contains(answer.Body, "price") {
			return fmt.Errorf("%s lists no prices: %d %s", version, answer.Status, answer.Body)
		}
		return nil
	}
	suite := godog.TestSuite{
		ScenarioInitializer: func(sc *godog.ScenarioContext) {
			rehearsed.Register(sc)
			sc.Then(`^the price list of "([^"]*)" is there$`, priceListIsThere)
		},
		Options: &godog.Options{Format: "progress", Output: io.Discard, Strict: true, DefaultContext: ctx, FeatureContents: []godog.Feature{{
			Name: "prices.feature",
			Contents: []byte(`Feature: Prices
  Scenario: Nobody misses a price during a release
    Given a staging copy of the shop, with version "v1" serving everyone
    And customers browse and order at 200 requests per second
    When "v2" is released as the "blue-green" plan says
    Then the release succeeds
    And the price list of "v2" is there
`),
		}}},
	}
	fmt.Println("status", suite.Run())
	// Output: status 0
}

// run runs one feature with a step of its own, and returns what godog printed.
func run(t *testing.T, text string) (status int, said string) {
	t.Helper()
	rehearsed, err := specs.Open(t.Context(), specs.Options{File: "../fixtures/rehearsal.yaml", Seed: 1})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, rehearsed.Close()) })
	var out strings.Builder
	suite := godog.TestSuite{
		ScenarioInitializer: func(sc *godog.ScenarioContext) {
			rehearsed.Register(sc)
			sc.Then(`^the database has (\d+) products$`, func(ctx context.Context, n int) error {
				s, err := specs.Of(ctx)
				if err != nil {
					return err
				}
				rows, err := s.Query(ctx, "database", "SELECT id FROM products")
				if err == nil && len(rows) != n {
					err = fmt.Errorf("%d products", len(rows))
				}
				return err
			})
			sc.Then(`^"([^"]*)" answers (\d+)$`, func(ctx context.Context, version string, status int) error {
				s, err := specs.Of(ctx)
				if err != nil {
					return err
				}
				a, err := s.Request(ctx, version, "GET", "/products", "")
				if err == nil && !a.Assumed && a.Status != status {
					err = fmt.Errorf("it answered %d", a.Status)
				}
				return err
			})
		},
		Options: &godog.Options{Format: "pretty", Output: &out, NoColors: true, Strict: true, DefaultContext: t.Context(),
			FeatureContents: []godog.Feature{{Name: "x.feature", Contents: []byte("Feature: f\n  Scenario: s\n    Given a staging copy of the shop, with version \"v1\" serving everyone\n" +
				"    And customers browse and order at 200 requests per second\n" + text)}}},
	}
	status = suite.Run()
	return status, out.String()
}

func TestASuiteOfATeamsOwnTurnsRedToo(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		status int
		says   string
	}{
		"good":                {"    Then \"v2\" answers 200\n", 0, "1 scenarios (1 passed)"},
		"a broken promise":    {"    And version \"v2\" fails 50% of its requests\n    When \"v2\" is released as the \"canary\" plan says\n    Then the release succeeds\n", 1, "the release was rolled back, not released"},
		"the team's own step": {"    And version \"v2\" fails 100% of its requests\n    Then \"v2\" answers 200\n", 1, "it answered 500"},
		"an invariant":        {"    And version \"v2\" fails 50% of its requests\n    When \"v2\" is released as the \"canary\" plan says\n    Then the release is rolled back\n", 1, "the scenario does not mention it"},
		"a wrong name":        {"    When \"v9\" is released as the \"canary\" plan says\n", 1, `there is no version "v9"`},
		"not on this stage":   {"    Then the database has 20 products\n", 1, "unsupported"},
		"the team's words":    {"    Then the shop window of \"v1\" shows prices\n", 0, "1 scenarios (1 passed)"},
	} {
		t.Run(name, func(t *testing.T) {
			status, said := run(t, c.text)
			assert.Equal(t, c.status, status, said)
			assert.Contains(t, said, c.says)
		})
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	_, err := specs.Open(t.Context(), specs.Options{File: "none.yaml"})
	assert.ErrorContains(t, err, "there is no such file")
	_, err = specs.Open(t.Context(), specs.Options{File: "../fixtures/rehearsal.yaml", Stage: "moon"})
	assert.ErrorContains(t, err, `there is no stage "moon"`)
	_, err = specs.Of(t.Context())
	assert.ErrorContains(t, err, "call Register")
	_, _, err = specs.Scenario{}.Command(t.Context(), "v1")
	assert.ErrorContains(t, err, "at least the program")

	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "fixtures"), os.DirFS("../fixtures")))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "features"), os.DirFS("../features")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fixtures", "phrases.yaml"), []byte("- {phrase: x, means: [nothing of the kind]}"), 0o600))
	_, err = specs.Open(t.Context(), specs.Options{File: filepath.Join(dir, "fixtures", "rehearsal.yaml")})
	assert.ErrorContains(t, err, "phrases.yaml:1: no built-in phrase reads")
	assert.NotErrorIs(t, err, errors.ErrUnsupported)
}
