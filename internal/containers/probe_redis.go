package containers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"rehearsal/internal/stage"
)

// askRedis opens a connection with the service's credentials and sends a PING. These
// three commands are spoken here: a client library would bring a pool, tries of its own
// and a log of its own, for a single connection.
func (s *Stage) askRedis(ctx context.Context, d stage.Dependency, door string, environment map[string]string) error {
	a, _, err := AddressOf(d, environment) // without variables: nobody's credentials
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", door)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	defer stop()
	var commands [][]string
	switch {
	case a.User != "":
		commands = append(commands, []string{"AUTH", a.User, a.Password})
	case a.Password != "":
		commands = append(commands, []string{"AUTH", a.Password})
	}
	if a.Database != "" {
		commands = append(commands, []string{"SELECT", a.Database})
	}
	in := bufio.NewReader(conn)
	for _, c := range append(commands, []string{"PING"}) {
		if err := redisCommand(conn, in, c); err != nil {
			return errors.New(s.secrets.redact(err.Error()))
		}
	}
	return nil
}

// redisCommand sends a command, as Redis' serialization protocol (RESP) has it, that is
// answered by one line.
func redisCommand(conn net.Conn, in *bufio.Reader, words []string) error {
	out := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		out += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := conn.Write([]byte(out)); err != nil {
		return err
	}
	answer, err := in.ReadSlice('\n') // no longer than the reader's buffer
	if err != nil {
		return fmt.Errorf("%s was not answered: %w", words[0], err)
	}
	switch said := strings.TrimSpace(string(answer)); {
	case strings.HasPrefix(said, "+"):
		return nil
	case strings.HasPrefix(said, "-"):
		return errors.New(said[1:])
	default:
		return fmt.Errorf("%s was answered by %q, which is not how Redis answers", words[0], shorten(said))
	}
}
