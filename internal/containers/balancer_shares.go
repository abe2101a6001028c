package containers

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"rehearsal/internal/stage"
)

// shift shares the users' requests among the versions, at once for all requests
// that begin after it: the new shares are written beside those in force, which they
// then replace as a whole. Shares are kept to 0.1 %. A version without a healthy
// target answers 503; its requests do not go to another version.
func (b *balancer) shift(ctx context.Context, shares stage.Shares) error {
	slots, err := balancerSlotsOf(shares)
	if err != nil {
		return err
	}
	for _, s := range slots {
		if !b.knows(s.version) {
			return fmt.Errorf("no version %q is known", s.version)
		}
	}
	return b.runtime.replaceMap(ctx, balancerSharesMap, balancerSlotEntries(slots))
}

// versionSlots is how many of the slots a version gets.
type versionSlots struct {
	version string
	slots   int
}

// balancerSlotsOf gives each version the slots nearest to its share, so that they
// add up (largest remainder). A share too small for a slot is an error.
func balancerSlotsOf(shares stage.Shares) ([]versionSlots, error) {
	if err := shares.Validate(); err != nil {
		return nil, err
	}
	var all []versionSlots
	rest := balancerSlots
	for _, v := range slices.Sorted(maps.Keys(shares)) {
		exact := shares[v] * balancerSlots / 100
		n := int(math.Floor(exact + 1e-6))
		if n == 0 && exact > 0 {
			return nil, fmt.Errorf("the share of version %q is %g %%: traffic is shared in steps of %g %%", v, shares[v], 100.0/balancerSlots)
		}
		if n > 0 {
			all = append(all, versionSlots{v, n})
			rest -= n
		}
	}
	remainder := func(s versionSlots) float64 { return shares[s.version]*balancerSlots/100 - float64(s.slots) }
	byRemainder := make([]*versionSlots, len(all))
	for i := range all {
		byRemainder[i] = &all[i]
	}
	slices.SortStableFunc(byRemainder, func(a, b *versionSlots) int {
		return int(math.Copysign(1, remainder(*b)-remainder(*a)))
	})
	for i := range rest {
		byRemainder[i%len(byRemainder)].slots++
	}
	return all, nil
}

// balancerSlotEntries is the entries of the map of shares.
func balancerSlotEntries(slots []versionSlots) []string {
	entries := make([]string, 0, balancerSlots)
	for _, s := range slots {
		for range s.slots {
			entries = append(entries, fmt.Sprintf("%d %s", len(entries), s.version))
		}
	}
	return entries
}

// failAnswers makes percent of the version's answers a 500, of every version where
// version is "". The target has served the request, so that its side effects, its
// log and its time are real: what an answer lost on its way out looks like. It
// holds for answers that come from then on; 0 ends it.
func (b *balancer) failAnswers(ctx context.Context, version string, percent float64) error {
	return b.setEach(ctx, version, balancerErrorsMap, balancerPartsOf(percent))
}

// delayAnswers makes percent of the version's answers come by later, of every
// version where version is "". It holds for requests that come from then on; 0 ends
// it. Millisecond resolution.
func (b *balancer) delayAnswers(ctx context.Context, version string, percent float64, by time.Duration) error {
	if err := b.setEach(ctx, version, balancerDelayMap, by.Milliseconds()); err != nil {
		return err
	}
	return b.setEach(ctx, version, balancerDelaysMap, balancerPartsOf(percent))
}

// slowDown has the answers of some replicas come later, by "version/replica", and of no
// others. Millisecond resolution.
func (b *balancer) slowDown(ctx context.Context, by map[string]time.Duration) error {
	var entries []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		entries = append(entries, fmt.Sprintf("%s %d", name, by[name].Milliseconds()))
	}
	return b.runtime.replaceMap(ctx, balancerSlowMap, entries)
}

// weigh gives a replica times as many requests as one of weight 1 gets.
func (b *balancer) weigh(ctx context.Context, version, name string, times int) error {
	server := (&target{Version: version, Name: name}).server()
	_, err := b.runtime.expect(ctx, "", fmt.Sprintf("set weight %s %d", server, times))
	return err
}

// served is how many requests each replica of the version got so far, by name.
func (b *balancer) served(ctx context.Context, version string) (map[string]int, error) {
	servers, err := b.runtime.servers(ctx)
	all := map[string]int{}
	for _, t := range b.targets(version) {
		all[t.Name] = servers[t.server()].Served
	}
	return all, err
}

func balancerPartsOf(percent float64) int64 {
	return int64(math.Round(min(max(percent, 0), 100) * balancerParts / 100))
}

func (b *balancer) setEach(ctx context.Context, version, file string, value int64) error {
	versions := b.versions
	if version != "" {
		if !b.knows(version) {
			return fmt.Errorf("no version %q is known", version)
		}
		versions = []string{version}
	}
	commands := make([]string, len(versions))
	for i, v := range versions {
		commands[i] = fmt.Sprintf("set map %s %s %d", file, v, value)
	}
	_, err := b.runtime.expect(ctx, "", strings.Join(commands, ";"))
	return err
}

func (b *balancer) knows(version string) bool { return slices.Contains(b.versions, version) }
