package parity

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"
)

// databaseTells is what an RDS instance speaks of.
const databaseTells = "engine version parameter"

const wantDatabase = "the output of `aws rds describe-db-instances`, and of `aws rds describe-db-parameters` in the same file or another"

// databaseOutput is the part of both outputs that a staging copy can be like.
type databaseOutput struct {
	DBInstances []struct {
		DBInstanceIdentifier string
		Engine               string
		EngineVersion        string
	}
	Parameters []struct {
		ParameterName  string
		ParameterValue *string
		Source         string // user, system, engine-default
	}
}

// database reads what RDS says of one database. Only parameters that somebody set are
// production's own; the others follow from the engine and the size of the machine.
func database(files []File) (*Service, error) {
	s := newService(databaseTells)
	s.Tells = []string{}
	first := ""
	for _, f := range files {
		docs, err := documents(f, wantDatabase)
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			var out databaseOutput
			if err := json.Unmarshal(doc, &out); err != nil {
				return nil, mistake(f, doc, err, wantDatabase)
			}
			if out.DBInstances == nil && out.Parameters == nil {
				return nil, mistake(f, doc, fmt.Errorf("there are neither \"DBInstances\" nor \"Parameters\" in it"), wantDatabase)
			}
			for _, i := range out.DBInstances {
				if first != "" && first != i.Engine+" "+i.EngineVersion {
					return nil, mistake(f, doc, fmt.Errorf("a second instance, %q, runs another version: name one with --db-instance-identifier", i.DBInstanceIdentifier), wantDatabase)
				}
				first = i.Engine + " " + i.EngineVersion
				s.Tells = append(s.Tells, "engine", "version")
				s.set("engine", engineName(i.Engine))
				s.set("version", i.EngineVersion)
			}
			if out.Parameters != nil {
				s.Tells = append(s.Tells, "parameter")
			}
			for _, p := range out.Parameters {
				if p.Source != "user" && p.Source != "" || p.ParameterValue == nil {
					continue
				}
				field := "parameter." + strings.ToLower(p.ParameterName)
				if strings.Contains(*p.ParameterValue, "{") {
					s.Facts[field] = Fact{Value: *p.ParameterValue, Unknown: "RDS works it out from the size of the machine"}
					continue
				}
				s.Facts[field] = Fact{Value: setting(*p.ParameterValue), Secret: isSecret(p.ParameterName, *p.ParameterValue)}
			}
		}
	}
	return s, nil
}

// engines are the names that databases have in RDS and among images.
var engines = map[string]string{"postgres": "postgres", "postgresql": "postgres", "postgis": "postgres", "mysql": "mysql", "mariadb": "mariadb", "redis": "redis", "valkey": "valkey"}

func engineName(name string) string {
	if n, ok := engines[name]; ok {
		return n
	}
	return name // such as aurora-postgresql, which is not postgres
}

// engineFacts are what a service of the staging copy says of the database that it runs:
// the image's name and tag, and the settings on its command line.
func engineFacts(s *Service, c types.ServiceConfig) {
	ref, err := reference.ParseDockerRef(c.Image)
	if err != nil {
		return
	}
	engine, ok := engines[last(ref)]
	if !ok {
		return
	}
	s.Tells = append(s.Tells, "engine", "version", "parameter")
	s.set("engine", engine)
	version, _, _ := strings.Cut(tag(ref), "-") // 17.4-alpine
	if version = strings.TrimPrefix(version, "v"); version == "" || version[0] < '0' || version[0] > '9' {
		s.Facts["version"] = Fact{Unknown: fmt.Sprintf("the image %s does not say which version it is: name it in the tag", c.Image)}
	} else {
		s.set("version", version)
	}
	for i := 0; i < len(c.Command); i++ {
		text := c.Command[i]
		switch {
		case text == "-c" && i+1 < len(c.Command):
			i++
			text = c.Command[i]
		case strings.HasPrefix(text, "--"):
			text = text[2:]
		case strings.HasPrefix(text, "-c"):
			text = text[2:]
		default:
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			continue
		}
		name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
		s.Facts["parameter."+name] = Fact{Value: setting(value), Secret: isSecret(name, value)}
	}
}

// setting writes what means the same in the same way.
func setting(v string) string {
	switch strings.ToLower(v) {
	case "1", "on", "true", "yes":
		return "1"
	case "0", "off", "false", "no":
		return "0"
	}
	return v
}
