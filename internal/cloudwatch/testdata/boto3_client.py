"""boto3 as a client of this CloudWatch: every operation, in one protocol.

    boto3_client.py ENDPOINT PROTOCOL NOW [RECORD]

PROTOCOL is smithy-rpc-v2-cbor, json or query. NOW is the stage's time in Unix
seconds, a whole minute. With RECORD, the requests are written to that file, as the
test of replayed requests reads them. What goes wrong ends it with a traceback.
"""

import datetime
import json
import sys
import urllib.parse

import boto3
import botocore.model
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, protocol, now = sys.argv[1], sys.argv[2], int(sys.argv[3])
record = open(sys.argv[4], "w", newline="\n") if len(sys.argv) > 4 else None

KEPT = ("content-type", "x-amz-target", "x-amzn-query-mode", "content-encoding")


def client(service, wanted=None):
    if wanted:  # botocore takes the first that the service has too
        botocore.model.PRIORITY_ORDERED_SUPPORTED_PROTOCOLS = (wanted,)
    made = boto3.session.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1").client(
        service, endpoint_url=endpoint, config=Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    )
    if wanted:
        assert made.meta.service_model.resolved_protocol == wanted, made.meta.service_model.resolved_protocol
    if record:
        made.meta.events.register("before-send", write)
    return made


def write(request, event_name, **_):
    body = request.body or b""
    record.write("### " + event_name.rsplit(".", 1)[1] + "\n")
    record.write(request.method + " " + (urllib.parse.urlsplit(request.url).path or "/") + "\n")
    for name in sorted(request.headers, key=str.lower):
        if name.lower() in KEPT:
            value = request.headers[name]
            record.write(name + ": " + (value.decode() if isinstance(value, bytes) else value) + "\n")
    record.write("\n" + (body.decode() if isinstance(body, bytes) else body) + "\n")


def at(seconds):
    return datetime.datetime.fromtimestamp(now + seconds, datetime.timezone.utc)


def same(got, want):
    assert got == want, "got %r, want %r" % (got, want)


def fails(typed, code, status, text, call, **arguments):
    """The call fails with an exception of that type, a code of Query, and a status."""
    try:
        call(**arguments)
    except ClientError as e:
        same(type(e).__name__, typed)
        same(e.response["ResponseMetadata"]["HTTPStatusCode"], status)
        same(e.response["Error"]["Code"], code)
        same(e.response["Error"].get("Type", "Sender"), "Sender")
        assert text in e.response["Error"]["Message"], e.response
        return e.response
    raise AssertionError("nothing failed; wanted " + typed)


cw = client("cloudwatch", protocol)

# Metrics
dimensions = [{"Name": "service", "Value": "shop & <sons>"}, {"Name": "店", "Value": "x"}][:1]
for minute in range(3):
    cw.put_metric_data(
        Namespace="shop",
        MetricData=[
            {"MetricName": "Errors", "Dimensions": dimensions, "Timestamp": at(60 * minute - 600), "Value": 5.5 * minute, "Unit": "Count"},
            {"MetricName": "Latency", "Timestamp": at(60 * minute - 600), "Values": [0.1, 0.2, 1e-3], "Counts": [1, 2, 3], "Unit": "Seconds", "StorageResolution": 1},
            {"MetricName": "Set", "Timestamp": at(60 * minute - 600), "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4}},
        ],
    )
cw.put_metric_data(Namespace="shop", MetricData=[{"MetricName": "Now", "Value": 1}])
if not record:  # more than 10 KiB is packed by gzip
    cw.put_metric_data(Namespace="many", MetricData=[{"MetricName": "m%04d" % i, "Value": i} for i in range(700)])
    names = [m["MetricName"] for page in cw.get_paginator("list_metrics").paginate(Namespace="many") for m in page["Metrics"]]
    same(names, ["m%04d" % i for i in range(700)])
same([m["MetricName"] for m in cw.list_metrics(Namespace="shop")["Metrics"]], ["Errors", "Latency", "Now", "Set"])
same(cw.list_metrics(Dimensions=[{"Name": "service"}])["Metrics"], [{"Namespace": "shop", "MetricName": "Errors", "Dimensions": dimensions}])
same(len(cw.list_metrics(RecentlyActive="PT3H", Namespace="shop")["Metrics"]), 4)

points = cw.get_metric_statistics(
    Namespace="shop", MetricName="Errors", Dimensions=dimensions, StartTime=at(-600), EndTime=at(0), Period=60, Statistics=["Sum", "Maximum"]
)
same(points["Label"], "Errors")
same([(p["Timestamp"], p["Sum"], p["Maximum"]) for p in points["Datapoints"]], [(at(60 * m - 600), 5.5 * m, 5.5 * m) for m in range(3)])
points = cw.get_metric_statistics(
    Namespace="shop", MetricName="Latency", StartTime=at(-600), EndTime=at(0), Period=300, ExtendedStatistics=["p50", "p100"]
)
same([p["ExtendedStatistics"] for p in points["Datapoints"]], [{"p50": 0.001, "p100": 0.2}])


def query(name, stat, metric, dimensions=[], **more):
    return {"Id": name, "MetricStat": {"Metric": {"Namespace": "shop", "MetricName": metric, "Dimensions": dimensions}, "Period": 60, "Stat": stat}, **more}


data = cw.get_metric_data(
    StartTime=at(-600),
    EndTime=at(0),
    ScanBy="TimestampAscending",
    LabelOptions={"Timezone": "+0900"},
    MetricDataQueries=[
        query("e", "Sum", "Errors", dimensions, Label="${MAX} of ${LABEL}"),
        query("s", "Average", "Set", ReturnData=False),
        {"Id": "x", "Expression": "e+s", "Label": "both"},
        query("none", "p99.9", "Nothing"),
    ],
)["MetricDataResults"]
same([(r["Id"], r["Label"], r["Values"], r["StatusCode"]) for r in data],
     [("e", "11 of Errors", [0, 5.5, 11], "Complete"), ("x", "both", [2.5, 8, 13.5], "Complete"), ("none", "Nothing", [], "Complete")])
same(data[0]["Timestamps"], [at(-600), at(-540), at(-480)])
pages = list(cw.get_paginator("get_metric_data").paginate(
    StartTime=at(-600), EndTime=at(0), MaxDatapoints=2, MetricDataQueries=[query("e", "Sum", "Errors", dimensions)]))
same([(r["Values"], r["StatusCode"]) for p in pages for r in p["MetricDataResults"]], [([11, 5.5], "PartialData"), ([0], "Complete")])

# Alarms
arn = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:"
for name in ("b", "a", "c"):
    cw.put_metric_alarm(
        AlarmName=name, AlarmDescription="too many errors: エラー", Namespace="shop", MetricName="Errors", Dimensions=dimensions, Statistic="Sum", Period=60,
        EvaluationPeriods=3, DatapointsToAlarm=2, Threshold=7.25, ComparisonOperator="GreaterThanOrEqualToThreshold", TreatMissingData="notBreaching",
        AlarmActions=["arn:aws:sns:us-east-1:000000000000:t"], Tags=[{"Key": "team", "Value": "shop"}],
    )
cw.put_metric_alarm(
    AlarmName="math", EvaluationPeriods=1, Threshold=0, ComparisonOperator="LessThanThreshold",
    Metrics=[{"Id": "x", "Expression": "e*2", "ReturnData": True}, query("e", "Sum", "Errors", dimensions, ReturnData=False)],
)
names = [a["AlarmName"] for p in cw.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 1}) for a in p["MetricAlarms"]]
same(names, ["a", "b", "c", "math"])
alarm = cw.describe_alarms(AlarmNames=["b"], AlarmTypes=["MetricAlarm"])["MetricAlarms"][0]
same([alarm[k] for k in ("AlarmArn", "AlarmDescription", "Threshold", "EvaluationPeriods", "DatapointsToAlarm", "Dimensions", "StateValue", "ActionsEnabled", "AlarmConfigurationUpdatedTimestamp")],
     [arn + "b", "too many errors: エラー", 7.25, 3, 2, dimensions, "INSUFFICIENT_DATA", True, at(0)])
same([a["AlarmName"] for a in cw.describe_alarms_for_metric(Namespace="shop", MetricName="Errors", Dimensions=dimensions, Statistic="Sum")["MetricAlarms"]], ["a", "b", "c"])
cw.disable_alarm_actions(AlarmNames=["a", "nobody"])
same(cw.describe_alarms(AlarmNames=["a"])["MetricAlarms"][0]["ActionsEnabled"], False)
cw.enable_alarm_actions(AlarmNames=["a"])
same(cw.describe_alarms(AlarmNames=["a"])["MetricAlarms"][0]["ActionsEnabled"], True)
cw.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="a drill", StateReasonData=json.dumps({"a": 1}))
same([a["AlarmName"] for a in cw.describe_alarms(StateValue="ALARM")["MetricAlarms"]], ["a"])
history = [i for p in cw.get_paginator("describe_alarm_history").paginate(AlarmName="a", HistoryItemType="StateUpdate") for i in p["AlarmHistoryItems"]]
same([(i["HistorySummary"], i["Timestamp"]) for i in history], [("Alarm updated from INSUFFICIENT_DATA to ALARM", at(0))])

# Tags
same(cw.list_tags_for_resource(ResourceARN=arn + "a")["Tags"], [{"Key": "team", "Value": "shop"}])
cw.tag_resource(ResourceARN=arn + "a", Tags=[{"Key": "owner", "Value": ""}])
cw.untag_resource(ResourceARN=arn + "a", TagKeys=["team"])
same(cw.list_tags_for_resource(ResourceARN=arn + "a")["Tags"], [{"Key": "owner", "Value": ""}])

# Dashboards
body = json.dumps({"widgets": [{"type": "text", "properties": {"markdown": "<&> 日本"}}]})
same(cw.put_dashboard(DashboardName="shop", DashboardBody=body).get("DashboardValidationMessages", []), [])
same(cw.get_dashboard(DashboardName="shop")["DashboardBody"], body)
same([(d["DashboardName"], d["Size"], d["LastModified"]) for d in cw.list_dashboards(DashboardNamePrefix="s")["DashboardEntries"]],
     [("shop", len(body.encode()), at(0))])
cw.delete_dashboards(DashboardNames=["shop"])

# Errors
fails("InvalidParameterValueException", "InvalidParameterValue", 400, "no unit", cw.put_metric_data,
      Namespace="n", MetricData=[{"MetricName": "m", "Value": 1, "Unit": "Furlongs"}])
fails("MissingRequiredParameterException", "MissingParameter", 400, "Namespace", cw.put_metric_data, MetricData=[{"MetricName": "m", "Value": 1}])
fails("InvalidParameterCombinationException", "InvalidParameterCombination", 400, "give one of them", cw.put_metric_data,
      Namespace="n", MetricData=[{"MetricName": "m", "Value": 1, "Values": [1]}])
fails("InvalidNextToken", "InvalidNextToken", 400, "NextToken", cw.describe_alarm_history, NextToken="x")
fails("InvalidFormatFault", "InvalidFormat", 400, "not JSON", cw.set_alarm_state, AlarmName="a", StateValue="OK", StateReason="x", StateReasonData="{")
fails("ResourceNotFound", "ResourceNotFound", 404, "no alarm", cw.set_alarm_state, AlarmName="nobody", StateValue="OK", StateReason="x")
fails("ResourceNotFoundException", "ResourceNotFoundException", 404, "no such alarm", cw.list_tags_for_resource, ResourceARN=arn + "nobody")
# Both errors have the code ResourceNotFound in Query, by which botocore chooses the
# type in every protocol; it takes the first.
fails("ResourceNotFound", "ResourceNotFound", 404, "does not exist", cw.get_dashboard, DashboardName="nobody")
response = fails("DashboardInvalidInputError", "InvalidParameterInput", 400, "1 validation errors", cw.put_dashboard, DashboardName="d", DashboardBody="[]")
same(response["dashboardValidationMessages"], [{"DataPath": "", "Message": "Should be object"}])
fails("ClientError", "InvalidAction" if protocol == "query" else "UnknownOperationException",
      400 if protocol == "query" else 404, "is not part of this CloudWatch", cw.get_metric_widget_image, MetricWidget="{}")
cw.delete_alarms(AlarmNames=["a", "b", "c", "math"])
same(cw.describe_alarms()["MetricAlarms"], [])
if record:
    sys.exit()

# Other services, each in its one protocol
same(client("sts", "query").get_caller_identity()["Account"], "000000000000")
logs = client("logs", "json")
logs.create_log_group(logGroupName="/shop")
logs.create_log_stream(logGroupName="/shop", logStreamName="a")
logs.put_log_events(logGroupName="/shop", logStreamName="a", logEvents=[{"timestamp": (now - 60) * 1000, "message": "ERROR 日本"}])
same([e["message"] for p in logs.get_paginator("filter_log_events").paginate(logGroupName="/shop", filterPattern="ERROR") for e in p["events"]], ["ERROR 日本"])
try:
    logs.describe_log_streams(logGroupName="/nobody")
    raise AssertionError("nothing failed")
except logs.exceptions.ResourceNotFoundException as e:
    same(e.response["ResponseMetadata"]["HTTPStatusCode"], 400)
print("ok")
