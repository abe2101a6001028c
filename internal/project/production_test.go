package project_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMistakesInWhatDescribesProductionNameItsFileAndLine(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       string
	}{
		"no JSON":             {"production.json", "{\n\n  oops", "production.json:3: this is not JSON"},
		"another output":      {"production.json", `{"clusters": []}`, "production.json:1: want production's description"},
		"empty":               {"production.json", "", "production.json:1: the file is empty"},
		"a container unknown": {"production.json", `{"taskDefinition": {"containerDefinitions": [{"name": "till"}]}}`, `production.json: production.containers: there is no container "shop": it has ["till"]`},
		"database":            {"production-database.json", "{}", `production-database.json:1: there are neither "DBInstances" nor "Parameters" in it`},
		"target groups":       {"production-groups.json", "{\"TargetGroups\": [\n{\"HealthyThresholdCount\": \"2\"}]}", "production-groups.json:2: TargetGroups.HealthyThresholdCount must not be a JSON string"},
		"waivers":             {"waivers.yaml", "- what: shop cpu\n  reason: so\n  owner: us\n  expires: soon\n", `waivers.yaml:4: expires: "soon" is not a day: write it as 2027-12-31`},
	} {
		t.Run(name, func(t *testing.T) {
			p := copied(t)
			p.write(c.file, c.text)
			problems := p.problems(t.Context())
			assert.Len(t, problems, 1)
			assert.Contains(t, problems[0], c.want)
		})
	}
}

func TestWaiversNeedADescriptionOfProduction(t *testing.T) {
	p := copied(t)
	p.write("rehearsal.yaml", `
service: shop
alarms: alarms.json
plan: release.yaml
versions: {v1: {image: "shop:v1"}}
health: {path: /ready, port: 8080}
traffic: {rate: 1, requests: [{name: browse, weight: 1, path: /products}]}
waivers: waivers.yaml
`)
	assert.Equal(t, []string{"rehearsal.yaml:8: waivers are for differences from production: name production too, with its description"}, p.problems(t.Context()))
}
