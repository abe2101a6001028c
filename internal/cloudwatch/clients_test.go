package cloudwatch_test

import (
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// foreign runs a client that is not written in Go, with nothing of this machine's
// AWS configuration, and expects that its last line is "ok".
func foreign(t *testing.T, command ...string) {
	require.Regexp(t, `(^|\n)ok\n$`, foreignRun(t, command...))
}

func foreignRun(t *testing.T, command ...string) string {
	run := exec.Command(command[0], command[1:]...)
	run.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "NO_PROXY=*",
		"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=x", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "PYENV_ROOT=" + os.Getenv("PYENV_ROOT"), "PYENV_VERSION=" + os.Getenv("PYENV_VERSION")}
	out, err := run.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// boto3 in every protocol that it can speak.
func TestBoto3(t *testing.T) {
	if out, err := exec.Command("python3", "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("python3 with boto3 is not installed, so that it is not tried as a client (its recorded requests are, in TestRecordedRequests): %v %s", err, out)
	}
	for _, protocol := range []string{"smithy-rpc-v2-cbor", "json", "query"} {
		t.Run(protocol, func(t *testing.T) {
			s := serve(t)
			foreign(t, "python3", "testdata/boto3_client.py", s.server.URL, protocol, strconv.FormatInt(epoch.Unix(), 10))
		})
	}
}

func TestAWSCLI(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skipf("the AWS CLI is not installed, so that it is not tried as a client: %v", err)
	}
	foreign(t, "sh", "testdata/awscli_client.sh", serve(t).server.URL)
}
