package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/testcontainers/testcontainers-go"

	"rehearsal/internal/clock"
)

// What Options.CloudWatch can be.
const (
	CloudWatchEmbedded   = "embedded"
	CloudWatchLocalStack = "localstack"
	CloudWatchAWS        = "aws"
)

// LocalStackImageVariable names the image to use for LocalStack instead of
// LocalStackImage, the last one that asks for no token.
const (
	LocalStackImageVariable = "REHEARSAL_LOCALSTACK_IMAGE"
	LocalStackImage         = "localstack/localstack:4.14.0"
)

const (
	localStackToken = "LOCALSTACK_AUTH_TOKEN" // passed on when set
	localStackPort  = 4566
	localStackEvery = 100 * time.Millisecond
	localStackLimit = 2 * time.Minute
)

func localStackImage() string {
	if ref := os.Getenv(LocalStackImageVariable); ref != "" {
		return ref
	}
	return LocalStackImage
}

// checkCloudWatch refuses a CloudWatch that there is not, and one that cannot judge
// the alarms of the setup.
func (s *Stage) checkCloudWatch() error {
	switch s.o.CloudWatch {
	case "", CloudWatchEmbedded:
		return judges(CloudWatchEmbedded, s.setup)
	case CloudWatchLocalStack, CloudWatchAWS:
	default:
		return fmt.Errorf("there is no CloudWatch %q: it is %s, %s or %s", s.o.CloudWatch, CloudWatchEmbedded, CloudWatchLocalStack, CloudWatchAWS)
	}
	if err := externalPace(s.o.Pace); err != nil {
		return err
	}
	if s.o.CloudWatch == CloudWatchAWS && s.o.AWS == nil {
		return errors.New("AWS is to judge the alarms, and nobody said which account: it is never looked for")
	}
	return judges(s.o.CloudWatch, s.setup)
}

// ensureCloudWatch makes LocalStack's image present where it is needed. It comes
// before all other images, which may take long to build.
func (s *Stage) ensureCloudWatch(ctx context.Context) error {
	if s.o.CloudWatch != CloudWatchLocalStack {
		return nil
	}
	_, err := s.images.Ensure(ctx, localStackImage())
	if missing := new(ImageError); errors.As(err, &missing) {
		here := *missing
		here.Remedy += ", or name one that is there by " + LocalStackImageVariable + ", or use the embedded CloudWatch"
		return fmt.Errorf("LocalStack: %w", &here)
	}
	return err
}

// startCloudWatch starts the CloudWatch outside of this process, if there is to be
// one, and says where it answers.
func (s *Stage) startCloudWatch(ctx context.Context) (cloudEndpoint, error) {
	switch s.o.CloudWatch {
	case CloudWatchAWS:
		s.o.Progress(fmt.Sprintf("stage %s is watched by AWS, account %s, %s: what it makes there is named rehearsal-%[1]s-* and tagged %[4]s=%[1]s",
			s.id, s.o.AWS.ID, s.o.AWS.Region, cloudTag))
		return cloudEndpoint{Account: s.o.AWS, Names: cloudNames{s.id}}, nil
	case CloudWatchLocalStack:
	default:
		return cloudEndpoint{}, nil
	}
	s.o.Progress("starting LocalStack")
	at, err := s.startLocalStack(ctx)
	if err != nil {
		return cloudEndpoint{}, fmt.Errorf("start LocalStack: %w", err)
	}
	return cloudEndpoint{URL: "http://" + at, Own: at}, nil
}

func (s *Stage) startLocalStack(ctx context.Context) (at string, err error) {
	spec := containerSpec{
		name: "localstack", labels: map[string]string{"rehearsal.part": "localstack"},
		service: types.ServiceConfig{ContainerSpec: types.ContainerSpec{Image: localStackImage()}},
		environment: map[string]string{
			"SERVICES": "cloudwatch,logs,sts",
			// There is no way out of the stage's network: do not look for one.
			"DISABLE_EVENTS": "1", "SKIP_SSL_CERT_DOWNLOAD": "1", "DNS_ADDRESS": "0",
		},
	}
	if token := os.Getenv(localStackToken); token != "" {
		spec.environment[localStackToken] = token
	}
	if !s.engine.Local {
		spec.publish = []string{fmt.Sprintf("%d/tcp", localStackPort)}
	}
	if spec.address, err = s.inside.address(); err != nil {
		return "", err
	}
	ctr, err := s.create(ctx, spec)
	if err != nil {
		return "", err
	}
	s.onExit(ctr.ID, func() { s.lose("LocalStack %s%s", s.exitOf(s.life, ctr.ID), s.localStackWords(s.life, ctr.ID)) })
	if err := ctr.Start(ctx); err != nil {
		return "", err
	}
	if at, err = s.localStackDoor(ctx, ctr, spec.address.String()); err != nil {
		return "", err
	}
	if err := localStackReady(ctx, "http://"+at); err != nil {
		return "", fmt.Errorf("%w%s", err, s.localStackWords(ctx, ctr.ID))
	}
	return at, nil
}

// localStackWords is its last words, without the token.
func (s *Stage) localStackWords(ctx context.Context, id string) string {
	words := s.lastLines(ctx, id)
	if token := os.Getenv(localStackToken); token != "" {
		words = strings.ReplaceAll(words, token, redacted)
	}
	return words
}

// localStackDoor is where this process reaches the container.
func (s *Stage) localStackDoor(ctx context.Context, ctr *testcontainers.DockerContainer, address string) (string, error) {
	if s.engine.Local {
		return net.JoinHostPort(address, strconv.Itoa(localStackPort)), nil
	}
	published, err := ctr.MappedPort(ctx, fmt.Sprintf("%d/tcp", localStackPort))
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(s.engine.PublishedHost, strconv.Itoa(int(published.Num()))), nil
}

// localStackReady waits until LocalStack offers what is needed of it.
func localStackReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, localStackLimit, fmt.Errorf("not ready after %s", localStackLimit))
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	last := errors.New("it was not asked yet")
	err := clock.Poll(ctx, localStackEvery, func() (bool, error) {
		err := localStackHealth(ctx, client, url)
		if ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), last)
	}
	return nil
}

func localStackHealth(ctx context.Context, client *http.Client, url string) error {
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/_localstack/health", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := client.Do(ask)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	var health struct{ Services map[string]string }
	if err := json.NewDecoder(answer.Body).Decode(&health); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("its health answers %s: %w", answer.Status, err)
	}
	for _, name := range []string{"cloudwatch", "logs"} {
		if is := health.Services[name]; is != "available" && is != "running" {
			return fmt.Errorf("its service %s is %q", name, is)
		}
	}
	return nil
}
