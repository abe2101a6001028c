package containers

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"rehearsal/internal/stage"
)

// A redactor takes secrets out of what people and files get to see.
type redactor struct{ replace *strings.Replacer }

const redacted = "[redacted]"

var (
	// secretName is what a variable is called that holds a secret.
	secretName = regexp.MustCompile(`(?i)passw|pwd|secret|token|credential|api_?key|private_?key|access_?key`)
	// secretInURL is user:password@ in an address.
	secretInURL = regexp.MustCompile(`(://[^\s/:@"']*):[^\s/@"']+@`)
	// secretNamed is password=… in a line.
	secretNamed = regexp.MustCompile(`(?i)\b(passw(?:or)?d|pwd|secret|token)(["']?\s*[=:]\s*["']?)[^\s"',;&]+`)
)

// secretLeast is the least length of a value that is looked for anywhere. A shorter
// one, such as the "shop" of a sample, would take ordinary words with it; it is found
// in addresses and after its name.
const secretLeast = 8

// Redactor takes the secrets of all services and versions out of a text.
func Redactor(p *types.Project, setup *stage.Setup) func(string) string {
	return newRedactor(p, setup).redact
}

// newRedactor knows the secrets in the variables of all services and versions.
func newRedactor(p *types.Project, setup *stage.Setup) *redactor {
	var secrets []string
	learn := func(name, value string) {
		if secretName.MatchString(name) {
			secrets = append(secrets, value)
		}
		if u, err := url.Parse(value); err == nil && u.User != nil {
			password, _ := u.User.Password()
			secrets = append(secrets, password, u.User.String())
		}
	}
	address := func(environment map[string]string) { // also in forms that are no URL
		for _, d := range setup.Dependencies {
			if a, _, err := AddressOf(d, environment); err == nil {
				secrets = append(secrets, a.Password)
			}
		}
	}
	if p != nil {
		address(environmentOf(p.Services[setup.Service]))
		for _, s := range p.Services {
			for name, value := range environmentOf(s) {
				learn(name, value)
			}
		}
	}
	for _, v := range setup.Versions {
		for name, value := range v.Environment {
			learn(name, value)
		}
		environment := map[string]string{}
		if p != nil {
			environment = environmentOf(p.Services[setup.Service])
		}
		maps.Copy(environment, v.Environment)
		address(environment)
	}
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return len(s) < secretLeast })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range slices.Compact(secrets) {
		pairs = append(pairs, s, redacted)
	}
	return &redactor{strings.NewReplacer(pairs...)}
}

func (r *redactor) redact(text string) string {
	text = r.replace.Replace(text)
	text = secretInURL.ReplaceAllString(text, "$1:"+redacted+"@")
	return secretNamed.ReplaceAllString(text, "$1$2"+redacted)
}
