package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	theirs  = net.HardwareAddr{2, 0, 0, 0, 0, 5}
	ours    = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	outside = netip.MustParseAddr("10.211.0.97")
	here    = &wire{mac: ours, gateway: netip.MustParseAddr("10.211.0.2"), names: netip.MustParsePrefix("10.211.0.96/27")}
)

// frame is an IPv4 packet as it comes in, with a header of 20 bytes of its protocol.
func frame(protocol byte, from, to netip.Addr, port uint16, flags byte) []byte {
	f := append(append(bytes.Clone(ours), theirs...), 8, 0)
	p := make([]byte, 40)
	p[0], p[9] = 0x45, protocol
	copy(p[12:], from.AsSlice())
	copy(p[16:], to.AsSlice())
	binary.BigEndian.PutUint16(p[20:], 40000)
	binary.BigEndian.PutUint16(p[22:], port)
	if protocol == protoTCP {
		binary.BigEndian.PutUint32(p[24:], 7) // sequence number
		p[32], p[33] = 5<<4, flags
	}
	return append(f, p...)
}

func TestWhatOpensACallIsRefusedAndNamed(t *testing.T) {
	f := frame(protoTCP, shop, outside, 443, tcpSYN)
	refusal, c := here.refuse(f)
	require.NotNil(t, c)
	assert.Equal(t, calling{shop, outside, 443, "tcp"}, *c)
	require.Len(t, refusal, etherSize+ipSize+tcpSize)
	assert.Equal(t, []byte(theirs), refusal[:6])
	ip, tcp := refusal[etherSize:etherSize+ipSize], refusal[etherSize+ipSize:]
	assert.Zero(t, checksum(ip), "a right checksum adds up to nothing")
	assert.Equal(t, outside.AsSlice(), ip[12:16])
	assert.Equal(t, shop.AsSlice(), ip[16:20])
	assert.Equal(t, byte(tcpRST|tcpACK), tcp[13])
	assert.Equal(t, uint32(8), binary.BigEndian.Uint32(tcp[8:]), "the SYN is acknowledged")
	assert.Equal(t, uint16(443), binary.BigEndian.Uint16(tcp))
	assert.Equal(t, uint16(40000), binary.BigEndian.Uint16(tcp[2:]))
	pseudo := append(append(bytes.Clone(ip[12:20]), 0, protoTCP, 0, tcpSize), tcp...)
	assert.Zero(t, checksum(pseudo))

	refusal, c = here.refuse(frame(protoUDP, shop, outside, 8125, 0))
	require.NotNil(t, c)
	assert.Equal(t, calling{shop, outside, 8125, "udp"}, *c)
	icmp := refusal[etherSize+ipSize:]
	assert.Equal(t, []byte{3, 3}, icmp[:2])
	assert.Zero(t, checksum(icmp))
	assert.Equal(t, byte(protoICMP), refusal[etherSize+9])
}

func TestTheRestIsLeftAlone(t *testing.T) {
	edit := func(f []byte, at int, b byte) []byte { f[at] = b; return f }
	for name, f := range map[string][]byte{
		"to this container": frame(protoTCP, shop, netip.MustParseAddr("10.211.0.9"), 443, tcpSYN),
		"to a number":       frame(protoTCP, shop, netip.MustParseAddr("192.0.2.1"), 443, tcpSYN),
		"to all":            frame(protoUDP, shop, netip.MustParseAddr("255.255.255.255"), 67, 0),
		"to many":           frame(protoUDP, shop, netip.MustParseAddr("224.0.0.251"), 5353, 0),
		"a reset":           frame(protoTCP, shop, outside, 443, tcpRST),
		"a ping":            frame(protoICMP, shop, outside, 0, 0),
		"to another":        edit(frame(protoTCP, shop, outside, 443, tcpSYN), 5, 8),
		"a later piece":     edit(frame(protoTCP, shop, outside, 443, tcpSYN), etherSize+7, 1),
		"IPv6":              edit(frame(protoTCP, shop, outside, 443, tcpSYN), 12, 0x86),
		"a short header":    edit(frame(protoTCP, shop, outside, 443, tcpSYN), etherSize, 0x41),
	} {
		t.Run(name, func(t *testing.T) {
			refusal, c := here.refuse(f)
			assert.Nil(t, refusal)
			assert.Nil(t, c)
		})
	}
	whole := frame(protoTCP, shop, outside, 443, tcpSYN)
	for n := range len(whole) {
		_, c := here.refuse(whole[:n])
		assert.Nil(t, c, "cut after %d bytes", n)
	}
	refusal, c := here.refuse(frame(protoTCP, shop, outside, 443, tcpACK))
	assert.NotNil(t, refusal, "a connection from before is ended")
	assert.Nil(t, c, "and is no new call")
}

func TestTheAddressesForNamesAreHere(t *testing.T) {
	arp := append(bytes.Repeat([]byte{0xff}, 6), theirs...)
	arp = append(arp, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
	arp = append(append(arp, theirs...), shop.AsSlice()...)
	arp = append(append(arp, 0, 0, 0, 0, 0, 0), outside.AsSlice()...)
	reply, c := here.refuse(arp)
	assert.Nil(t, c)
	require.Len(t, reply, etherSize+28)
	assert.Equal(t, []byte(theirs), reply[:6])
	assert.Equal(t, append(bytes.Clone(ours), outside.AsSlice()...), reply[etherSize+8:etherSize+18])
	assert.Equal(t, append(bytes.Clone(theirs), shop.AsSlice()...), reply[etherSize+18:])

	other := bytes.Clone(arp)
	other[len(other)-1] = 7
	reply, c = here.refuse(other)
	assert.Nil(t, reply, "others answer for themselves")
	assert.Nil(t, c)

	copy(other[len(other)-4:], here.gateway.AsSlice())
	reply, c = here.refuse(other)
	assert.Nil(t, reply, "there is no gateway")
	require.NotNil(t, c, "somebody calls a number outside")
	assert.Equal(t, calling{from: shop}, *c)
}

func FuzzRefuse(f *testing.F) {
	f.Add(frame(protoTCP, shop, outside, 443, tcpSYN))
	f.Add(frame(protoUDP, shop, outside, 53, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		if refusal, _ := here.refuse(data); len(refusal) > 256 {
			t.Fatalf("a refusal of %d bytes", len(refusal))
		}
	})
}
