package cloudwatch_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	cw "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
	"github.com/aws/smithy-go/transport/http/protocol/rpcv2"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/alarm"
	"rehearsal/internal/cloudwatch"
)

// epoch is a whole minute.
var epoch = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// hour is what a simulated stage feeds and asks in an hour: 5 alarms, two of them
// metric math and one a p99, and the metrics of two versions.
type hour struct {
	alarms  []*alarm.Compiled
	metrics []alarm.Metric
	latency alarm.Distribution // of one version's minute
	count   alarm.Distribution
}

func newHour(tb testing.TB) *hour {
	alarms, err := alarm.ParseFile("../../fixtures/alarms.json")
	require.NoError(tb, err)
	h := &hour{}
	for i := range alarms {
		c, err := alarms[i].Compile()
		require.NoError(tb, err)
		h.alarms = append(h.alarms, c)
	}
	require.GreaterOrEqual(tb, len(h.alarms), 4)
	extra := alarms[1]
	extra.AlarmName = "one-more"
	c, err := extra.Compile()
	require.NoError(tb, err)
	h.alarms = append(h.alarms, c)[:5]

	lb := alarm.Dimension{Name: "LoadBalancer", Value: "app/shop/50dc6c495c0c9188"}
	for _, group := range []string{"", "targetgroup/shop-a/1", "targetgroup/shop-b/2"} {
		for _, name := range []string{"RequestCount", "HTTPCode_Target_5XX_Count", "TargetResponseTime"} {
			dims := []alarm.Dimension{lb}
			if group != "" {
				dims = append(dims, alarm.Dimension{Name: "TargetGroup", Value: group})
			}
			h.metrics = append(h.metrics, alarm.Metric{Namespace: "AWS/ApplicationELB", MetricName: name, Dimensions: dims})
		}
	}
	for _, name := range []string{"HTTPCode_ELB_5XX_Count", "HealthyHostCount", "UnHealthyHostCount", "CPUUtilization", "MemoryUtilization"} {
		h.metrics = append(h.metrics, alarm.Metric{Namespace: "AWS/ApplicationELB", MetricName: name, Dimensions: []alarm.Dimension{lb}})
	}
	for i := range 20 {
		h.latency.Add(0.01*float64(i+1)*float64(i+1), 60000/20)
	}
	h.count.AddSet(60000, 12, 0, 1)
	return h
}

// run is the hour on a store of its own.
func (h *hour) run(rate float64) (s *cloudwatch.Store, transitions int) {
	s = cloudwatch.NewStore(cloudwatch.Options{})
	s.PutCompiled(h.alarms...)
	var handles [32]*cloudwatch.Series
	for i, m := range h.metrics {
		handles[i] = s.Series(m.Namespace, m.MetricName, m.Dimensions...)
	}
	for minute := range 60 {
		at := epoch.Add(time.Duration(minute) * time.Minute)
		for i, m := range h.metrics {
			if m.MetricName == "TargetResponseTime" {
				handles[i].Add(at, &h.latency)
			} else {
				handles[i].AddValue(at, float64(minute%7), rate)
			}
		}
		transitions += len(s.Evaluate(at.Add(time.Minute)))
	}
	return s, transitions
}

// BenchmarkHour is a store made, fed and judged for one simulated hour: 60 minutes
// of 14 metrics, three of them with 20 different values, and 60 evaluations of 5
// alarms. A whole simulated release may take 1 ms.
func BenchmarkHour(b *testing.B) {
	h := newHour(b)
	b.ReportAllocs()
	for b.Loop() {
		h.run(1)
	}
}

// BenchmarkPutMetricData is PutMetricData as aws-sdk-go-v2 sends it, on all cores:
// 20 datums of two dimensions, by the handler itself and over the loopback, and by
// the SDK's client 14 metrics of 100 values each, as a container stage publishes a
// second.
func BenchmarkPutMetricData(b *testing.B) {
	inProcess := func(b *testing.B, call *sentCall) {
		handler := cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return epoch }}).Handler()
		b.ReportAllocs()
		perSecond(b, func() func() error {
			body := bytes.NewReader(call.body)
			r := &http.Request{Method: call.Method, URL: call.URL, Header: call.Header, Body: io.NopCloser(body)}
			w := &answer{header: http.Header{}}
			return func() error {
				body.Reset(call.body)
				w.status = 0
				w.body.Reset()
				handler.ServeHTTP(w, r)
				return failed(w.status, w.body.Bytes())
			}
		})
	}
	b.Run("20 datums in process, at least 20000 requests per s", func(b *testing.B) { inProcess(b, twentyDatums(b, inCBOR, plain, epoch)) })
	b.Run("20 datums in process, packed by gzip, at least 20000 requests per s", func(b *testing.B) { inProcess(b, twentyDatums(b, inCBOR, packed, epoch)) })
	b.Run("20 datums over the loopback, at least 5000 requests per s", func(b *testing.B) {
		server, err := cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return epoch }}).Serve()
		require.NoError(b, err)
		defer func() { require.NoError(b, server.Close()) }()
		twentyDatums(b, inCBOR, plain, epoch).over(b, server.URL)
	})
	b.Run("20 datums over the loopback in JSON", func(b *testing.B) {
		server, err := cloudwatch.NewStore(cloudwatch.Options{Now: func() time.Time { return epoch }}).Serve()
		require.NoError(b, err)
		defer func() { require.NoError(b, server.Close()) }()
		twentyDatums(b, inJSON, plain, epoch).over(b, server.URL)
	})
	b.Run("14 metrics of 100 values, by the SDK's client", func(b *testing.B) {
		server, err := cloudwatch.NewStore(cloudwatch.Options{}).Serve()
		require.NoError(b, err)
		defer func() { require.NoError(b, server.Close()) }()
		client := server.MetricsClient()
		in := &cw.PutMetricDataInput{Namespace: aws.String("AWS/ApplicationELB")}
		for _, m := range newHour(b).metrics {
			d := types.MetricDatum{MetricName: aws.String(m.MetricName), Timestamp: aws.Time(epoch)}
			for _, dim := range m.Dimensions {
				d.Dimensions = append(d.Dimensions, types.Dimension{Name: aws.String(dim.Name), Value: aws.String(dim.Value)})
			}
			for i := range 100 {
				d.Values, d.Counts = append(d.Values, 0.001*float64(i)), append(d.Counts, 60)
			}
			in.MetricData = append(in.MetricData, d)
		}
		b.ReportAllocs()
		for b.Loop() {
			_, err := client.PutMetricData(context.Background(), in)
			require.NoError(b, err)
		}
	})
}

// BenchmarkPutMetricDataMoto is the same call over the loopback to moto, where it is
// installed, for comparison: in JSON, since moto does not take CBOR.
func BenchmarkPutMetricDataMoto(b *testing.B) {
	if out, err := exec.Command("moto_server", "--help").CombinedOutput(); err != nil {
		b.Skipf("moto_server is not installed, so that nothing is compared with it: %v %s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	address := listener.Addr().String()
	require.NoError(b, listener.Close())
	_, port, err := net.SplitHostPort(address)
	require.NoError(b, err)
	moto := exec.Command("moto_server", "-H", "127.0.0.1", "-p", port)
	require.NoError(b, moto.Start())
	defer func() {
		require.NoError(b, moto.Process.Kill())
		_ = moto.Wait() // it was killed
	}()
	var now time.Time // moto's, which refuses datums of other weeks
	up := func() bool {
		answer, err := http.Get("http://" + address + "/moto-api/data.json")
		if err != nil {
			return false
		}
		now, err = http.ParseTime(answer.Header.Get("Date"))
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK && err == nil
	}
	require.Eventually(b, up, time.Minute, 100*time.Millisecond, "moto_server does not begin to answer")
	b.Run("20 datums over the loopback in JSON", func(b *testing.B) { twentyDatums(b, inJSON, plain, now).over(b, "http://"+address) })
}

// A sentCall is a request of the SDK.
type sentCall struct {
	*http.Request
	body []byte
}

var (
	inCBOR = rpcv2.NewCBOR(schemas.GraniteServiceVersion20100801)
	inJSON = awsjson.New10(schemas.GraniteServiceVersion20100801)
)

// From how many bytes on the SDK packs a request: 10 KiB with the configuration that
// it loads by itself, 0 with one that is made by hand.
const (
	plain  = 10 << 10
	packed = 0
)

// twentyDatums is the request that the SDK makes of 20 datums of that time.
func twentyDatums(b *testing.B, protocol smithyhttp.ClientProtocol, packFrom int64, at time.Time) *sentCall {
	in := &cw.PutMetricDataInput{Namespace: aws.String("shop")}
	for i := range 20 {
		in.MetricData = append(in.MetricData, types.MetricDatum{MetricName: aws.String(fmt.Sprintf("Requests%02d", i)), Timestamp: aws.Time(at), Value: aws.Float64(float64(i)), Unit: types.StandardUnitCount,
			Dimensions: []types.Dimension{{Name: aws.String("service"), Value: aws.String("shop")}, {Name: aws.String("version"), Value: aws.String("v2")}}})
	}
	call := &sentCall{}
	client := cw.New(cw.Options{BaseEndpoint: aws.String("http://127.0.0.1:1"), Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("x", "x", ""),
		RequestMinCompressSizeBytes: packFrom,
		HTTPClient: roundTrip(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			call.Request, call.body = r, body
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Header: http.Header{}}, err
		})}, func(o *cw.Options) { o.Protocol = protocol })
	_, err := client.PutMetricData(context.Background(), in)
	require.NoError(b, err)
	require.Equal(b, packFrom == packed, call.Header.Get("Content-Encoding") == "gzip")
	return call
}

// over sends the call to a server again and again.
func (c *sentCall) over(b *testing.B, endpoint string) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer client.CloseIdleConnections()
	target, err := url.Parse(endpoint)
	require.NoError(b, err)
	perSecond(b, func() func() error {
		return func() error {
			at := *c.URL
			at.Host = target.Host
			answer, err := client.Do(&http.Request{Method: c.Method, URL: &at, Header: c.Header, Host: c.Host, ContentLength: int64(len(c.body)), Body: io.NopCloser(bytes.NewReader(c.body))})
			if err != nil {
				return err
			}
			defer func() { _ = answer.Body.Close() }() // it was read to the end
			said, err := io.ReadAll(answer.Body)
			if err != nil {
				return err
			}
			return failed(answer.StatusCode, said)
		}
	})
}

func failed(status int, said []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("status %d: %s", status, said)
	}
	return nil
}

// perSecond runs a call on all cores, and tells how many there are in a second.
func perSecond(b *testing.B, caller func() func() error) {
	wrong := make(chan error, 1)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		call := caller()
		for p.Next() {
			if err := call(); err != nil {
				select {
				case wrong <- err:
				default: // one is enough
				}
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	select {
	case err := <-wrong:
		b.Fatal(err)
	default:
	}
}
