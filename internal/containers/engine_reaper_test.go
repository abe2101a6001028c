package containers

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAddressesOf(t *testing.T) {
	c := container.Summary{
		Ports: []container.PortSummary{
			{IP: netip.MustParseAddr("0.0.0.0"), PrivatePort: 8080, PublicPort: 32800},
			{IP: netip.MustParseAddr("::"), PrivatePort: 8080, PublicPort: 32801},
		},
		NetworkSettings: &container.NetworkSettingsSummary{Networks: map[string]*network.EndpointSettings{
			"bridge": {IPAddress: netip.MustParseAddr("172.17.0.5")},
		}},
	}
	for _, is := range []struct {
		engine Engine
		want   []string
	}{
		{Engine{Local: true, PublishedHost: "127.0.0.1"}, []string{"172.17.0.5:8080", "127.0.0.1:32800"}},
		{Engine{PublishedHost: "docker.example"}, []string{"docker.example:32800"}},
		{Engine{PublishedHost: "fd00::1"}, []string{"[fd00::1]:32801"}},
	} {
		assert.Equal(t, is.want, is.engine.addressesOf(c))
	}
	assert.Empty(t, (&Engine{Local: true}).addressesOf(container.Summary{}))
}

// answering is an address that answers one line with a text, and the line it got.
func answering(t *testing.T, text string) (address string, line <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	got := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		lines := bufio.NewReader(conn)
		first, _ := lines.ReadString('\n')
		got <- first
		if _, err := io.WriteString(conn, text); err == nil && text == "ACK\n" {
			_, _ = lines.ReadString('\n') // until the client goes
		}
	}()
	return listener.Addr().String(), got
}

func TestDialReaper(t *testing.T) {
	address, line := answering(t, "ACK\n")
	labels := map[string]string{"session": "7", "reap": "true"}
	conn, err := dialReaper(t.Context(), address, labels)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	assert.Equal(t, "label=reap=true&label=session=7\n", <-line)

	for _, text := range []string{"", "NO\n"} { // an engine's proxy cuts, and who knows
		address, _ := answering(t, text)
		_, err := dialReaper(t.Context(), address, labels)
		require.Error(t, err)
	}
}
