package main

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func recorded() (*border, *bytes.Buffer) {
	out := &bytes.Buffer{}
	return newBorder(out, netip.MustParsePrefix("10.211.0.96/27")), out
}

// query is a DNS query as a resolver sends it.
func query(name string, kind uint16) []byte {
	q := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	q = append(q, 0)
	return append(binary.BigEndian.AppendUint16(q, kind), 0, 1)
}

var shop = netip.MustParseAddr("10.211.0.5")

func TestNamesOutsideLeadHere(t *testing.T) {
	for name, c := range map[string]struct {
		query   []byte
		code    byte
		answers uint16
	}{
		"an address":          {query("api.Example.com", typeA), 0, 1},
		"an IPv6 address":     {query("api.example.com", 28), 0, 0},
		"a service not there": {query("databose", typeA), codeNoName, 0},
		"a name of a number":  {query("7.0.211.10.in-addr.arpa", 12), codeNoName, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := recorded()
			a := b.answer(c.query, shop)
			require.NotNil(t, a)
			assert.Equal(t, c.query[:2], a[:2], "the query's id")
			assert.Equal(t, c.code, a[3]&15)
			assert.Equal(t, c.answers, binary.BigEndian.Uint16(a[6:]))
			assert.Equal(t, c.query[12:], a[12:len(c.query)], "the question again")
			if c.answers == 1 {
				assert.Equal(t, []byte{10, 211, 0, 96}, a[len(a)-4:])
			}
		})
	}
}

func TestNonsenseIsNotAnswered(t *testing.T) {
	b, out := recorded()
	good := query("api.example.com", typeA)
	for n := range len(good) {
		assert.Nil(t, b.answer(good[:n], shop), "cut after %d bytes", n)
	}
	response := bytes.Clone(good)
	response[2] |= 0x80
	assert.Nil(t, b.answer(response, shop))
	compressed := bytes.Clone(good)
	compressed[12] = 0xc0
	assert.Nil(t, b.answer(compressed, shop))
	assert.Nil(t, b.answer(query("evil\n.example.com", typeA), shop))
	b.expire(time.Now().Add(time.Hour))
	assert.Empty(t, out.String())
}

func TestAnAttemptIsSaidOnceWithItsName(t *testing.T) {
	b, out := recorded()
	now := time.Now()
	api, ok := b.lookUp(shop, "api.example.com", now)
	require.True(t, ok)
	stats, _ := b.lookUp(shop, "stats.example.com", now)
	_, _ = b.lookUp(shop, "never.example.com", now)
	again, _ := b.lookUp(netip.MustParseAddr("10.211.0.6"), "api.example.com", now)
	assert.Equal(t, api, again, "a name has one address")
	b.call(shop, stats, 8125, "udp") // whoever was looked up last: the address tells
	b.call(shop, api, 443, "tcp")
	b.call(shop, api, 443, "tcp") // tried again
	b.call(shop, netip.Addr{}, 0, "")
	b.expire(now)
	assert.NotContains(t, out.String(), `never`, "it may still call")
	b.expire(now.Add(lookedUp))
	b.expire(now.Add(2 * lookedUp))
	assert.Equal(t, `{"from":"10.211.0.5","host":"stats.example.com","port":8125,"protocol":"udp"}
{"from":"10.211.0.5","host":"api.example.com","port":443,"protocol":"tcp"}
{"from":"10.211.0.5","host":"","port":0}
{"from":"10.211.0.6","host":"api.example.com","port":0}
{"from":"10.211.0.5","host":"never.example.com","port":0}
`, out.String())
}

func TestMemoryIsBounded(t *testing.T) {
	b, _ := recorded()
	for i := range 2 * mostNames {
		_, ok := b.lookUp(shop, strconv.Itoa(i)+".example.com", time.Now())
		assert.Equal(t, i < 31, ok, "as many as the network has addresses")
	}
	first, _ := b.addressOf(0)
	for port := range 2 * mostSaid {
		b.call(shop, first, uint16(port), "tcp")
	}
	assert.LessOrEqual(t, len(b.names), mostNames)
	assert.LessOrEqual(t, len(b.said), mostSaid)
	assert.LessOrEqual(t, len(b.asked), mostSaid)
}

func FuzzAnswer(f *testing.F) {
	f.Add(query("api.example.com", typeA))
	f.Add(query("a", 28))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, q []byte) {
		b, _ := recorded()
		if a := b.answer(q, shop); a != nil && len(a) > len(q)+16 {
			t.Fatalf("an answer of %d bytes to a question of %d", len(a), len(q))
		}
	})
}
