package containers

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"rehearsal/internal/stage"
)

const (
	keyPlaceholder          = "{key}"
	acknowledgedPlaceholder = "{acknowledged}"
)

// trafficClaim is the header by which a request that leaves is known; it does not
// leave with it.
const trafficClaim = "X-Rehearsal-Claim"

// A trafficRequest is one request of the users.
type trafficRequest struct {
	kind     *stage.Request
	key      string
	intended time.Time     // when it should have been sent, wall time
	at       time.Duration // when it was sent, release time
	weight   float64       // how many requests it stands for
	version  string        // that the balancer chose, "" when it has not told
	late     time.Duration // how long after intended it was sent
	cancel   context.CancelFunc
}

// expects says whether an answer with this status is right; 0 is no answer.
func (r *trafficRequest) expects(status int) bool {
	if status == 0 || status >= 500 {
		return r.kind.Expect != 0 && status == r.kind.Expect
	}
	return r.kind.Expect == 0 || status == r.kind.Expect
}

// A trafficMix draws what the users ask next. The same seed draws the same requests
// with the same keys in the same order; which earlier write a request is about also
// depends on what has been acknowledged by then.
type trafficMix struct {
	url   string
	kinds []stage.Request

	mu           sync.Mutex
	random       *rand.Rand
	drawn        map[string]*trafficRequest // not sent yet, by claim
	count        uint64
	acknowledged []string
}

func newTrafficMix(kinds []stage.Request, url string, seed uint64) (*trafficMix, error) {
	m := &trafficMix{
		url: url, kinds: slices.Clone(kinds),
		random: rand.New(rand.NewPCG(seed, 0x7261666669636b73)),
		drawn:  map[string]*trafficRequest{},
	}
	free := 0.0
	for i := range m.kinds {
		k := &m.kinds[i]
		if k.Method == "" {
			k.Method = http.MethodGet
		}
		target := m.fill(k, "key", "acknowledged")
		if _, err := target.Request(); err != nil {
			return nil, fmt.Errorf("request %q of the traffic: %w", k.Name, err)
		}
		if !needsAcknowledged(k) {
			free += max(k.Weight, 0)
		}
	}
	if free <= 0 {
		return nil, fmt.Errorf("the traffic has no request that can come first: each has no weight or needs %s, an earlier write", acknowledgedPlaceholder)
	}
	return m, nil
}

// target is vegeta's Targeter.
func (m *trafficMix) target(t *vegeta.Target) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := &trafficRequest{kind: m.draw(), key: m.newKey()}
	earlier := ""
	if len(m.acknowledged) > 0 {
		earlier = m.acknowledged[m.random.IntN(len(m.acknowledged))]
	}
	*t = m.fill(r.kind, r.key, earlier)
	claim := strconv.FormatUint(m.count, 10)
	m.count++
	t.Header.Set(trafficClaim, claim)
	m.drawn[claim] = r
	return nil
}

// claim returns the request that was drawn under this claim, once.
func (m *trafficMix) claim(claim string) *trafficRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.drawn[claim]
	delete(m.drawn, claim)
	return r
}

// acknowledge notes that the write with this key was acknowledged.
func (m *trafficMix) acknowledge(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acknowledged = append(m.acknowledged, key)
}

func (m *trafficMix) acknowledgedKeys() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.acknowledged)
}

// draw picks a kind by weight, among those that can be asked now: as long as no
// write is acknowledged, nobody asks for one.
func (m *trafficMix) draw() *stage.Request {
	can := func(k *stage.Request) bool {
		return k.Weight > 0 && (len(m.acknowledged) > 0 || !needsAcknowledged(k))
	}
	sum := 0.0
	for i := range m.kinds {
		if can(&m.kinds[i]) {
			sum += m.kinds[i].Weight
		}
	}
	at := m.random.Float64() * sum
	var last *stage.Request
	for i := range m.kinds {
		if k := &m.kinds[i]; can(k) {
			last = k
			if at -= k.Weight; at < 0 {
				break
			}
		}
	}
	return last
}

// newKey makes a key in the form of a random UUID, which services take for an
// idempotency key.
func (m *trafficMix) newKey() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], m.random.Uint64())
	binary.BigEndian.PutUint64(b[8:], m.random.Uint64())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (m *trafficMix) fill(k *stage.Request, key, acknowledged string) vegeta.Target {
	fill := strings.NewReplacer(keyPlaceholder, key, acknowledgedPlaceholder, acknowledged)
	t := vegeta.Target{Method: k.Method, URL: m.url + fill.Replace(k.Path), Header: http.Header{}}
	for name, value := range k.Headers {
		t.Header.Set(name, fill.Replace(value))
	}
	if k.Body != "" {
		t.Body = []byte(fill.Replace(k.Body))
	}
	return t
}

// needsAcknowledged says whether the request is about an earlier write.
func needsAcknowledged(k *stage.Request) bool {
	if strings.Contains(k.Path+k.Body, acknowledgedPlaceholder) {
		return true
	}
	for _, value := range k.Headers {
		if strings.Contains(value, acknowledgedPlaceholder) {
			return true
		}
	}
	return false
}
