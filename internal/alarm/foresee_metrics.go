package alarm

import (
	"cmp"
	"math"
	"time"
)

// A conduct is what a service does, and what becomes of a request to it, as
// shares of 1.
type conduct struct {
	targeted float64 // the balancer found a target to ask
	answered float64 // the target answered
	target5  float64 // it answered with a 5xx
	own5     float64 // the balancer answered with a 5xx of its own
	slow     float64 // of the answered: took delay longer
	delay    time.Duration
	unwell   int // tasks that the health check has made unhealthy
	cpu      float64
	memory   float64
	silent   bool // nothing is published
}

// allWell is all well.
func allWell(s *Scene) conduct {
	return conduct{targeted: 1, answered: 1, cpu: s.CPU, memory: s.Memory}
}

// bring brings the failure about; noticed says that the health check knows of it.
func (c *conduct) bring(s *Scene, f Failure, noticed bool) {
	switch f.Trouble {
	case Failing:
		c.target5 = f.Share / 100
	case Slowing:
		c.slow, c.delay = f.Share/100, f.Delay
	case Stopping:
		// Until the health check notices, the stopped tasks get their share of the
		// requests. Afterwards they get none, unless no other is left: then the
		// balancer asks all of them again ("fail open", user guide of the
		// Application Load Balancer, "Health checks for your target groups").
		down := float64(f.Tasks) / float64(max(1, s.Replicas))
		if noticed {
			c.unwell = f.Tasks
			if f.Tasks < s.Replicas {
				down = 0
			}
		}
		c.answered, c.own5 = 1-down, down
	case Filling:
		c.cpu, c.memory = max(c.cpu, f.Share), max(c.memory, f.Share)
	case Silence:
		c.silent = true
	}
}

// A meaning is what a metric of AWS is, in words, and what of a service's condition
// it shows. The sources are AWS's user guides: of the Application Load Balancer
// ("CloudWatch metrics for your Application Load Balancer"), of ECS ("CloudWatch
// metrics"), and of the other services.
type meaning struct {
	namespace, name string
	unit            string // that AWS publishes it in
	counts          string // if its Sum is a number of something: of what
	is              string // else what one sample is
	// sparse says that nothing is published for a minute in which there is nothing
	// to count.
	sparse bool
	fine   bool // may have more than one sample a minute
	// misses is what one may think it shows and it does not.
	misses string
	// sample puts what the metric gets in so many seconds of a condition into a
	// distribution; nil: it is not modelled.
	sample func(s *Scene, c *conduct, seconds float64, d *Distribution)
}

const (
	elb = "AWS/ApplicationELB"
	ecs = "AWS/ECS"
)

// counting publishes 1 for each of a share of the requests.
func counting(share func(*conduct) float64) func(*Scene, *conduct, float64, *Distribution) {
	return func(s *Scene, c *conduct, seconds float64, d *Distribution) {
		d.Add(1, whole(s.Rate*seconds*share(c)))
	}
}

// whole is the requests that are certain: half a request is none.
func whole(v float64) float64 { return math.Floor(v + 1e-6) }

// gauging publishes one value a minute.
func gauging(value func(*Scene, *conduct) float64) func(*Scene, *conduct, float64, *Distribution) {
	return func(s *Scene, c *conduct, seconds float64, d *Distribution) {
		d.Add(value(s, c), seconds/minute)
	}
}

var meanings = []meaning{
	{namespace: elb, name: "RequestCount", unit: "Count", counts: "requests that the balancer passed to a target", sparse: true,
		misses: "requests that the balancer refused before it had a target",
		sample: counting(func(c *conduct) float64 { return c.targeted })},
	{namespace: elb, name: "RequestCountPerTarget", unit: "Count", counts: "requests passed to each target", sparse: true},
	{namespace: elb, name: "HTTPCode_Target_2XX_Count", unit: "Count", counts: "requests that the service answered with a 2xx", sparse: true,
		misses: "what the balancer answers itself",
		sample: counting(func(c *conduct) float64 { return c.answered - c.target5 })},
	{namespace: elb, name: "HTTPCode_Target_3XX_Count", unit: "Count", counts: "requests that the service answered with a 3xx", sparse: true,
		misses: "what the balancer answers itself", sample: counting(none)},
	{namespace: elb, name: "HTTPCode_Target_4XX_Count", unit: "Count", counts: "requests that the service answered with a 4xx", sparse: true,
		misses: "what the balancer answers itself", sample: counting(none)},
	{namespace: elb, name: "HTTPCode_Target_5XX_Count", unit: "Count", counts: "requests that the service answered with a 5xx", sparse: true,
		misses: "a 5xx that the balancer answers itself when no task does (HTTPCode_ELB_5XX_Count has those)",
		sample: counting(func(c *conduct) float64 { return c.target5 })},
	{namespace: elb, name: "HTTPCode_ELB_5XX_Count", unit: "Count", counts: "requests that the balancer answered with a 5xx of its own", sparse: true,
		misses: "a 5xx that the service answers (HTTPCode_Target_5XX_Count has those)",
		sample: counting(func(c *conduct) float64 { return c.own5 })},
	{namespace: elb, name: "HTTPCode_ELB_502_Count", unit: "Count", counts: "requests that the balancer answered with a 502 of its own", sparse: true,
		misses: "503 (no task registered) and 504 (a task hangs), and what the service answers",
		sample: counting(func(c *conduct) float64 { return c.own5 })},
	{namespace: elb, name: "HTTPCode_ELB_503_Count", unit: "Count", counts: "requests that the balancer answered with a 503, having no task to ask", sparse: true,
		misses: "502 (a task refuses) and 504 (a task hangs), and what the service answers", sample: counting(none)},
	{namespace: elb, name: "HTTPCode_ELB_504_Count", unit: "Count", counts: "requests that the balancer answered with a 504, since a task took too long", sparse: true,
		misses: "502 (a task refuses) and 503 (no task registered), and what the service answers", sample: counting(none)},
	{namespace: elb, name: "HTTPCode_ELB_4XX_Count", unit: "Count", counts: "requests that the balancer answered with a 4xx of its own", sparse: true, sample: counting(none)},
	{namespace: elb, name: "TargetConnectionErrorCount", unit: "Count", counts: "connections that a task did not take", sparse: true,
		misses: "errors of a task that answers", sample: counting(func(c *conduct) float64 { return c.own5 })},
	{namespace: elb, name: "RejectedConnectionCount", unit: "Count", counts: "connections that the balancer refused, having too many", sparse: true, sample: counting(none)},
	{namespace: elb, name: "ActiveConnectionCount", unit: "Count", counts: "connections that were open"},
	{namespace: elb, name: "TargetResponseTime", unit: "Seconds", is: "time from the balancer's request until the service begins to answer", sparse: true,
		misses: "requests that no task answered: they have no time", sample: responseTimes},
	{namespace: elb, name: "HealthyHostCount", unit: "Count", is: "number of tasks that the balancer's health check finds healthy",
		misses: "tasks that were deregistered: they are neither healthy nor unhealthy, and with none registered nothing is published",
		sample: gauging(func(s *Scene, c *conduct) float64 { return float64(s.Replicas - c.unwell) })},
	{namespace: elb, name: "UnHealthyHostCount", unit: "Count", is: "number of tasks that the balancer's health check finds unhealthy",
		misses: "tasks that were stopped and deregistered: they are neither healthy nor unhealthy",
		sample: gauging(func(_ *Scene, c *conduct) float64 { return float64(c.unwell) })},
	{namespace: ecs, name: "CPUUtilization", unit: "Percent", is: "share of its CPU that the service uses",
		misses: "one busy task among idle ones, if it is the Average",
		sample: gauging(func(_ *Scene, c *conduct) float64 { return c.cpu })},
	{namespace: ecs, name: "MemoryUtilization", unit: "Percent", is: "share of its memory that the service uses",
		misses: "a task that was killed for want of memory and began anew",
		sample: gauging(func(_ *Scene, c *conduct) float64 { return c.memory })},

	// Known by word only: what they show hangs on more than the service's answers.
	{namespace: "ECS/ContainerInsights", name: "RunningTaskCount", unit: "Count", is: "number of running tasks"},
	{namespace: "AWS/NetworkELB", name: "UnHealthyHostCount", unit: "Count", is: "number of targets that the health check finds unhealthy"},
	{namespace: "AWS/ApiGateway", name: "5XXError", unit: "Count", counts: "requests that the API answered with a 5xx",
		misses: "errors that the API's integration answers as 200"},
	{namespace: "AWS/ApiGateway", name: "4XXError", unit: "Count", counts: "requests that the API answered with a 4xx"},
	{namespace: "AWS/ApiGateway", name: "Latency", unit: "Milliseconds", is: "time from API Gateway's request until its answer"},
	{namespace: "AWS/Lambda", name: "Errors", unit: "Count", counts: "invocations that ended in an error of the function",
		misses: "throttled invocations (Throttles has those), and errors that the function answers itself"},
	{namespace: "AWS/Lambda", name: "Throttles", unit: "Count", counts: "invocations that were throttled"},
	{namespace: "AWS/Lambda", name: "Duration", unit: "Milliseconds", is: "time that the function ran"},
	{namespace: "AWS/SQS", name: "ApproximateAgeOfOldestMessage", unit: "Seconds", is: "age of the oldest message of the queue",
		misses: "a message that was received more than three times: it is left out"},
	{namespace: "AWS/SQS", name: "ApproximateNumberOfMessagesVisible", unit: "Count", is: "number of messages that wait in the queue"},
	{namespace: "AWS/RDS", name: "CPUUtilization", unit: "Percent", is: "share of its CPU that the database uses"},
	{namespace: "AWS/RDS", name: "DatabaseConnections", unit: "Count", is: "number of connections to the database"},
	{namespace: "AWS/RDS", name: "FreeStorageSpace", unit: "Bytes", is: "free storage of the database, in bytes"},
	{namespace: "AWS/RDS", name: "FreeableMemory", unit: "Bytes", is: "free memory of the database, in bytes"},
	{namespace: "AWS/EC2", name: "CPUUtilization", unit: "Percent", is: "share of its CPU that the instance uses"},
	{namespace: "AWS/EC2", name: "StatusCheckFailed", unit: "Count", is: "failed status check of the instance (1; else 0)"},
	{namespace: "AWS/DynamoDB", name: "ThrottledRequests", unit: "Count", counts: "requests that the table throttled", sparse: true},
}

func none(*conduct) float64 { return 0 }

// responseTimes publishes how long each answer took. Single values make the
// percentiles: fine steps where alarms look, at the slow end.
func responseTimes(s *Scene, c *conduct, seconds float64, d *Distribution) {
	n := whole(s.Rate * seconds * c.answered)
	if n == 0 {
		return
	}
	slow := whole(n*c.slow) / n
	sigma := 0.0
	if s.P99 > s.Median {
		sigma = math.Log(s.P99.Seconds()/s.Median.Seconds()) / 2.3263478740408408 // the normal's 99th percentile
	}
	low := 0.0
	for _, high := range quantiles {
		v := s.Median.Seconds() * math.Exp(sigma*math.Sqrt2*math.Erfinv(low+high-1)) // at the middle of the two
		d.Add(v, n*(high-low)*(1-slow))
		d.Add(v+c.delay.Seconds(), n*(high-low)*slow)
		low = high
	}
}

// quantiles are where the steps end.
var quantiles = func() []float64 {
	var q []float64
	for i := 1; i < 20; i++ {
		q = append(q, float64(i)/20)
	}
	for i := 1; i < 9; i++ {
		q = append(q, 0.95+float64(i)/200)
	}
	for i := 0; i < 10; i++ {
		q = append(q, 0.99+float64(i)/1000)
	}
	return append(q, 0.9995, 0.9999, 1)
}()

// meaning is what is known of a metric; nil if it is not known.
func (s *Scene) meaning(m Metric) *meaning {
	for _, l := range s.Lines {
		if l.Namespace == m.Namespace && l.MetricName == m.MetricName {
			return l.meaning()
		}
	}
	return meaningOf(m.Namespace, m.MetricName)
}

func meaningOf(namespace, name string) *meaning {
	for i := range meanings {
		if meanings[i].namespace == namespace && meanings[i].name == name {
			return &meanings[i]
		}
	}
	return nil
}

// PublishedUnit is the unit that AWS publishes a metric of its own in, such as Seconds
// for TargetResponseTime; None where that is not known.
func PublishedUnit(namespace, metric string) string {
	if m := meaningOf(namespace, metric); m != nil {
		return m.unit
	}
	return "None"
}

// meaning of a metric filter's metric: failed requests are what makes its lines.
func (l LineMetric) meaning() *meaning {
	return &meaning{namespace: l.Namespace, name: l.MetricName, unit: cmp.Or(l.Unit, "None"), counts: "log lines that its metric filter matches", sparse: l.Default == nil, fine: true,
		misses: "what the service does not log, such as its own death",
		sample: func(s *Scene, c *conduct, seconds float64, d *Distribution) {
			n := whole(s.Rate * seconds * c.target5 * s.Logged)
			d.Add(1, n)
			// The default comes once a minute with lines and no match; a service with
			// traffic logs something else every minute, and a silent one nothing.
			if n == 0 && l.Default != nil && c.answered > 0 {
				d.Add(*l.Default, seconds/minute)
			}
		}}
}
