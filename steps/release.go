package steps

import (
	"context"
	"fmt"

	"rehearsal/internal/check"
	"rehearsal/internal/release"
	"rehearsal/internal/stage"
)

func releasePhrases() []Phrase {
	became := func(want release.Result) func(context.Context, *World, Args) error {
		return func(_ context.Context, w *World, _ Args) error { return w.became(want, release.NoCause) }
	}
	because := func(want release.Result, cause release.Cause) func(context.Context, *World, Args) error {
		return func(_ context.Context, w *World, _ Args) error { return w.became(want, cause) }
	}
	return []Phrase{
		{"Given", `the on-call engineer rolls back by hand {after:duration} after {version} serves {percent}`,
			`{version} への割合が{percent}になって{after:duration}後に当番の担当者が手動でロールバックする`,
			func(_ context.Context, w *World, a Args) error {
				w.byHand = &stage.Moment{Version: a.Text("version"), Share: a.Percent("percent"), After: a.Duration("after")}
				return nil
			}},
		{"When", `{version} is released as the {plan} plan says`,
			`{version} を {plan} 計画でリリースする`,
			func(ctx context.Context, w *World, a Args) error {
				return w.release(ctx, a.Text("version"), w.suite.Project.Plans[a.Text("plan")])
			}},
		{"When", `{version} is released as the team's plan says`,
			`{version} をチームの計画どおりにリリースする`,
			func(ctx context.Context, w *World, a Args) error {
				return w.release(ctx, a.Text("version"), w.suite.Project.Plan)
			}},
		{"Then", `the release succeeds`, `リリースは成功する`, became(release.Released)},
		{"Then", `the release is rolled back`, `リリースはロールバックされる`, became(release.RolledBack)},
		{"Then", `the release is rolled back because of an alarm`, `リリースは警報によってロールバックされる`, because(release.RolledBack, release.CauseAlarm)},
		{"Then", `the release is rolled back because of a failed health check`, `リリースはヘルスチェックの失敗によってロールバックされる`, because(release.RolledBack, release.CauseHealth)},
		{"Then", `the release is rolled back because of its test traffic`, `リリースは試験要求の失敗によってロールバックされる`, because(release.RolledBack, release.CauseTest)},
		{"Then", `the release is rolled back because of the check at a shift`, `リリースは切り替え前後の確認の失敗によってロールバックされる`, because(release.RolledBack, release.CauseShift)},
		{"Then", `the release is rolled back because of the check after it`, `リリースはリリース後の確認の失敗によってロールバックされる`, because(release.RolledBack, release.CauseAfter)},
		{"Then", `the release is rolled back by hand`, `リリースは手動でロールバックされる`, because(release.RolledBack, release.CauseByHand)},
		{"Then", `the release is refused before it starts`, `リリースは始まる前に止められる`, because(release.Refused, release.CauseBefore)},
		{"Then", `the release is refused because an alarm is red already`, `リリースは警報が既に鳴っているため始まらない`, because(release.Refused, release.CauseAlarm)},
		{"Then", `the release stops, since there is no version to go back to`, `戻る版がないためリリースは停止する`, became(release.Stuck)},
		{"Then", `version {version} passes its smoke requests`,
			`版 {version} はスモークテストに合格する`,
			func(ctx context.Context, w *World, a Args) error {
				return w.find(probed(w.history(), a.Text("version")))
			}},
	}
}

// became compares how the release ended with what the spec says.
func (w *World) became(want release.Result, cause release.Cause) error {
	name := fmt.Sprintf("the release is %s", want)
	got := w.outcome
	switch {
	case got == nil:
		return &InputError{"nothing was released: a When that releases a version must come first"}
	case got.Result != want:
		return w.find(check.Finding{Check: name, Verdict: check.Failed, Detail: fmt.Sprintf("the release was %s, not %s: %s", got.Result, want, got.Detail)})
	case cause != release.NoCause && got.Cause != cause:
		return w.find(check.Finding{Check: name, Verdict: check.Failed, Detail: fmt.Sprintf("the release was %s because of %s, not %s: %s", got.Result, got.Cause, cause, got.Detail)})
	}
	return w.find(check.Finding{Check: name, Detail: got.Detail})
}

// probed holds when the last smoke requests to version were answered well.
func probed(h *stage.History, version string) check.Finding {
	f := check.Finding{Check: fmt.Sprintf("smoke requests to %q", version), Verdict: check.Inconclusive, Detail: fmt.Sprintf("no smoke request was sent to %q: does the plan check it?", version)}
	for e := range h.All(stage.Probed) {
		if e.Probe.Kind == stage.ProbeSmoke && e.Probe.Version == version {
			f.Verdict, f.Detail = check.Passed, e.Detail
			if !e.OK {
				f.Verdict = check.Failed
			}
		}
	}
	return f
}
