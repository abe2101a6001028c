package containers

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/stage"
)

// probeContract sends every request of an API's contract to it, as the version would:
// with the address in its variables, by its route.
func (s *Stage) probeContract(ctx context.Context, p stage.Probe) (string, error) {
	to, err := s.wayTo(ctx, p, p.Dependency)
	switch {
	case err != nil:
		return "", err
	case len(to.Contract) == 0:
		return "", fmt.Errorf("%v: nothing says what it is: see contract in rehearsal.yaml", p)
	case to.door == "":
		return "", failed(p, "%s cannot be reached from here yet", to.Name)
	}
	began := clock.Wall()
	for _, one := range to.Contract {
		key := newKey()
		_, err := s.expect(ctx, p, one, fillIn(one.Request, key, key), 0, func(ctx context.Context, r stage.Request) (int, string, error) {
			request, err := http.NewRequestWithContext(ctx, r.Method, "http://"+to.door+r.Path, strings.NewReader(r.Body))
			if err != nil {
				return 0, "", err
			}
			request.Host = fmt.Sprintf("%s:%d", to.Name, to.Port)
			setHeaders(request, r.Headers)
			return send(request)
		})
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s kept it in %d requests, in %s", to.Name, len(to.Contract), clock.Since(began).Round(time.Millisecond)), nil
}

// setHeaders also sets Host, which net/http keeps elsewhere.
func setHeaders(request *http.Request, headers map[string]string) {
	for name, value := range headers {
		if strings.EqualFold(name, "Host") {
			request.Host = value
			continue
		}
		request.Header.Set(name, value)
	}
}
