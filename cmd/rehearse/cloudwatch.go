package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
	"rehearsal/internal/containers"
	"rehearsal/internal/lang"
	"rehearsal/steps"
)

const cloudwatchListen = "127.0.0.1:4566"

// cloudwatchFlags are those of the command cloudwatch.
type cloudwatchFlags struct {
	listen, start, alarms, filters string
	speed                          float64
	health                         bool
}

func cloudwatchCommand() *cobra.Command {
	f := &cloudwatchFlags{}
	c := &cobra.Command{
		Use:   "cloudwatch",
		Short: "Serve a local CloudWatch that any AWS client can be pointed at",
		Long: `Serve a local CloudWatch that any AWS client can be pointed at. It evaluates
alarms as AWS does, when they are due on its own clock; changes of state are
printed. Its clock may run faster than the wall's, or stand still, and is moved by

  curl -X POST http://127.0.0.1:4566/_rehearsal/advance -d '{"by": "5m"}'

which evaluates every alarm due on the way and answers with the changes of state.
Send data without a timestamp: it gets the time of that clock.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.health {
				return f.healthy(c.Context(), readersLang(c))
			}
			return f.serve(c.Context(), speaks(c), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&f.listen, "listen", cloudwatchListen, "address and port to listen on; port 0 is a free one")
	c.Flags().Float64Var(&f.speed, "speed", 1, fmt.Sprintf("how many times faster than the wall its clock runs, up to %d; 0: it moves only by advance", cloudwatch.MaxSpeed))
	c.Flags().StringVar(&f.start, "start", "", "what its clock shows at first, such as 2026-01-02T03:04:05Z (default: the time of day)")
	c.Flags().StringVar(&f.alarms, "alarms", "", "alarms to begin with: the output of aws cloudwatch describe-alarms")
	c.Flags().StringVar(&f.filters, "metric-filters", "", "metric filters to begin with: the output of aws logs describe-metric-filters")
	c.Flags().BoolVar(&f.health, "healthcheck", false, "only ask the one that listens at --listen whether it is well (for containers, which have no shell)")
	c.AddCommand(cloudwatchImageCommand())
	return c
}

// serve serves until ctx ends.
func (f *cloudwatchFlags) serve(ctx context.Context, out speaker, warn io.Writer) error {
	at, err := listenAddress(f.listen)
	if err != nil {
		return err
	}
	o := cloudwatch.StandaloneOptions{
		Speed: f.speed, Version: version(), Guarded: at.Addr().IsLoopback(),
		Changed: func(t cloudwatch.Transition) {
			fmt.Fprintf(out, "%s %s %s -> %s: %s\n", t.Time.UTC().Format(time.RFC3339), oneLine(t.Name), t.From, t.To, oneLine(t.Reason))
		},
		Acted: func(a cloudwatch.Action) {
			out.say("%s %s in %s acts: %s", a.Time.UTC().Format(time.RFC3339), oneLine(a.Alarm), a.State, oneLine(strings.Join(a.ARNs, " ")))
		},
	}
	if f.start != "" {
		if o.Start, err = time.Parse(time.RFC3339, f.start); err != nil {
			return fmt.Errorf("--start %q: want a time such as 2026-01-02T03:04:05Z", f.start)
		}
	}
	v, err := cloudwatch.NewStandalone(o)
	if err != nil {
		return fmt.Errorf("cloudwatch: %w", err)
	}
	if err := f.load(v.Store()); err != nil {
		return err
	}
	network := "tcp6"
	if at.Addr().Is4() { // and no more: for "tcp", 0.0.0.0 is IPv6 too
		network = "tcp4"
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, network, at.String())
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("--listen %s: something listens there already: end it, or name another port", f.listen)
	case err != nil:
		return fmt.Errorf("--listen %s: %w", f.listen, err)
	}
	if !at.Addr().IsLoopback() {
		fmt.Fprintln(warn, out.Sprintf("warning: %s can be reached from other machines, and asks nobody for a password", f.listen))
	}
	url := "http://" + reachable(listener.Addr().(*net.TCPAddr).AddrPort())
	speed := out.Sprintf("runs %g times as fast as the wall's", f.speed)
	if f.speed == 0 {
		speed = out.Sprintf("stands still until %s/_rehearsal/advance moves it", url)
	}
	out.say(`CloudWatch answers at %s
Its clock shows %s and %s.
Point clients at it, with any credentials:
  export AWS_ENDPOINT_URL=%s AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=rehearsal AWS_SECRET_ACCESS_KEY=rehearsal`, url, v.Now().Format(time.RFC3339), speed, url)
	return v.Serve(ctx, listener)
}

// load puts what the files have.
func (f *cloudwatchFlags) load(s *cloudwatch.Store) error {
	if f.alarms != "" {
		set, err := alarm.ReadFile(f.alarms)
		if err != nil {
			return fmt.Errorf("--alarms: %w", err)
		}
		if err := s.PutAlarms(set.Alarms); err != nil {
			return fmt.Errorf("--alarms %s: %w", f.alarms, err)
		}
		if err := s.PutComposites(set.Composites); err != nil {
			return fmt.Errorf("--alarms %s: %w", f.alarms, err)
		}
	}
	if f.filters != "" {
		data, err := os.ReadFile(f.filters)
		if err != nil {
			return fmt.Errorf("--metric-filters: %w", err)
		}
		filters, err := cloudwatch.ParseMetricFilters(f.filters, data)
		if err != nil {
			return fmt.Errorf("--metric-filters: %w", err)
		}
		for _, m := range filters {
			if err := s.PutMetricFilter(m); err != nil {
				return fmt.Errorf("--metric-filters %s: %w", f.filters, err)
			}
		}
	}
	return nil
}

// healthy asks the one that listens whether it answers.
func (f *cloudwatchFlags) healthy(ctx context.Context, l lang.Lang) error {
	at, err := listenAddress(f.listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(at)+"/_rehearsal", http.NoBody)
	if err != nil {
		return err
	}
	direct := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // through no proxy
	answer, err := direct.Do(ask)
	if err == nil {
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			err = errors.New(answer.Status)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, l.Sprintf("no CloudWatch answers at %s: %v", f.listen, err))
		return exitStatus(steps.ExitBroken)
	}
	return nil
}

// listenAddress reads an address to listen on. Which addresses are open to others is
// never left to a default.
func listenAddress(text string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(text)
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("--listen %q: want an address and a port, such as %s", text, cloudwatchListen)
	case host == "":
		return netip.AddrPort{}, fmt.Errorf("--listen %q: name the address too: 127.0.0.1:%[2]s for this machine alone, 0.0.0.0:%[2]s for everybody", text, port)
	case strings.EqualFold(host, "localhost"):
		host = "127.0.0.1"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--listen %q: want an IP address or localhost, and a port from 0 to 65535, such as %s", text, cloudwatchListen)
	}
	return at, nil
}

// reachable is where somebody on this machine reaches what listens at an address.
func reachable(at netip.AddrPort) string {
	addr := at.Addr().Unmap()
	switch addr {
	case netip.IPv4Unspecified():
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case netip.IPv6Unspecified():
		addr = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(addr, at.Port()).String()
}

// oneLine is text of a client's as one line of a log can hold it.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == '\u2028' || c == '\u2029' {
			return ' '
		}
		return c
	}, text)
}

func cloudwatchImageCommand() *cobra.Command {
	tag := ""
	c := &cobra.Command{
		Use:   "image",
		Short: "Build the container image of the local CloudWatch from source, without a registry",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			out := speaks(c)
			e, err := engine(c.Context(), out.tell)
			if err != nil {
				return err
			}
			defer func() { _ = e.Close() }()
			images, err := containers.NewImages(e, out.tell, containers.CloudWatchImageRecipe().For(tag))
			if err != nil {
				return err
			}
			if _, err := images.Ensure(c.Context(), tag); err != nil {
				return err
			}
			out.say("%s is there: docker run --rm -p 127.0.0.1:4566:4566 %s", tag, tag)
			return nil
		},
	}
	c.Flags().StringVar(&tag, "tag", containers.CloudWatchImage, "the image's name")
	return c
}
