package parity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	// secretName is what a variable, an option or a parameter is called that holds a
	// secret. It is rather too wide: a fingerprint that was not needed does no harm.
	secretName = regexp.MustCompile(`(?i)passw|passphrase|pwd|secret|token|credential|signature|private|_auth\b|^auth\b|_key(_|$)|-key(-|$)|^key$|apikey|accesskey|dsn|connection_?string|salt|webhook|cookie|cert`)
	// secretValue is what a value looks like that holds a secret, whatever its name:
	// user:password@ in an address, password=..., a PEM block, a key of AWS, a JSON web
	// token, a password on the command line of a database's client, a long word.
	secretValue = regexp.MustCompile(`(?i)://[^/\s@]*@|\b[\w-]*(?:passw(?:or)?d|passwd|pwd|secret|token|api_?-?key|access_?-?key|sig)["']?\s*[=:]\s*["']?[^\s"']|--?(?:passw(?:or)?d|token|secret|api-?key)\b|authorization\s*:|bearer\s|(?:mysql|mariadb)\S*\s.*-p\S|redis-cli\s.*-a\s|\s(?:-u|--user)[ =]?\S+:\S|-----BEGIN|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\beyJ[\w-]{10,}\.|^[A-Za-z0-9+/_=-]{32,}$`)
	// secretWord is a word that may be of random letters, in an address for example.
	secretWord = regexp.MustCompile(`[A-Za-z0-9_+=-]{20,}`)
)

// isSecret says that a value must not be shown.
func isSecret(name, value string) bool {
	return secretName.MatchString(name) || secretValue.MatchString(value) || slices.ContainsFunc(secretWord.FindAllString(value, -1), random)
}

// random says that a word has digits among its letters, as people's words have not.
func random(word string) bool {
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	digits := strings.Count(strings.Map(func(r rune) rune {
		if isDigit(r) {
			return '0'
		}
		return r
	}, word), "0")
	return digits >= 4 && digits < len(word)
}

// A veil shows values to people and files, and secrets only as fingerprints.
//
// A fingerprint is the first 8 hex digits of an HMAC-SHA256 under a key that is drawn
// for each run and kept nowhere. Within one report equal secrets have equal
// fingerprints; whoever has the report and not the key cannot try guesses, however
// weak the secret, and fingerprints of two reports tell nothing of each other.
// Comparing is done on the values themselves.
type veil struct {
	key    []byte
	secret []string // values that must not be part of anything shown, the long ones
}

// keyLeast is how many bytes a key has at least.
const keyLeast = 16

// secretLeast is the least length of a secret that is looked for inside other values.
// A shorter one, such as the "shop" of a sample, is part of ordinary words.
const secretLeast = 6

// newVeil knows the secrets of all services: also what is one on the other side alone.
func newVeil(key []byte, copies ...*Copy) *veil {
	v := &veil{}
	if len(key) >= keyLeast {
		v.key = key
	}
	secret := map[string]bool{} // by service and field
	for _, c := range copies {
		for name, s := range c.Services {
			for field, f := range s.Facts {
				if f.Secret {
					secret[name+" "+field] = true
				}
			}
		}
	}
	for _, c := range copies {
		for name, s := range c.Services {
			for field, f := range s.Facts {
				if !secret[name+" "+field] {
					continue
				}
				v.secret = append(v.secret, f.Value)
				if u, err := url.Parse(f.Value); err == nil && u.User != nil {
					password, _ := u.User.Password()
					v.secret = append(v.secret, password)
				}
			}
		}
	}
	known := names(copies)
	v.secret = slices.DeleteFunc(v.secret, func(s string) bool { return len(s) < secretLeast || known[s] })
	return v
}

// names are the words that services and images are called. A password that is one of
// them, such as "postgres", is hidden where it is the value and not in every name.
func names(copies []*Copy) map[string]bool {
	all := map[string]bool{}
	for _, c := range copies {
		for name, s := range c.Services {
			all[name] = true
			for _, word := range strings.FieldsFunc(s.Facts["image"].Value+" "+s.Facts["engine"].Value, func(r rune) bool { return strings.ContainsRune("/:@ ", r) }) {
				all[word] = true
			}
		}
	}
	return all
}

// show is how a fact may be shown.
func (v *veil) show(field string, f Fact, there bool) string {
	switch {
	case !there:
		return ""
	case f.Stored:
		return "stored secret"
	case f.Unknown != "" && f.Value == "":
		return "?"
	case f.Secret || v.holds(f.Value) || field != "image" && isSecret("", f.Value): // a digest looks like a secret
		return v.fingerprint(f.Value)
	}
	return shorten(f.Value)
}

// holds says that a secret is part of text.
func (v *veil) holds(text string) bool {
	return slices.ContainsFunc(v.secret, func(s string) bool { return strings.Contains(text, s) })
}

func (v *veil) fingerprint(value string) string {
	if v.key == nil {
		return "secret"
	}
	mac := hmac.New(sha256.New, v.key)
	mac.Write([]byte(value))
	return "secret:" + hex.EncodeToString(mac.Sum(nil))[:8]
}

// most is how many bytes of a value are shown.
const most = 200

func shorten(value string) string {
	value = strings.ReplaceAll(value, "\n", `\n`)
	if len(value) <= most {
		return value
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(value[:most], ""), len(value))
}
