package alarm

import "fmt"

// State is what CloudWatch says of an alarm. The zero value is
// InsufficientData, the state every alarm is created in.
type State uint8

// The three states of a CloudWatch alarm.
const (
	InsufficientData State = iota // INSUFFICIENT_DATA: not enough points to judge
	OK                            // OK: within the threshold
	InAlarm                       // ALARM: threshold crossed
)

// String gives the state as AWS writes it. It panics on a value that is not
// one of the three, since that can only be a bug.
func (s State) String() string {
	switch s {
	case InsufficientData:
		return "INSUFFICIENT_DATA"
	case OK:
		return "OK"
	case InAlarm:
		return "ALARM"
	}
	panic(fmt.Sprintf("alarm: unknown State %d", uint8(s)))
}

// ParseState reads a state as AWS writes it.
func ParseState(text string) (State, error) {
	switch text {
	case "INSUFFICIENT_DATA":
		return InsufficientData, nil
	case "OK":
		return OK, nil
	case "ALARM":
		return InAlarm, nil
	}
	return InsufficientData, fmt.Errorf("unknown alarm state %q: want OK, ALARM or INSUFFICIENT_DATA", text)
}

// MarshalText writes the state as AWS does, for JSON and logs.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the state as AWS writes it.
func (s *State) UnmarshalText(text []byte) error {
	parsed, err := ParseState(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}
