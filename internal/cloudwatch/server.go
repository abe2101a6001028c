package cloudwatch

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	snsapi "github.com/aws/aws-sdk-go-v2/service/sns"

	"rehearsal/internal/awshttp"
)

// A Server is a Store's HTTP front on a port of this machine.
type Server struct {
	URL string // http://127.0.0.1:port, the endpoint for CloudWatch, Logs, SNS and STS

	http   http.Server
	client *http.Client
	ended  chan error
	close  func() error // once
}

// Serve puts the store's HTTP front on a free port of 127.0.0.1. Close it.
func (s *Store) Serve() (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the embedded CloudWatch gets no port on 127.0.0.1: %w", err)
	}
	v := &Server{
		URL:    "http://" + listener.Addr().String(),
		http:   http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second},
		client: &http.Client{Transport: awshttp.WholeAnswers(&http.Transport{MaxIdleConnsPerHost: 4})},
		ended:  make(chan error, 1),
	}
	v.close = sync.OnceValue(v.end)
	go func() { v.ended <- v.http.Serve(listener) }()
	return v, nil
}

// Close ends the server, its connections and those of its clients. It may be called
// again, and by several goroutines: all get the same answer.
func (v *Server) Close() error { return v.close() }

func (v *Server) end() error {
	v.client.CloseIdleConnections()
	err := v.http.Close()
	if ended := <-v.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// MetricsClient is the SDK's client for CloudWatch, talking to this server. It
// reads no configuration and no credentials of this machine, and tries once.
func (v *Server) MetricsClient() *cloudwatch.Client {
	return cloudwatch.New(cloudwatch.Options{BaseEndpoint: aws.String(v.URL), Region: region, Credentials: madeUp(),
		HTTPClient: v.client, Retryer: aws.NopRetryer{}})
}

// LogsClient is the SDK's client for CloudWatch Logs; see MetricsClient.
func (v *Server) LogsClient() *cloudwatchlogs.Client {
	return cloudwatchlogs.New(cloudwatchlogs.Options{BaseEndpoint: aws.String(v.URL), Region: region, Credentials: madeUp(),
		HTTPClient: v.client, Retryer: aws.NopRetryer{}})
}

// SNSClient is the SDK's client for SNS; see MetricsClient.
func (v *Server) SNSClient() *snsapi.Client {
	return snsapi.New(snsapi.Options{BaseEndpoint: aws.String(v.URL), Region: region, Credentials: madeUp(),
		HTTPClient: v.client, Retryer: aws.NopRetryer{}})
}

const region = "us-east-1"

func madeUp() aws.CredentialsProvider {
	return credentials.NewStaticCredentialsProvider("rehearsal", "rehearsal", "")
}
