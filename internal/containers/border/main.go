// Command border stands where a staging copy ends. It answers for every name that is
// not of the copy with an address of the copy's network that nobody has, takes what is
// sent there, refuses it, and says on its output who called what. Nothing is ever
// passed on. It needs nothing but the standard library, the capability NET_RAW (which
// containers have) and Linux.
//
// Each line of its output is an attempt as JSON, the first of its kind only:
//
//	{"from":"10.211.0.7","host":"api.example.com","port":443,"protocol":"tcp"}
//
// A name that was looked up and not called within a while has port 0. Who calls an
// address outside by its number asks the network where the gateway is, which nobody
// answers: of that the number is not known, and the host is empty.
// Environment: BORDER_NAMES, the addresses for names ("10.211.0.96/27"), and
// BORDER_GATEWAY, the address that containers have as their gateway.
package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// lookedUp is how long a name may be looked up without being called until that is
// said by itself.
const lookedUp = time.Second

func run(ctx context.Context) error {
	gateway, err := netip.ParseAddr(os.Getenv("BORDER_GATEWAY"))
	if err != nil {
		return fmt.Errorf("BORDER_GATEWAY: %w", err)
	}
	names, err := netip.ParsePrefix(os.Getenv("BORDER_NAMES"))
	if err != nil {
		return fmt.Errorf("BORDER_NAMES: %w", err)
	}
	w, err := openWire(gateway, names)
	if err != nil {
		return err
	}
	questions, err := net.ListenPacket("udp4", ":53")
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp4", ":53")
	if err != nil {
		return err
	}
	b := newBorder(os.Stdout, names)
	go b.serveDatagrams(questions)
	go b.serveStreams(streams)
	go func() { log.Fatal(w.serve(b)) }()
	fmt.Fprintln(os.Stderr, "watching")
	tick := time.NewTicker(lookedUp / 4)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			b.expire(now)
		case <-ctx.Done():
			return nil
		}
	}
}

// An attempt is a call to something outside.
type attempt struct {
	From     netip.Addr `json:"from"`
	Host     string     `json:"host"`
	Port     uint16     `json:"port"` // 0: it was only looked up
	Protocol string     `json:"protocol,omitempty"`
}

// A border knows what was looked up and what was said.
type border struct {
	out     io.Writer
	nowhere netip.Prefix // where names outside lead: each to an address of its own

	mu    sync.Mutex
	names []string                // by the last parts of their addresses
	at    map[string]int          // of names
	asked map[question]*time.Time // when; nil once that is said, or the name was called
	said  map[attempt]bool
}

// A question is a name, by its place in names, that a container looked up.
type question struct {
	from netip.Addr
	name int
}

func newBorder(out io.Writer, nowhere netip.Prefix) *border {
	return &border{out: out, nowhere: nowhere, at: map[string]int{}, asked: map[question]*time.Time{}, said: map[attempt]bool{}}
}

// Bounds of memory: beyond so many names, or kinds of calls, none is added.
const mostNames, mostSaid = 4096, 4096

// addressOf is the address for the n-th name. There is none where all are taken; the
// last of the network is everybody's.
func (b *border) addressOf(n int) (netip.Addr, bool) {
	a := b.nowhere.Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+uint32(n))
	address := netip.AddrFrom4(a)
	return address, b.nowhere.Contains(address) && b.nowhere.Contains(address.Next())
}

// placeOf is which name leads to an address.
func (b *border) placeOf(a netip.Addr) (n int, ok bool) {
	if !a.Is4() || !b.nowhere.Contains(a) {
		return 0, false
	}
	four, base := a.As4(), b.nowhere.Addr().As4()
	n = int(binary.BigEndian.Uint32(four[:]) - binary.BigEndian.Uint32(base[:]))
	return n, n < len(b.names)
}

func (b *border) say(a attempt) {
	if b.said[a] || len(b.said) >= mostSaid {
		return
	}
	b.said[a] = true
	line, err := json.Marshal(a)
	if err == nil {
		_, err = b.out.Write(append(line, '\n'))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// lookUp notes that a name was asked for, and says which address it has here, if any.
func (b *border) lookUp(from netip.Addr, host string, now time.Time) (netip.Addr, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, known := b.at[host]
	if !known {
		if n = len(b.names); n >= mostNames {
			return netip.Addr{}, false
		}
		b.names, b.at[host] = append(b.names, host), n
	}
	q := question{from, n}
	if _, before := b.asked[q]; !before && len(b.asked) < mostSaid {
		b.asked[q] = &now
	}
	return b.addressOf(n)
}

// call notes a packet that opens a connection, or a datagram; or, where to is none of
// the addresses for names, that somebody would have sent one.
func (b *border) call(from, to netip.Addr, port uint16, protocol string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, ok := b.placeOf(to)
	if !ok {
		b.say(attempt{From: from})
		return
	}
	b.asked[question{from, n}] = nil
	b.say(attempt{From: from, Host: b.names[n], Port: port, Protocol: protocol})
}

// expire says what was looked up and not called.
func (b *border) expire(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var due []question
	for q, at := range b.asked {
		if at != nil && now.Sub(*at) >= lookedUp {
			due = append(due, q)
		}
	}
	slices.SortFunc(due, func(a, b question) int { return cmp.Or(a.name-b.name, a.from.Compare(b.from)) })
	for _, q := range due {
		b.asked[q] = nil
		b.say(attempt{From: q.from, Host: b.names[q.name]})
	}
}

func (b *border) serveDatagrams(conn net.PacketConn) {
	buffer := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			log.Fatal(err)
		}
		if answer := b.answer(buffer[:n], peer(from)); answer != nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

func (b *border) serveStreams(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			var size [2]byte
			for {
				if _, err := io.ReadFull(conn, size[:]); err != nil {
					return
				}
				message := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(conn, message); err != nil {
					return
				}
				answer := b.answer(message, peer(conn.RemoteAddr()))
				if answer == nil {
					return
				}
				binary.BigEndian.PutUint16(size[:], uint16(len(answer)))
				if _, err := conn.Write(append(size[:], answer...)); err != nil {
					return
				}
			}
		}()
	}
}

func peer(a net.Addr) netip.Addr {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}

// DNS, as in RFC 1035, section 4.
const (
	headerSize   = 12
	typeA        = 1
	classIN      = 1
	codeNoName   = 3
	codeNoHelp   = 4 // not implemented
	flagResponse = 1 << 15
	flagAuthor   = 1 << 10 // authoritative
	flagDesired  = 1 << 8  // recursion desired: repeated
	flagRecursed = 1 << 7  // recursion available
)

// answer answers a query: with an address that nobody has where an IPv4 address of
// a name with a dot is asked for, with nothing for its other records, and that there
// is no such name for names without a dot, which are services that are not there,
// and for the names of addresses. Nil where the query makes no sense.
func (b *border) answer(query []byte, from netip.Addr) []byte {
	if len(query) < headerSize || binary.BigEndian.Uint16(query[2:])&flagResponse != 0 || binary.BigEndian.Uint16(query[4:]) != 1 {
		return nil
	}
	name, end, ok := readName(query, headerSize)
	if !ok || len(query) < end+4 {
		return nil
	}
	kind, class := binary.BigEndian.Uint16(query[end:]), binary.BigEndian.Uint16(query[end+2:])
	asked := binary.BigEndian.Uint16(query[2:])
	flags, answers := uint16(flagResponse|flagAuthor|flagRecursed)|asked&flagDesired, uint16(0)
	var address netip.Addr
	reverse := strings.HasSuffix(name, ".in-addr.arpa") || strings.HasSuffix(name, ".ip6.arpa")
	if !reverse {
		if address, ok = b.lookUp(from, name, time.Now()); !ok {
			flags |= codeNoName
		}
	}
	switch {
	case class != classIN || asked>>11&15 != 0:
		flags |= codeNoHelp
	case reverse || !strings.Contains(name, "."):
		flags |= codeNoName
	case kind == typeA && address.IsValid():
		answers = 1
	}
	out := make([]byte, 0, end+4+16)
	out = append(out, query[:2]...)
	out = binary.BigEndian.AppendUint16(out, flags)
	out = binary.BigEndian.AppendUint16(out, 1)
	out = binary.BigEndian.AppendUint16(out, answers)
	out = append(out, 0, 0, 0, 0)
	out = append(out, query[headerSize:end+4]...)
	if answers == 1 {
		out = append(out, 0xc0, headerSize, 0, typeA, 0, classIN, 0, 0, 0, 0, 0, 4)
		out = append(out, address.AsSlice()...)
	}
	return out
}

// readName reads the name at the offset of a query, in small letters and without
// the dot at its end, and says where it ends. A query needs no compression.
func readName(message []byte, at int) (name string, end int, ok bool) {
	var labels []string
	for at < len(message) {
		length := int(message[at])
		at++
		if length == 0 {
			name = strings.ToLower(strings.Join(labels, "."))
			return name, at, name != "" && len(name) <= 253
		}
		if length > 63 || at+length > len(message) {
			break
		}
		label := message[at : at+length]
		at += length
		for _, c := range label {
			if c <= ' ' || c > '~' || c == '.' {
				return "", 0, false
			}
		}
		labels = append(labels, string(label))
	}
	return "", 0, false
}
