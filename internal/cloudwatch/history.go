package cloudwatch

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
)

// maxHistory is how many records DescribeAlarmHistory knows at least, the newest
// ones. AWS keeps them for 30 days.
const maxHistory = 5000

// A record is one item of the alarms' history.
type record struct {
	at            time.Time
	name          string
	composite     bool
	kind          recordKind
	change        Transition // of moved
	action        string     // of acted: the ARN
	before, after any        // of configured: *alarm.Alarm or *alarm.Composite; nil where it was made or deleted
}

type recordKind uint8

const (
	configured recordKind = iota
	moved
	acted
)

func (k recordKind) itemType() types.HistoryItemType {
	switch k {
	case configured:
		return types.HistoryItemTypeConfigurationUpdate
	case moved:
		return types.HistoryItemTypeStateUpdate
	case acted:
		return types.HistoryItemTypeAction
	}
	panic(fmt.Sprintf("cloudwatch: unknown kind of history %d", k))
}

func (r *record) alarmType() types.AlarmType {
	if r.composite {
		return types.AlarmTypeCompositeAlarm
	}
	return types.AlarmTypeMetricAlarm
}

func (s *Store) note(r record) {
	if len(s.history) == 2*maxHistory {
		s.history = append(s.history[:0], s.history[maxHistory:]...)
	}
	s.history = append(s.history, r)
}

// Transitions is the newest changes of state, oldest first: those among the newest
// records of the history.
func (s *Store) Transitions() []Transition {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Transition
	for i := range s.history {
		if s.history[i].kind == moved {
			all = append(all, s.history[i].change)
		}
	}
	return all
}

// item is the record as DescribeAlarmHistory has it. The summaries are AWS's, and so
// are the members of the data, as far as what is known here goes.
func (r *record) item() types.AlarmHistoryItem {
	var summary string
	data := map[string]any{"version": "1.0"}
	switch r.kind {
	case configured:
		verb := "updated"
		switch {
		case r.before == nil:
			verb = "created"
			data["type"], data["createdAlarm"] = "Create", configuration(r.after)
		case r.after == nil:
			verb = "deleted"
			data["type"], data["deletedAlarm"] = "Delete", configuration(r.before)
		default:
			data["type"], data["originalAlarm"], data["updatedAlarm"] = "Update", configuration(r.before), configuration(r.after)
		}
		summary = fmt.Sprintf("Alarm %q %s", r.name, verb)
	case moved:
		state := map[string]string{"stateValue": r.change.To.String(), "stateReason": r.change.Reason}
		if by := r.change.SuppressedBy; by != alarm.NotSuppressed {
			state["actionsSuppressedBy"], state["actionsSuppressedReason"] = by.String(), suppressedReason(by)
		}
		data["oldState"], data["newState"] = map[string]string{"stateValue": r.change.From.String()}, state
		summary = fmt.Sprintf("Alarm updated from %s to %s", r.change.From, r.change.To)
	case acted:
		data["actionState"], data["notificationResource"], data["stateUpdateTimestamp"] = "Succeeded", r.action, r.at.UnixMilli()
		summary = "Successfully executed action " + r.action
	}
	return types.AlarmHistoryItem{AlarmName: aws.String(r.name), AlarmType: r.alarmType(), HistoryItemType: r.kind.itemType(),
		Timestamp: aws.Time(r.at), HistorySummary: aws.String(summary), HistoryData: aws.String(string(asJSON(data)))}
}

func suppressedReason(by alarm.Suppressed) string { return "Actions suppressed by " + by.String() }

func asJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("cloudwatch: what is in an alarm cannot be written as JSON: %v", err))
	}
	return data
}

// configuration is an alarm with small first letters, as AWS's history has it, and
// without the state.
func configuration(a any) any {
	var members any
	if err := json.Unmarshal(asJSON(a), &members); err != nil {
		panic(fmt.Sprintf("cloudwatch: an alarm's JSON cannot be read: %v", err))
	}
	out := small(members).(map[string]any) //nolint:forcetypeassert // a struct
	delete(out, "stateValue")
	delete(out, "stateReason")
	return out
}

func small(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = small(v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			if name = strings.ToLower(name[:1]) + name[1:]; name == "oKActions" {
				name = "okActions"
			}
			out[name] = small(member)
		}
		return out
	}
	return v
}
