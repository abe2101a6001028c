package parity

import (
	"fmt"
	"strings"

	"rehearsal/internal/stage"
)

// A Touch is what a difference has to do with, so that the scenarios it weakens can be
// named.
type Touch struct {
	Kind TouchKind `json:"kind"`
	Name string    `json:"name,omitempty"` // of the alarm or the dependency
}

// TouchKind is a closed set.
type TouchKind int

// What scenarios may be about.
const (
	TouchAll        TouchKind = iota // how the service behaves at all
	TouchMemory                      // running out of memory
	TouchCPU                         // being slow
	TouchHealth                      // being healthy, and being taken out
	TouchAlarm                       // one alarm
	TouchDependency                  // one dependency
	TouchLogs                        // alarms on log lines
)

func (k TouchKind) String() string {
	switch k {
	case TouchAll:
		return "all"
	case TouchMemory:
		return "memory"
	case TouchCPU:
		return "cpu"
	case TouchHealth:
		return "health"
	case TouchAlarm:
		return "alarm"
	case TouchDependency:
		return "dependency"
	case TouchLogs:
		return "logs"
	}
	panic(fmt.Sprintf("unknown kind of touch %d", int(k)))
}

// MarshalText is String.
func (k TouchKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// touches is what a field has to do with. What a dependency is made of touches the
// scenarios that use the dependency.
func touches(service, field string, setup *stage.Setup) Touch {
	if setup != nil && service != setup.Service {
		if _, ok := setup.Dependency(service); ok {
			return Touch{TouchDependency, service}
		}
		return Touch{Kind: TouchAll}
	}
	group, _, _ := strings.Cut(field, ".")
	switch group {
	case "memory":
		return Touch{Kind: TouchMemory}
	case "cpu":
		return Touch{Kind: TouchCPU}
	case "health", "balancer":
		return Touch{Kind: TouchHealth}
	case "log":
		return Touch{Kind: TouchLogs}
	}
	return Touch{Kind: TouchAll}
}
