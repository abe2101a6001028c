package steps

import (
	"context"
)

func stagePhrases() []Phrase {
	return []Phrase{
		{"Given", `a staging copy of the {service}, with version {stable} serving everyone`,
			`{service} の舞台で版 {stable} が全ての利用者に応答している`,
			func(_ context.Context, w *World, a Args) error {
				w.stable = a.Text("stable")
				return nil
			}},
		{"Given", `a staging copy of the {service} on which no version was ever good`,
			`{service} の舞台があり、正常に動いた版はまだない`,
			func(_ context.Context, w *World, _ Args) error {
				w.stable = ""
				return nil
			}},
		{"Given", `customers browse and order at {count} requests per second`,
			`利用者が毎秒{count}件の要求で閲覧と注文をしている`,
			func(_ context.Context, w *World, a Args) error {
				w.setup.Traffic.Rate = float64(a.Count("count"))
				return nil
			}},
		{"Given", `each version has {count} replicas`,
			`各版のレプリカは{count}個である`,
			func(_ context.Context, w *World, a Args) error {
				w.setup.Replicas = a.Count("count")
				return nil
			}},
	}
}
