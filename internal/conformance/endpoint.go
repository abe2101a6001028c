package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"
)

// An Endpoint is where a CloudWatch answers.
type Endpoint struct {
	URL         string
	Region      string
	Credentials aws.CredentialsProvider

	logs  string // where its Logs answer: the same, but for AWS
	local bool
}

// ParseEndpoint checks where a CloudWatch is to answer. One that is not on this
// machine is refused unless remote is set: what is there may be somebody's production.
func ParseEndpoint(text, region string, remote bool) (Endpoint, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return Endpoint{}, errors.New("--endpoint is missing: want the URL of a CloudWatch, such as http://127.0.0.1:4566")
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return Endpoint{}, fmt.Errorf("--endpoint %q: want a URL such as http://127.0.0.1:4566", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return Endpoint{}, fmt.Errorf("--endpoint %q: want scheme, host and port, and no more", text)
	}
	e := Endpoint{URL: u.Scheme + "://" + u.Host, Region: region, local: isLocal(u.Hostname()),
		Credentials: credentials.NewStaticCredentialsProvider("rehearsal", "rehearsal", "")}
	e.logs = e.URL
	if !e.local && !remote {
		return Endpoint{}, fmt.Errorf("--endpoint %q: this is not on this machine: alarms, dashboards and log groups would be made there. Say --allow-remote if that is meant", text)
	}
	// AWS has a host for each service.
	if rest, ok := strings.CutPrefix(u.Host, "monitoring."); ok {
		e.logs = u.Scheme + "://logs." + rest
		if parts := strings.Split(rest, "."); e.Region == "" && len(parts) > 2 {
			e.Region = parts[0]
		}
	}
	if e.Region == "" {
		e.Region = "us-east-1"
	}
	return e, nil
}

// Local says whether it is on this machine.
func (e *Endpoint) Local() bool { return e.local }

// isLocal takes localhost and its subdomains (RFC 6761) and loopback addresses.
func isLocal(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && net.IP(addr.AsSlice()).IsLoopback()
}

// protocols are those of CloudWatch, in the order in which SDKs prefer them.
var protocols = []struct {
	name, title string
	make        func() smithyhttp.ClientProtocol
}{
	{"cbor", "Smithy RPC v2 CBOR", func() smithyhttp.ClientProtocol { return rpcv2.NewCBOR(schemas.GraniteServiceVersion20100801) }},
	{"json", "AWS JSON 1.0", func() smithyhttp.ClientProtocol { return awsjson.New10(schemas.GraniteServiceVersion20100801) }},
	{"query", "AWS Query", func() smithyhttp.ClientProtocol { return awsquery.New(schemas.GraniteServiceVersion20100801) }},
}

// clients are the SDK's, trying once. They read no configuration of this machine.
func (e *Endpoint) clients(client *http.Client) (dial func(protocol string) *cloudwatch.Client, logs *cloudwatchlogs.Client) {
	dial = func(name string) *cloudwatch.Client {
		return cloudwatch.New(cloudwatch.Options{BaseEndpoint: aws.String(e.URL), Region: e.Region, Credentials: e.Credentials, HTTPClient: client, Retryer: aws.NopRetryer{}},
			func(o *cloudwatch.Options) { // later than New's own choice
				for _, p := range protocols {
					if p.name == name {
						o.Protocol = p.make()
					}
				}
			})
	}
	return dial, cloudwatchlogs.New(cloudwatchlogs.Options{BaseEndpoint: aws.String(e.logs), Region: e.Region, Credentials: e.Credentials, HTTPClient: client, Retryer: aws.NopRetryer{}})
}

// speaks puts a metric and asks for alarms, in the protocol of the client.
func (b *bench) speaks(ctx context.Context) error {
	_, err := b.cw.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String(b.prefix), MetricData: []types.MetricDatum{{MetricName: aws.String("Spoken"), Value: aws.Float64(1)}}})
	if err == nil {
		_, err = b.cw.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(b.prefix)})
	}
	return err
}
