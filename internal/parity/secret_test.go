package parity_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/parity"
)

// differing is the ledger of one variable with two values.
func differing(t *testing.T, key []byte, name, staging, production string) parity.Difference {
	t.Helper()
	quoted := func(s string) string {
		text, err := json.Marshal(s)
		require.NoError(t, err)
		return string(text)
	}
	mine := strings.Replace(compose, `PORT: "8080"`, `PORT: "8080"`+"\n      "+name+": "+strings.ReplaceAll(quoted(staging), "$", "$$"), 1)
	theirs := strings.Replace(task, `{"name": "PORT", "value": "8080"}`, `{"name": "PORT", "value": "8080"}, {"name": "`+name+`", "value": `+quoted(production)+`}`, 1)
	l := compare(t, mine, read(t, described(theirs)), func(o *parity.Options) { o.Key = key })
	for _, d := range l.Differences {
		if d.Field == "environment."+name {
			return d
		}
	}
	require.Fail(t, "no difference")
	return parity.Difference{}
}

func TestASecretIsKnownByItsNameOrItsValue(t *testing.T) {
	const shown = `^secret:[0-9a-f]{8}$`
	for _, c := range []struct{ name, value string }{
		{"DB_PASSWORD", "abc"}, {"STRIPE_KEY", "abc"}, {"API_TOKEN", "1"}, {"DATABASE_DSN", "x"}, {"SLACK_WEBHOOK", "x"}, {"BASIC_AUTH", "x"},
		{"WHERE", "https://user:hunter2@host/"}, {"WHERE", "https://token@host/"}, {"WHERE", "redis://:hunter2@cache"},
		{"WHERE", "jdbc:mysql://host/db?user=x&password=hunter2"}, {"WHERE", "Server=x;Pwd=hunter2"}, {"WHERE", "-----BEGIN PRIVATE KEY-----\nx"},
		{"WHERE", "AKIAIOSFODNN7EXAMPLE"}, {"WHERE", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x"}, {"WHERE", "0123456789abcdef0123456789abcdef"},
		{"WHERE", "https://hooks.example/services/T0123/B9Xa82kQ7cNq55Lw1zT3"}, {"CHECK", "mysqladmin ping -uroot -phunter2"}, {"CHECK", "curl -u user:hunter2 http://x"},
		{"CHECK", "curl -H 'Authorization: Basic abc' http://x"},
	} {
		d := differing(t, key, c.name, c.value, "other")
		assert.Regexp(t, shown, d.Staging, "%s=%s", c.name, c.value)
	}
	for _, c := range []struct{ name, value string }{
		{"PORT2", "8080"}, {"LEVEL", "debug"}, {"WHERE", "http://api.internal:8080/v1?page=2"}, {"MONKEY_BARS", "3"}, {"REGION", "ap-northeast-1"}, {"CLASS", "com.example.shop.OrderServiceImplementation"},
	} {
		assert.Equal(t, c.value, differing(t, key, c.name, c.value, "other").Staging, c.name)
	}
	assert.Regexp(t, shown, differing(t, key, "PIN_TOKEN", "a", "b").Production, "the name hides both sides")
}

func TestAFingerprintTellsNothingWithoutTheKey(t *testing.T) {
	d := differing(t, key, "DB_PASSWORD", "1234", "1235")
	assert.NotEqual(t, d.Staging, d.Production)
	again := differing(t, []byte("another key, another run, 32 byte"), "DB_PASSWORD", "1234", "1235")
	assert.NotEqual(t, d.Staging, again.Staging, "of two runs nothing can be compared")
	assert.Equal(t, "secret", differing(t, nil, "DB_PASSWORD", "1234", "1235").Staging, "without a key there is no fingerprint")
	assert.Equal(t, "secret", differing(t, []byte("short"), "DB_PASSWORD", "1234", "1235").Staging)
	assert.Equal(t, parity.Open, d.Standing)
}

// What a Secret of Kubernetes holds is one on the other side too, whatever its name.
func TestWhatOneSideCallsASecretIsOneOnBoth(t *testing.T) {
	production := strings.Replace(deployment, "          - {name: PORT, value: \"8080\"}", `          - {name: PORT, value: "8080"}
          - {name: GREETING, valueFrom: {secretKeyRef: {name: shop, key: greeting}}}`, 1) + `
---
apiVersion: v1
kind: Secret
metadata: {name: shop}
stringData: {greeting: hello-production}
`
	for _, mine := range []string{"hello-production", "hello-staging"} {
		l := compare(t, strings.Replace(compose, `PORT: "8080"`, `PORT: "8080"`+"\n      GREETING: "+mine+"\n      COPY: see "+mine, 1), read(t, described(production)), nil)
		text, err := json.Marshal(l)
		require.NoError(t, err)
		assert.NotContains(t, string(text), "hello-")
		if mine == "hello-production" {
			assert.Equal(t, []string{"shop environment.GREETING: the staging copy holds production's own secret: give it one of its own"}, l.Warnings)
		} else {
			assert.Empty(t, l.Warnings)
		}
	}
}

// A dependency of the staging copy has credentials of its own; of the released service
// somebody must decide.
func TestOtherCredentialsOfADependencyAreHarmless(t *testing.T) {
	production := `services: {shop: {image: "shop:v1"}, database: {image: "postgres:17", environment: {POSTGRES_PASSWORD: production-word}}}`
	l := compare(t, compose, read(t, parity.Sources{Description: []parity.File{{Name: t.TempDir() + "/production.yaml", Data: []byte(production)}}}), nil)
	for _, d := range l.Differences {
		if d.What() == "database environment.POSTGRES_PASSWORD" {
			assert.Equal(t, parity.Harmless, d.Standing)
			return
		}
	}
	assert.Fail(t, "no difference")
}

func TestAPasswordThatIsANameHidesNoNames(t *testing.T) {
	mine := strings.ReplaceAll(compose, "staging-word", "postgres")
	s := parity.Sources{Description: []parity.File{{Name: t.TempDir() + "/production.yaml", Data: []byte(strings.ReplaceAll(strings.ReplaceAll(compose, "staging-word", "production-word"), "postgres:17", "postgres:16"))}}}
	got := list(compare(t, mine, read(t, s), nil))
	assert.Contains(t, got, "open database image: staging postgres:17, production postgres:16")
	for _, line := range got {
		if strings.Contains(line, "PASSWORD") || strings.Contains(line, "URL") {
			assert.Regexp(t, `staging secret:[0-9a-f]{8}, production secret:[0-9a-f]{8}$`, line)
		}
	}
}
