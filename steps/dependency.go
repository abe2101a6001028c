package steps

import (
	"context"

	"rehearsal/internal/stage"
)

func dependencyPhrases() []Phrase {
	return []Phrase{
		{"Given", `version {version} cannot reach the {dependency}`,
			`版 {version} は {dependency} に接続できない`,
			func(_ context.Context, w *World, a Args) error {
				return w.fail(stage.Failure{Kind: stage.DependencyDown, Version: a.Text("version"), Dependency: a.Text("dependency")})
			}},
		{"Given", `version {version} loses the {dependency} {after:duration} after it takes traffic`,
			`版 {version} は要求を受け始めてから{after:duration}後に {dependency} に接続できなくなる`,
			func(_ context.Context, w *World, a Args) error {
				return w.failAt(stage.Failure{Kind: stage.DependencyDown, Version: a.Text("version"), Dependency: a.Text("dependency")},
					stage.Moment{Version: a.Text("version"), After: a.Duration("after")}, 0)
			}},
		{"Given", `the {dependency} answers version {version} {delay:duration} late, from {after:duration} after it takes traffic`,
			`版 {version} が要求を受け始めて{after:duration}後から {dependency} の応答が{delay:duration}遅くなる`,
			func(_ context.Context, w *World, a Args) error {
				return w.failAt(stage.Failure{Kind: stage.DependencySlow, Version: a.Text("version"), Dependency: a.Text("dependency"), Delay: a.Duration("delay")},
					stage.Moment{Version: a.Text("version"), After: a.Duration("after")}, 0)
			}},
		{"Given", `the {dependency:api} fails {share:percent} of what version {version} asks`,
			`{dependency:api} は版 {version} からの要求の{share:percent}に失敗する`,
			func(_ context.Context, w *World, a Args) error {
				return w.fail(stage.Failure{Kind: stage.DependencyErrors, Version: a.Text("version"), Dependency: a.Text("dependency"), Share: a.Percent("share")})
			}},
		{"Given", `the {dependency:api} fails {share:percent} of what it is asked for {lasts:duration}, from {after:duration} after {version} takes traffic`,
			`{version} が要求を受け始めて{after:duration}後から{lasts:duration}の間 {dependency:api} は要求の{share:percent}に失敗する`,
			func(_ context.Context, w *World, a Args) error {
				return w.failAt(stage.Failure{Kind: stage.DependencyErrors, Dependency: a.Text("dependency"), Share: a.Percent("share")},
					stage.Moment{Version: a.Text("version"), After: a.Duration("after")}, a.Duration("lasts"))
			}},
		{"Given", `the {dependency:database} has no connections left`,
			`{dependency:database} の接続に空きがない`,
			func(_ context.Context, w *World, a Args) error {
				return w.fail(stage.Failure{Kind: stage.ConnectionsExhausted, Dependency: a.Text("dependency")})
			}},
		{"Given", `the {dependency} is down for {lasts:duration}, from {after:duration} after {version} takes traffic`,
			`{version} が要求を受け始めて{after:duration}後から{lasts:duration}の間 {dependency} が停止する`,
			func(_ context.Context, w *World, a Args) error {
				return w.failAt(stage.Failure{Kind: stage.DependencyDown, Dependency: a.Text("dependency")},
					stage.Moment{Version: a.Text("version"), After: a.Duration("after")}, a.Duration("lasts"))
			}},
		{"Given", `the {dependency} answers {delay:duration} late for {lasts:duration}, from {after:duration} after {version} takes traffic`,
			`{version} が要求を受け始めて{after:duration}後から{lasts:duration}の間 {dependency} の応答が{delay:duration}遅くなる`,
			func(_ context.Context, w *World, a Args) error {
				return w.failAt(stage.Failure{Kind: stage.DependencySlow, Dependency: a.Text("dependency"), Delay: a.Duration("delay")},
					stage.Moment{Version: a.Text("version"), After: a.Duration("after")}, a.Duration("lasts"))
			}},
	}
}
