package containers

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmetrics "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"rehearsal/internal/alarm"
)

// cloudNames is what a stage calls the things that it makes in a CloudWatch which
// others use too, so that it meets none of theirs. Its zero is production's names as
// they are, for a CloudWatch of the stage's own.
type cloudNames struct {
	stage string // the stage's id
}

// Limits of AWS on names.
const (
	longestAlarm     = 255
	longestNamespace = 255
	longestGroup     = 512
)

const cloudTag = "rehearsal" // of everything that can be tagged; its value is the stage's id

func (n cloudNames) alarmPrefix() string { return "rehearsal-" + n.stage + "-" }
func (n cloudNames) groupPrefix() string { return "/rehearsal/" + n.stage + "/" }

func (n cloudNames) alarm(name string) string { return n.under(n.alarmPrefix(), name, longestAlarm) }
func (n cloudNames) group(name string) string { return n.under(n.groupPrefix(), name, longestGroup) }

// namespace is where metrics go: nobody but AWS can publish to AWS/*.
func (n cloudNames) namespace(name string) string {
	return n.under("Rehearsal/"+n.stage+"/", name, longestNamespace)
}

// under is a name with a prefix, or, where that would be too long, with a hash of the
// name instead.
func (n cloudNames) under(prefix, name string, longest int) string {
	if n.stage == "" || name == "" {
		return name
	}
	if len(prefix)+len(name) > longest {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:16])
	}
	return prefix + name
}

// rename gives an alarm, and the metrics that it watches, their names here. It leaves
// alone what in points to.
func (n cloudNames) rename(in *awsmetrics.PutMetricAlarmInput) {
	if n.stage == "" {
		return
	}
	in.AlarmName = aws.String(n.alarm(*in.AlarmName))
	if in.Namespace != nil {
		in.Namespace = aws.String(n.namespace(*in.Namespace))
	}
	for i := range in.Metrics {
		if s := in.Metrics[i].MetricStat; s != nil {
			metric := *s.Metric
			metric.Namespace = aws.String(n.namespace(aws.ToString(metric.Namespace)))
			renamed := *s
			renamed.Metric = &metric
			in.Metrics[i].MetricStat = &renamed
		}
	}
	in.Tags = []types.Tag{{Key: aws.String(cloudTag), Value: &n.stage}}
}

// renameComposite gives a composite alarm, and those that its rule names, their names
// here.
func (n cloudNames) renameComposite(in *awsmetrics.PutCompositeAlarmInput, rule *alarm.Rule) {
	if n.stage == "" {
		return
	}
	in.AlarmName = aws.String(n.alarm(*in.AlarmName))
	in.AlarmRule = aws.String(rule.Renamed(n.alarm).String())
	in.Tags = []types.Tag{{Key: aws.String(cloudTag), Value: &n.stage}}
}

// groupTags is the tags of a log group.
func (n cloudNames) groupTags() map[string]string {
	if n.stage == "" {
		return nil
	}
	return map[string]string{cloudTag: n.stage}
}
