package containers

import "context"

// unevenBalance has the balancer give the version's first replica more requests than its
// share.
type unevenBalance struct{ failureBase }

func (f *unevenBalance) inject(ctx context.Context) (bool, error) {
	if f.s.first(f.Version) == nil || f.s.balancer.healthy(f.Version) == 0 {
		return false, nil
	}
	return true, f.deployed(ctx, f.Version)
}

func (f *unevenBalance) deployed(ctx context.Context, version string) error {
	r := f.s.first(version)
	weight, err := f.s.balancer.weigh(ctx, version, r.name, f.Times)
	if err == nil {
		f.land("the balancer gives %s the weight %s, and 1 to each other replica of %s", r.name, weight, version)
	}
	return err
}

func (f *unevenBalance) heal(ctx context.Context) error {
	r := f.s.first(f.Version)
	if r == nil {
		return nil
	}
	_, err := f.s.balancer.weigh(ctx, f.Version, r.name, 1)
	return err
}
