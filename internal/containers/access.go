package containers

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// An access is one request that the balancer is done with, as its log tells.
type access struct {
	Probe       bool    // it came past the shares
	Version     string  // "" when the balancer had none to choose
	Target      string  // the name of the replica; "" when the balancer had none to choose
	Status      int     // what the user was told; 0 when the user left before
	FromTarget  bool    // the status is the target's own, not the balancer's
	Weight      float64 // how many requests it stands for
	Queued      time.Duration
	Connect     time.Duration // until the target had accepted; below 0 when it did not
	Response    time.Duration // from then on until the target began to answer; below 0 when it did not
	Total       time.Duration
	Termination string // HAProxy's two letters: who ended it early, and when; "--" is a normal end
	Method      string
	Path        string // without its query
}

// accessFields is how many fields a line has, separated by spaces, as the
// log-format of balancer.cfg.tmpl writes them; the path is the last and may be
// anything.
const accessFields = 14

// parseAccess reads one line of HAProxy's log. It is false for every other line:
// what HAProxy says about itself and its servers, or a line cut short.
func parseAccess(line string) (access, bool) {
	f := strings.SplitN(line, " ", accessFields)
	if len(f) != accessFields || f[0] != "access" || len(f[11]) != 2 {
		return access{}, false
	}
	a := access{Probe: f[1] == "probes", Weight: 1, Termination: f[11], Method: f[12], Path: f[13]}
	if version, ok := strings.CutPrefix(f[2], "version:"); ok {
		a.Version = version
	}
	if weight, err := strconv.ParseFloat(f[10], 64); err == nil && weight > 0 && !math.IsInf(weight, 1) {
		a.Weight = weight
	}
	if f[3] != "<NOSRV>" && a.Version != "" {
		a.Target = f[3]
	}
	status, err := strconv.Atoi(f[4])
	if err != nil {
		return access{}, false
	}
	a.Status = max(status, 0)
	for i, to := range []*time.Duration{&a.Queued, &a.Connect, &a.Response, &a.Total} {
		ms, err := strconv.Atoi(f[5+i])
		if err != nil {
			return access{}, false
		}
		*to = time.Duration(ms) * time.Millisecond
	}
	if a.Termination[0] == 'C' && a.Response < 0 {
		a.Status = 0 // HAProxy writes 400 for nobody to read
	}
	// The user sees a delayed answer as a target that took longer.
	if slept, err := strconv.Atoi(f[9]); err == nil && a.Response >= 0 {
		a.Response += time.Duration(slept) * time.Millisecond
	}
	a.FromTarget = a.Target != "" && a.Response >= 0 && a.Status > 0
	return a, true
}
