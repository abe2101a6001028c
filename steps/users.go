package steps

import (
	"context"

	"rehearsal/internal/check"
)

func usersPhrases() []Phrase {
	return []Phrase{
		{"Then", `no request failed`,
			`失敗した要求は1件もない`,
			func(_ context.Context, w *World, _ Args) error { return w.find(check.NoneFailed(w.history())) }},
		{"Then", `at most {percent} of all requests failed`,
			`失敗した要求は全体の{percent}以下である`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.FailedAtMost(w.history(), a.Percent("percent")))
			}},
		{"Then", `version {version} serves everyone`,
			`版 {version} が全ての利用者に応答している`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.ServesEveryone(w.history(), a.Text("version")))
			}},
		{"Then", `version {version} never serves anyone`,
			`版 {version} は一度も利用者に応答しない`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.NeverServed(w.history(), a.Text("version")))
			}},
		{"Then", `all customers are back on {version} within {within:duration} of the alarm`,
			`警報から{within:duration}以内に全ての利用者が版 {version} に戻る`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.BackWithin(w.history(), w.released, a.Text("version"), a.Duration("within")))
			}},
		{"Then", `all customers are back on {version} within {within:duration} of the decision`,
			`判断から{within:duration}以内に全ての利用者が版 {version} に戻る`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.BackWithin(w.history(), w.released, a.Text("version"), a.Duration("within")))
			}},
		{"Then", `service is restored within {within:duration} of the alarm`,
			`警報から{within:duration}以内にサービスが復旧する`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.RestoredWithin(w.history(), w.released, a.Duration("within")))
			}},
		{"Then", `version {version} answers as fast as {stable} (a slowdown above {percent} would be noticed)`,
			`版 {version} は版 {stable} と同じ速さで応答する（{percent}を超える遅れは見逃さない）`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.AsFast(w.history(), a.Text("version"), a.Text("stable"), a.Percent("percent")))
			}},
		{"Then", `no acknowledged order is lost or doubled`,
			`受け付けた注文は1件も失われず、重複もしない`,
			func(ctx context.Context, w *World, _ Args) error {
				if err := w.audit(ctx); err != nil {
					return err
				}
				return w.find(check.NoWriteLost(w.history()))
			}},
	}
}
