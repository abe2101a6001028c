package containers

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"rehearsal/internal/clock"
)

// stageLabel is on everything that a stage makes in the engine; its value is the
// stage's id.
const stageLabel = "rehearsal.stage"

// subnetPool is where stages take their networks from: small ones, so that a
// thousand fit, in a range that engines, home and office networks leave alone.
// The engine's own pools would end at about thirty networks.
var subnetPool = netip.MustParsePrefix("10.211.0.0/16")

const (
	subnetBits  = 25  // 126 addresses
	subnetTries = 200 // the pool is shared by all processes that use the engine
)

// stageNetwork is one network of a stage in the engine. The lower half of its
// addresses is given out by the stage, so that it knows a container's address
// before there is a container, and a container keeps it when it starts again; of the
// upper half the engine has the first part to give, and the border the last, for names
// outside.
type stageNetwork struct {
	id     string
	name   string
	subnet netip.Prefix

	// gateway is where an internal network's containers would send what is to no address
	// of the network: nobody has it. It is not the engine's own end of the network,
	// which would let what is sent vanish without an answer.
	gateway netip.Addr

	mu   sync.Mutex
	next netip.Addr
	free []netip.Addr // given back
}

// networkPatience is how long, in wall time, the engine may take to let go of the
// endpoints of containers that it has removed.
const networkPatience = 3 * time.Second

// removeNetwork removes a network of which no container is left. Old engines lose
// an endpoint now and then, and then hold the empty network until they are restarted:
// that is said, and is no fault of what was rehearsed.
func (s *Stage) removeNetwork(ctx context.Context, id, name string) error {
	patient, cancel := context.WithTimeout(ctx, networkPatience)
	defer cancel()
	var last error
	err := clock.Poll(patient, 100*time.Millisecond, func() (bool, error) {
		_, last = s.docker.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
		if last = ignoreMissing(last); last != nil && !containsAny(last.Error(), "has active endpoints") {
			return false, last
		}
		return last == nil, nil
	})
	if err == nil || last == nil {
		return err
	}
	info, inspectErr := s.docker.NetworkInspect(ctx, id, client.NetworkInspectOptions{})
	if inspectErr != nil || len(info.Network.Containers) > 0 {
		return last
	}
	s.o.Progress("the engine does not let go of the empty network " + name + ": a restart of the engine removes it (docker network rm " + name + ")")
	return nil
}

// createNetwork makes a network with a free subnet. An internal network has no way
// out of it.
func createNetwork(ctx context.Context, docker client.APIClient, name string, internal bool, labels map[string]string) (*stageNetwork, error) {
	taken, err := takenSubnets(ctx, docker)
	if err != nil {
		return nil, err
	}
	var last error
	for range subnetTries {
		subnet := randomSubnet()
		if overlaps(subnet, taken) {
			continue
		}
		n := &stageNetwork{name: name, subnet: subnet}
		gateway := subnet.Addr().Next()
		n.next = gateway.Next()
		config := network.IPAMConfig{Subnet: subnet, Gateway: gateway, IPRange: engineRange(subnet)}
		if internal {
			n.gateway, n.next = n.next, n.next.Next()
			config.AuxAddress = map[string]netip.Addr{"DefaultGatewayIPv4": n.gateway} // as the bridge driver calls it
		}
		made, err := docker.NetworkCreate(ctx, name, client.NetworkCreateOptions{
			Driver:   "bridge",
			Internal: internal,
			Labels:   maps.Clone(labels),
			IPAM:     &network.IPAM{Config: []network.IPAMConfig{config}},
		})
		if err == nil {
			n.id = made.ID
			return n, nil
		}
		if last = err; !subnetTaken(err) {
			return nil, fmt.Errorf("create a network: %w", err)
		}
		taken = append(taken, subnet) // by another process, just now
	}
	return nil, fmt.Errorf("create a network: no subnet of %s is free (last: %w); remove networks that nobody uses: docker network prune", subnetPool, last)
}

// address gives out an address that no container of the stage has.
func (n *stageNetwork) address() (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !upperHalf(n.subnet).Contains(n.next) {
		a := n.next
		n.next = a.Next()
		return a, nil
	}
	if len(n.free) == 0 {
		return netip.Addr{}, fmt.Errorf("a stage has room for %d containers, and they all run", 1<<(31-subnetBits)-3)
	}
	a := n.free[0]
	n.free = n.free[1:]
	return a, nil
}

// giveBack takes the address of a container that is gone.
func (n *stageNetwork) giveBack(a netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.free = append(n.free, a)
}

// takenSubnets is what the engine's networks and this machine's interfaces have.
func takenSubnets(ctx context.Context, docker client.APIClient) ([]netip.Prefix, error) {
	list, err := docker.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	var taken []netip.Prefix
	for _, n := range list.Items {
		for _, c := range n.IPAM.Config {
			taken = append(taken, c.Subnet)
		}
	}
	own, _ := net.InterfaceAddrs() // without them the engine refuses what overlaps
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			taken = append(taken, p)
		}
	}
	return taken, nil
}

// subnetTaken recognises the engine's refusal of a subnet that something has.
func subnetTaken(err error) bool {
	text := err.Error()
	return strings.Contains(text, "overlaps") || strings.Contains(text, "conflicts with network") || strings.Contains(text, "address already in use")
}

func overlaps(p netip.Prefix, all []netip.Prefix) bool {
	for _, q := range all {
		if q.IsValid() && p.Overlaps(q) {
			return true
		}
	}
	return false
}

// randomSubnet picks a subnet of the pool, so that processes that start at the
// same time seldom want the same.
func randomSubnet() netip.Prefix {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	count := uint32(1) << (subnetBits - subnetPool.Bits())
	base := subnetPool.Addr().As4()
	at := binary.BigEndian.Uint32(base[:]) + binary.BigEndian.Uint32(b[:])%count<<(32-subnetBits)
	binary.BigEndian.PutUint32(b[:], at)
	return netip.PrefixFrom(netip.AddrFrom4(b), subnetBits)
}

// engineRange is the addresses that the engine gives to containers that ask for none.
func engineRange(subnet netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(upperHalf(subnet).Addr(), subnet.Bits()+2)
}

// names is the addresses for names outside.
func (n *stageNetwork) names() netip.Prefix { return upperHalf(upperHalf(n.subnet)) }

func upperHalf(p netip.Prefix) netip.Prefix {
	b := p.Addr().As4()
	at := binary.BigEndian.Uint32(b[:]) + 1<<(31-p.Bits())
	binary.BigEndian.PutUint32(b[:], at)
	return netip.PrefixFrom(netip.AddrFrom4(b), p.Bits()+1)
}
