package steps

import (
	"context"

	"rehearsal/internal/check"
)

func alarmPhrases() []Phrase {
	return []Phrase{
		{"Then", `the alarm {alarm} goes off within {within:duration} of exposure`,
			`利用者が触れてから{within:duration}以内に警報 {alarm} が鳴る`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.DetectedWithin(w.history(), w.released, a.Text("alarm"), a.Duration("within")))
			}},
		{"Then", `the alarm {alarm} may go off too`,
			`警報 {alarm} も鳴ってよい`,
			func(context.Context, *World, Args) error { return nil }}, // mentioning it is what it is for
		{"Then", `the alarm {alarm} stays silent`,
			`警報 {alarm} は鳴らない`,
			func(_ context.Context, w *World, a Args) error {
				return w.find(check.Silent(w.history(), a.Text("alarm")))
			}},
		{"Then", `no alarm goes off`,
			`どの警報も鳴らない`,
			func(_ context.Context, w *World, _ Args) error { return w.find(check.Silent(w.history())) }},
		{"Then", `no alarm sees it, and it is reported as undetected`,
			`どの警報も気付かず、未検知として報告される`,
			func(_ context.Context, w *World, _ Args) error {
				w.undetected = true
				return w.find(check.Undetected(w.history(), w.released))
			}},
	}
}
