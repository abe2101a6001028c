package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// Of Ethernet, ARP, IPv4, TCP, UDP and ICMP only what a refusal needs.
const (
	etherSize = 14
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	ipSize    = 20
	tcpSize   = 20
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
	tcpSYN    = 1 << 1
	tcpRST    = 1 << 2
	tcpACK    = 1 << 4
)

// A wire is the container's end of its network, below the kernel's IP: there packets
// arrive that are to the addresses for names, since this container says that it has
// them. They must be of the network: the engine's firewall drops what is not.
type wire struct {
	fd      int
	mac     net.HardwareAddr
	gateway netip.Addr
	names   netip.Prefix
}

func openWire(gateway netip.Addr, names netip.Prefix) (*wire, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addresses {
			p, err := netip.ParsePrefix(a.String())
			if err != nil || !p.Addr().Is4() || !p.Contains(gateway) {
				continue
			}
			fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, int(swapped(syscall.ETH_P_ALL)))
			if err == nil {
				err = syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: swapped(syscall.ETH_P_ALL), Ifindex: i.Index})
			}
			if err != nil {
				return nil, fmt.Errorf("see what comes in (needs the capability NET_RAW): %w", err)
			}
			return &wire{fd: fd, mac: i.HardwareAddr, gateway: gateway, names: names}, nil
		}
	}
	return nil, fmt.Errorf("the container is on no network with the gateway %s", gateway)
}

// swapped is a number in network byte order on a machine with the other one, which
// are all that containers run on.
func swapped(v uint16) uint16 { return v>>8 | v<<8 }

// serve refuses what comes in, and has b note it, until the wire breaks.
func (w *wire) serve(b *border) error {
	frame := make([]byte, 1<<16)
	for {
		n, _, err := syscall.Recvfrom(w.fd, frame, 0)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		refusal, c := w.refuse(frame[:n])
		if c != nil {
			b.call(c.from, c.to, c.port, c.protocol)
		}
		if refusal != nil {
			if _, err := syscall.Write(w.fd, refusal); err != nil && !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.ENOBUFS) {
				return err
			}
		}
	}
}

// A calling is a packet to the outside that opens a conversation.
type calling struct {
	from, to netip.Addr
	port     uint16
	protocol string
}

// refuse is the frame that answers a frame, nil where none does, and what it calls,
// if anything.
func (w *wire) refuse(frame []byte) ([]byte, *calling) {
	if len(frame) < etherSize {
		return nil, nil
	}
	body := frame[etherSize:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherARP:
		return w.answerARP(frame, body)
	case etherIPv4:
		if bytes.Equal(frame[:6], w.mac) {
			return w.refuseIPv4(frame, body)
		}
	}
	return nil, nil
}

// answerARP says that the addresses for names are here (RFC 826). Where the gateway is
// asked for, somebody calls a number outside: without an answer it is told so, after
// about three seconds; with one it would wait for ever, since the engine's firewall
// drops what is sent to such a number.
func (w *wire) answerARP(frame, arp []byte) ([]byte, *calling) {
	const request, reply = 1, 2
	if len(arp) < 28 || binary.BigEndian.Uint64(arp)>>16 != 0x000108000604 || binary.BigEndian.Uint16(arp[6:]) != request {
		return nil, nil
	}
	from, _ := netip.AddrFromSlice(arp[14:18])
	target, _ := netip.AddrFromSlice(arp[24:28])
	switch {
	case target == w.gateway:
		return nil, &calling{from: from}
	case !w.names.Contains(target):
		return nil, nil
	}
	out := w.reply(frame, etherARP)
	out = append(out, 0, 1, 8, 0, 6, 4, 0, reply)
	out = append(out, w.mac...)
	out = append(out, arp[24:28]...)
	return append(out, arp[8:18]...), nil
}

// reply begins a frame to who sent the other.
func (w *wire) reply(to []byte, kind uint16) []byte {
	out := append(make([]byte, 0, 128), to[6:12]...)
	return binary.BigEndian.AppendUint16(append(out, w.mac...), kind)
}

// refuseIPv4 refuses a packet to an address for a name: a connection by a reset,
// a datagram by an ICMP message, so that whoever called knows at once.
func (w *wire) refuseIPv4(frame, packet []byte) ([]byte, *calling) {
	if len(packet) < ipSize || packet[0]>>4 != 4 {
		return nil, nil
	}
	header := int(packet[0]&15) * 4
	if header < ipSize || len(packet) < header+8 || binary.BigEndian.Uint16(packet[6:])&0x1fff != 0 {
		return nil, nil
	}
	from, _ := netip.AddrFromSlice(packet[12:16])
	to, _ := netip.AddrFromSlice(packet[16:20])
	if !w.names.Contains(to) {
		return nil, nil
	}
	inner := packet[header:]
	c := &calling{from: from, to: to, port: binary.BigEndian.Uint16(inner[2:])}
	switch packet[9] {
	case protoTCP:
		if len(inner) < tcpSize || inner[13]&tcpRST != 0 {
			return nil, nil
		}
		c.protocol = "tcp"
		reset := w.reset(frame, packet, inner)
		if inner[13]&(tcpSYN|tcpACK) != tcpSYN {
			return reset, nil
		}
		return reset, c
	case protoUDP:
		c.protocol = "udp"
		return w.unreachable(frame, packet, header), c
	}
	return nil, nil
}

// reset is the segment that RFC 9293, section 3.10.7.1, answers to a closed port.
func (w *wire) reset(frame, packet, segment []byte) []byte {
	tcp := make([]byte, tcpSize)
	copy(tcp, segment[2:4])
	copy(tcp[2:], segment[:2])
	flags := segment[13]
	if flags&tcpACK != 0 {
		copy(tcp[4:8], segment[8:12])
		tcp[13] = tcpRST
	} else {
		length := uint32(len(segment)) - uint32(segment[12]>>4)*4
		if flags&tcpSYN != 0 {
			length++
		}
		binary.BigEndian.PutUint32(tcp[8:], binary.BigEndian.Uint32(segment[4:])+length)
		tcp[13] = tcpRST | tcpACK
	}
	tcp[12] = tcpSize / 4 << 4
	// The sum covers addresses, protocol and length too.
	pseudo := append(bytes.Clone(packet[16:20]), packet[12:16]...)
	pseudo = append(pseudo, 0, protoTCP, 0, tcpSize)
	binary.BigEndian.PutUint16(tcp[16:], checksum(append(pseudo, tcp...)))
	return append(w.ip(frame, packet, protoTCP, tcpSize), tcp...)
}

// unreachable is the ICMP message "port unreachable" (RFC 792), with the beginning of
// the packet that it is about.
func (w *wire) unreachable(frame, packet []byte, header int) []byte {
	const destination, port = 3, 3
	icmp := append([]byte{destination, port, 0, 0, 0, 0, 0, 0}, packet[:header+8]...)
	binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
	return append(w.ip(frame, packet, protoICMP, len(icmp)), icmp...)
}

// ip is the headers of an answer that comes from where the packet was to go.
func (w *wire) ip(frame, packet []byte, protocol byte, length int) []byte {
	ip := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0}
	ip = append(append(ip, packet[16:20]...), packet[12:16]...)
	binary.BigEndian.PutUint16(ip[2:], uint16(ipSize+length))
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	return append(w.reply(frame, etherIPv4), ip...)
}

// checksum is the Internet's (RFC 1071), over an even number of bytes, or with a zero
// behind an odd one.
func checksum(data []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(data); i += 2 {
		word := uint32(data[i]) << 8
		if i+1 < len(data) {
			word |= uint32(data[i+1])
		}
		sum += word
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
