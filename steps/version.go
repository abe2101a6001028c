package steps

import (
	"context"

	"rehearsal/internal/stage"
)

func versionPhrases() []Phrase {
	// fails makes the failure that a version has from the moment it is deployed.
	fails := func(kind stage.FailureKind, more func(*stage.Failure, Args)) func(context.Context, *World, Args) error {
		return func(_ context.Context, w *World, a Args) error {
			f := stage.Failure{Kind: kind, Version: a.Text("version")}
			if more != nil {
				more(&f, a)
			}
			return w.fail(f)
		}
	}
	after := func(f *stage.Failure, a Args) { f.After = a.Duration("after") }
	return []Phrase{
		{"Given", `version {version} fails {percent} of its requests`,
			`版 {version} は要求の{percent}に失敗する`,
			fails(stage.Errors, func(f *stage.Failure, a Args) { f.Share = a.Percent("percent") })},
		{"Given", `version {version} has been failing {percent} of its requests until the alarm {alarm} went off`,
			`版 {version} が要求の{percent}に失敗し続け、警報 {alarm} が既に鳴っている`,
			func(ctx context.Context, w *World, a Args) error {
				return w.failUntilRed(ctx, stage.Failure{Kind: stage.Errors, Version: a.Text("version"), Share: a.Percent("percent")}, a.Text("alarm"))
			}},
		{"Given", `version {version} answers {delay:duration} late`,
			`版 {version} の応答は{delay:duration}遅い`,
			fails(stage.Latency, func(f *stage.Failure, a Args) { f.Delay = a.Duration("delay") })},
		{"Given", `version {version} crashes at start`,
			`版 {version} は起動時に異常終了する`,
			fails(stage.CrashAtStart, nil)},
		{"Given", `version {version} crashes {after:duration} after it takes traffic`,
			`版 {version} は要求を受け始めてから{after:duration}後に異常終了する`,
			fails(stage.CrashLater, after)},
		{"Given", `version {version} crashes again and again from {after:duration} after it takes traffic`,
			`版 {version} は要求を受け始めて{after:duration}後から異常終了を繰り返す`,
			func(_ context.Context, w *World, a Args) error {
				return w.failAt(stage.Failure{Kind: stage.CrashLoop, Version: a.Text("version")},
					stage.Moment{Version: a.Text("version"), After: a.Duration("after")}, 0)
			}},
		{"Given", `version {version} hangs {after:duration} after it takes traffic`,
			`版 {version} は要求を受け始めてから{after:duration}後に応答しなくなる`,
			func(_ context.Context, w *World, a Args) error {
				return w.failAt(stage.Failure{Kind: stage.Hang, Version: a.Text("version")},
					stage.Moment{Version: a.Text("version"), After: a.Duration("after")}, 0)
			}},
		{"Given", `version {version} runs out of memory`,
			`版 {version} はメモリ不足で強制終了される`,
			fails(stage.OutOfMemory, nil)},
		{"Given", `version {version} is deployed without the variable {variable}`,
			`版 {version} は環境変数 {variable} なしで配備される`,
			fails(stage.MissingVariable, func(f *stage.Failure, a Args) { f.Variable = a.Text("variable") })},
		{"Given", `version {version} is deployed with the variable {variable} set to {value}`,
			`版 {version} は環境変数 {variable} が {value} の状態で配備される`,
			fails(stage.WrongVariable, func(f *stage.Failure, a Args) { f.Variable, f.Value = a.Text("variable"), a.Text("value") })},
		{"Given", `version {version} loses {percent} of the writes that it acknowledges`,
			`版 {version} は受け付けた書き込みの{percent}を失う`,
			fails(stage.LostWrites, func(f *stage.Failure, a Args) { f.Share = a.Percent("percent") })},
	}
}
