package pipeline

import (
	"context"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// nowhere is a proxy that refuses every connection: the discard port of this machine.
const nowhere = "http://127.0.0.1:9"

// environment is all that the steps get of this machine: its programs, folders of
// their own below dir, the stage, and no credentials. What they fetch by HTTP is
// refused at once, where they heed proxies.
func (o Options) environment(ctx context.Context, dir, door string) ([]string, error) {
	at := func(name string) string { return filepath.Join(dir, name) }
	env := []string{
		"PATH=" + at("bin") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + at("home"), "TMPDIR=" + at("tmp"), "XDG_CACHE_HOME=" + at("home/.cache"), "XDG_CONFIG_HOME=" + at("home/.config"),
		"LANG=C.UTF-8", "USER=runner", "CI=true", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		DoorVariable + "=" + door,
		"HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere, "http_proxy=" + nowhere, "https_proxy=" + nowhere,
		"NO_PROXY=127.0.0.1,localhost,::1", "no_proxy=127.0.0.1,localhost,::1",
		"AWS_EC2_METADATA_DISABLED=true",
	}
	if o.Endpoint != "" {
		env = append(env, "AWS_ENDPOINT_URL="+o.Endpoint, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
			"AWS_ACCESS_KEY_ID=rehearsal", "AWS_SECRET_ACCESS_KEY=rehearsal")
	}
	for _, name := range o.Keep {
		if CredentialName(name) {
			return nil, mistake("rehearsal.yaml: pipeline: keep: %s reads like a credential, and none is given to the steps of a rehearsed pipeline: take it out", name)
		}
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return append(env, goCaches(ctx)...), nil
}

var credential = regexp.MustCompile(`(?i)(^|_)(AWS|TOKEN|SECRET|KEY|PASS|PASSWD|PASSWORD|CREDENTIALS?|AUTH|SSH|COOKIE|GH|GITHUB)(_|$)`)

// CredentialName says whether a variable of that name is likely to hold a secret.
func CredentialName(name string) bool { return credential.MatchString(name) }

// goCaches lets builds of Go programs use what was compiled and downloaded before,
// since a standard library that is compiled anew takes half a minute. Nothing is
// downloaded.
func goCaches(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		return nil // no Go here
	}
	f := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(f) != 2 {
		return nil
	}
	return []string{"GOCACHE=" + strings.TrimSpace(f[0]), "GOMODCACHE=" + strings.TrimSpace(f[1]), "GOPROXY=off", "GOSUMDB=off", "GOTOOLCHAIN=local"}
}

// github is what GitHub tells of the push in the environment.
func (o Options) github(p Push) map[string]string {
	name, tag := p.name()
	kind := "branch"
	if tag {
		kind = "tag"
	}
	return map[string]string{
		"GITHUB_REPOSITORY": o.repository(), "GITHUB_REPOSITORY_OWNER": path.Dir(o.repository()), "GITHUB_REF": p.Ref, "GITHUB_REF_NAME": name,
		"GITHUB_REF_TYPE": kind, "SHA_REF": p.After, "GITHUB_RUN_ID": "1", "GITHUB_RUN_NUMBER": "1", "GITHUB_RUN_ATTEMPT": "1", "DEFAULT_BRANCH": o.branch(),
	}
}

func (o Options) repository() string { return "rehearsal/" + o.Service }

func (o Options) branch() string {
	if o.Push == "" {
		return "main"
	}
	return o.Push
}

// event is the payload of the push, the fields of it that workflows use.
//
// https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
func (o Options) event(p Push) any {
	commit := map[string]any{"id": p.After, "message": o.Version, "author": map[string]any{"name": "Rehearsal", "email": "rehearsal@localhost"}, "modified": p.Files}
	return map[string]any{
		"ref": p.Ref, "before": p.Before, "after": p.After, "created": p.Before == zeros, "deleted": false, "forced": false,
		"head_commit": commit, "commits": []any{commit}, "pusher": map[string]any{"name": "rehearsal"},
		"repository": map[string]any{
			"name": o.Service, "full_name": o.repository(), "default_branch": o.branch(), "owner": map[string]any{"login": path.Dir(o.repository())},
		},
	}
}
