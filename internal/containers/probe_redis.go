package containers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"rehearsal/internal/stage"
)

// askRedis opens a connection with the service's credentials and sends a PING.
func (s *Stage) askRedis(ctx context.Context, d stage.Dependency, door string, environment map[string]string) error {
	a, _, err := AddressOf(d, environment) // without variables: nobody's credentials
	if err != nil {
		return err
	}
	o := &redis.Options{
		Username: a.User, Password: a.Password, Protocol: 2, MaxRetries: -1, PoolSize: 1, DialerRetries: 1, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		// Whoever asks sets the time: an answer that comes late is what some want to see.
		DialTimeout: -1, ReadTimeout: -1, WriteTimeout: -1,
		Dialer: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", door)
		},
	}
	if a.Database != "" {
		if o.DB, err = strconv.Atoi(a.Database); err != nil {
			return fmt.Errorf("the number of the database of %s is no number", d.Name)
		}
	}
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	if err := c.Ping(ctx).Err(); err != nil {
		return errors.New(s.secrets.redact(err.Error()))
	}
	return nil
}
