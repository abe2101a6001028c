package conformance

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
)

// An item is one of DescribeAlarmHistory.
type item types.AlarmHistoryItem

// states are the old and the new state of a StateUpdate; empty if it does not say.
func (i item) states() (old, now string) {
	var data struct {
		OldState struct {
			StateValue string `json:"stateValue"`
		} `json:"oldState"`
		NewState struct {
			StateValue string `json:"stateValue"`
		} `json:"newState"`
	}
	if json.Unmarshal([]byte(aws.ToString(i.HistoryData)), &data) != nil {
		return "", ""
	}
	return data.OldState.StateValue, data.NewState.StateValue
}

// history is an alarm's, newest first.
func (b *bench) history(ctx context.Context, name string, of types.HistoryItemType) ([]item, error) {
	in := &cloudwatch.DescribeAlarmHistoryInput{AlarmName: aws.String(name), HistoryItemType: of}
	var all []item
	for range 100 {
		out, err := b.cw.DescribeAlarmHistory(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, i := range out.AlarmHistoryItems {
			all = append(all, item(i))
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	return all, nil
}

// watched makes an alarm whose data say nothing, with an action for ALARM, in OK.
func (b *bench) watched(ctx context.Context, enabled bool) (string, error) {
	name, err := b.putAlarm(ctx, 5, func(in *cloudwatch.PutMetricAlarmInput) {
		in.TreatMissingData, in.AlarmActions, in.ActionsEnabled = aws.String("ignore"), []string{topic("nobody")}, aws.Bool(enabled)
	})
	if err != nil {
		return "", err
	}
	return name, b.set(ctx, name, isOK)
}

// historyCases are what is noted of an alarm, and when its actions are carried out.
func historyCases() []Case {
	source := reference + "DescribeAlarmHistory.html"
	return []Case{
		{Name: "history-state", Documented: "a change of state is noted with the old and the new one, newest first", Source: source, run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.watched(ctx, true)
			if err != nil {
				return "", err
			}
			if err := b.set(ctx, name, isAlarm); err != nil {
				return "", err
			}
			return "OK to ALARM, INSUFFICIENT_DATA to OK", b.eventually(ctx, func() error {
				items, err := b.history(ctx, name, types.HistoryItemTypeStateUpdate)
				if err != nil {
					return err
				}
				var got []string
				for _, i := range items {
					old, now := i.states()
					got = append(got, old+" to "+now)
				}
				if want := []string{"OK to ALARM", "INSUFFICIENT_DATA to OK"}; !slices.Equal(got, want) {
					return deviates("it notes %q, not %q", got, want)
				}
				return nil
			})
		}},
		{Name: "history-configuration", Documented: "that an alarm was made is noted", Source: source, run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.watched(ctx, true)
			if err != nil {
				return "", err
			}
			return "it is", b.eventually(ctx, func() error {
				items, err := b.history(ctx, name, types.HistoryItemTypeConfigurationUpdate)
				if err != nil {
					return err
				}
				return equal("the number of notes of its configuration", len(items), 1)
			})
		}},
		{Name: "actions-on-change-only", Documented: "actions are carried out when the state changes, and not when it is set to what it is", Source: reference + "SetAlarmState.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.watched(ctx, true)
			if err != nil {
				return "", err
			}
			for range 3 {
				if err := b.set(ctx, name, isAlarm); err != nil {
					return "", err
				}
			}
			return "once", b.acted(ctx, name, 1)
		}},
		{Name: "actions-disabled", Documented: "with ActionsEnabled false no action is carried out", Source: reference + "DisableAlarmActions.html", run: func(ctx context.Context, b *bench) (string, error) {
			name, err := b.watched(ctx, false)
			if err != nil {
				return "", err
			}
			if err := b.set(ctx, name, isAlarm); err != nil {
				return "", err
			}
			state, err := b.state(ctx, name)
			if err != nil {
				return "", err
			}
			if err := equal("the state", state, isAlarm); err != nil {
				return "", err
			}
			return "the state changes and nothing is carried out", b.acted(ctx, name, 0)
		}},
	}
}

// acted says whether the history has as many actions, carried out or tried.
func (b *bench) acted(ctx context.Context, name string, want int) error {
	return b.eventually(ctx, func() error {
		items, err := b.history(ctx, name, types.HistoryItemTypeAction)
		if err != nil {
			return err
		}
		return equal("the number of actions in the history", len(items), want)
	})
}
