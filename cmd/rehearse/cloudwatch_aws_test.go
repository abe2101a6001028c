package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/containers"
	"rehearsal/internal/lang"
)

// someAWS is an AWS that only says who one is, and the environment that leads to it.
func someAWS(t *testing.T, status int) (env []string, calls *atomic.Int32) {
	t.Helper()
	calls = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, _ := io.ReadAll(r.Body)
		assert.Contains(t, string(body), "Action=GetCallerIdentity", "nothing else is asked")
		w.WriteHeader(status)
		if status != http.StatusOK {
			fmt.Fprint(w, `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
  <Arn>arn:aws:iam::123456789012:user/rehearser</Arn><UserId>AIDA</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	t.Cleanup(server.Close)
	return []string{
		"AWS_ENDPOINT_URL=" + server.URL, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIAHIDDEN", "AWS_SECRET_ACCESS_KEY=hush", "AWS_SESSION_TOKEN=",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_PROFILE=", "AWS_EC2_METADATA_DISABLED=true", "AWS_MAX_ATTEMPTS=1",
		"DOCKER_HOST=unix:///nonexistent/docker.sock", "REHEARSAL_INSTALL_DOCKER=no",
	}, calls
}

var awsVerify = []string{"verify", "--file", "../../fixtures/rehearsal.yaml", "--stage", "containers", "--cloudwatch", "aws", "--pace", "1", "../../features/undetected.feature"}

func TestAWSIsRefusedWithoutConfirmation(t *testing.T) {
	env, calls := someAWS(t, http.StatusOK)
	out, status := run(t, env, awsVerify...)
	assert.Equal(t, 2, status, out)
	assert.Contains(t, out, "there is no terminal to ask on")
	assert.Contains(t, out, "--yes")
	assert.Zero(t, calls.Load(), "it was not even asked who this is")
}

func TestAWSIsShownBeforeAnythingStarts(t *testing.T) {
	env, calls := someAWS(t, http.StatusOK)
	out, status := run(t, env, append(awsVerify, "--yes")...)
	assert.Equal(t, 3, status, "there is no engine: %s", out)
	account := strings.Index(out, "account  123456789012")
	assert.Positive(t, account, out)
	assert.Less(t, account, strings.Index(out, "Rehearsing the releases"))
	for _, want := range []string{"as       arn:aws:iam::123456789012:user/rehearser", "region   eu-west-1", "not AWS's own", "Each scenario makes 5 alarms", "pricing", "NOT VERIFIED"} {
		assert.Contains(t, out, want)
	}
	assert.EqualValues(t, 1, calls.Load())
	assert.NotContains(t, out, "AKIAHIDDEN")
	assert.NotContains(t, out, "hush")
}

func TestAWSIsRefused(t *testing.T) {
	env, _ := someAWS(t, http.StatusForbidden)
	with := func(more ...string) []string { return append(append([]string{}, awsVerify...), more...) }
	for name, c := range map[string]struct {
		env, args []string
		want      string
	}{
		"at a pace above 1":        {nil, with("--yes", "--pace", "60"), "needs --pace 1"},
		"on the simulated stage":   {nil, with("--yes", "--stage", "sim"), "only containers are watched by AWS"},
		"with bad credentials":     {nil, with("--yes"), "InvalidClientTokenId"},
		"without a region":         {[]string{"AWS_REGION=", "AWS_DEFAULT_REGION="}, with("--yes"), "AWS_REGION"},
		"without credentials":      {[]string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}, with("--yes"), "choose a profile"},
		"with an unknown profile":  {[]string{"AWS_PROFILE=nosuch"}, with("--yes"), "nosuch"},
		"as an unknown CloudWatch": {nil, with("--cloudwatch", "azure"), `it is "embedded", "localstack" or "aws"`},
	} {
		t.Run(name, func(t *testing.T) {
			out, status := run(t, append(env, c.env...), c.args...)
			assert.Equal(t, 2, status, out)
			assert.Contains(t, out, c.want)
			assert.NotContains(t, out, "hush")
			assert.NotContains(t, out, "Rehearsing")
		})
	}
}

func TestConfirmAWS(t *testing.T) {
	account := &containers.AWSAccount{ID: "123456789012"}
	for typed, want := range map[string]bool{
		"123456789012\n": true, " 123456789012 \r\n": true, "123456789012": true,
		"": false, "\n": false, "y\n": false, "yes\n": false, "12345678901\n": false, strings.Repeat("1", 5000): false,
	} {
		var out bytes.Buffer
		err := confirmAWS(t.Context(), account, strings.NewReader(typed), speaker{&out, lang.English})
		assert.Equal(t, want, err == nil, "%q", typed)
		assert.Equal(t, "Type the account id to go on: ", out.String())
	}
	require.Error(t, confirmAWS(t.Context(), &containers.AWSAccount{}, strings.NewReader("\n"), speaker{io.Discard, lang.English}), "an account without an id is nobody's")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, closeIt := io.Pipe()
	defer func() { _ = closeIt.Close() }()
	require.ErrorContains(t, confirmAWS(ctx, account, silent, speaker{io.Discard, lang.English}), "nothing was started", "Ctrl-C at the question")
}
