#!/bin/sh
# The AWS CLI as a client of this CloudWatch.
#
#     awscli_client.sh ENDPOINT
#
# It ends with "ok" on its last line, or at the first command that does not do what
# is expected.
set -eu
endpoint=$1

call() { aws --endpoint-url "$endpoint" --output text "$@"; }

# same WHAT WANTED GOT
same() {
    if [ "$2" != "$3" ]; then
        echo "$1: want $2, got $3" >&2
        exit 1
    fi
}

call cloudwatch put-metric-data --namespace shop --metric-name Errors --value 7 --dimensions service=shop --unit Count
call cloudwatch put-metric-data --namespace shop --metric-data '[{"MetricName":"Latency","Values":[1,2],"Counts":[3,4]}]'
same list-metrics "Errors	Latency" "$(call cloudwatch list-metrics --namespace shop --query 'Metrics[].MetricName')"
call cloudwatch put-metric-alarm --alarm-name errors --namespace shop --metric-name Errors --dimensions Name=service,Value=shop --statistic Sum --period 60 \
    --evaluation-periods 1 --threshold 5 --comparison-operator GreaterThanThreshold --tags Key=team,Value=shop
call cloudwatch set-alarm-state --alarm-name errors --state-value ALARM --state-reason "a drill"
same describe-alarms "errors	ALARM	a drill" "$(call cloudwatch describe-alarms --query 'MetricAlarms[].[AlarmName,StateValue,StateReason]')"
same list-tags "team	shop" "$(call cloudwatch list-tags-for-resource --resource-arn arn:aws:cloudwatch:us-east-1:000000000000:alarm:errors --query 'Tags[].[Key,Value]')"
call cloudwatch put-dashboard --dashboard-name shop --dashboard-body '{"widgets":[]}'
same get-dashboard '{"widgets":[]}' "$(call cloudwatch get-dashboard --dashboard-name shop --query DashboardBody)"
same get-caller-identity 000000000000 "$(call sts get-caller-identity --query Account)"
if refused=$(call cloudwatch set-alarm-state --alarm-name nobody --state-value OK --state-reason x 2>&1); then
    echo "an alarm that there is not was set" >&2
    exit 1
fi
case $refused in
*ResourceNotFound*'no alarm "nobody"'*) ;;
*)
    echo "set-alarm-state: $refused" >&2
    exit 1
    ;;
esac
echo ok
