package steps

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rehearsal/internal/check"
	"rehearsal/internal/stage"
)

func askPhrases() []Phrase {
	request := func(a Args) *stage.Request {
		r := &stage.Request{Method: a.Text("method"), Path: a.Text("path"), Body: a.Text("body")}
		if r.Body != "" { // what such a request mostly needs; a smoke request can have any headers
			r.Headers = map[string]string{"Content-Type": "application/json", "Idempotency-Key": "{key}"}
		}
		return r
	}
	ask := func(ctx context.Context, w *World, a Args) error {
		return w.ask(ctx, stage.Question{Request: request(a), Version: a.Text("version")})
	}
	answered := func(with func(*stage.SmokeRequest, Args)) func(context.Context, *World, Args) error {
		return func(_ context.Context, w *World, a Args) error {
			var right stage.SmokeRequest
			with(&right, a)
			return w.answered(right)
		}
	}
	status := func(r *stage.SmokeRequest, a Args) { r.Expect = a.Count("status") }
	statusAndText := func(r *stage.SmokeRequest, a Args) { r.Expect, r.Contains = a.Count("status"), a.Text("text") }
	return []Phrase{
		{"When", `a customer asks {method} {path} of version {version}`,
			`利用者が版 {version} に {method} {path} を要求する`, ask},
		{"When", `a customer asks {method} {path} of version {version} with the body {body}`,
			`利用者が版 {version} に本文 {body} で {method} {path} を要求する`, ask},
		{"Then", `the answer is {status:number}`,
			`応答のステータスは {status:number} である`, answered(status)},
		{"Then", `the answer is {status:number} and contains {text}`,
			`応答のステータスは {status:number} で、本文に {text} を含む`, answered(statusAndText)},
		{"Then", `the answer comes within {within:duration}`,
			`応答は{within:duration}以内に返る`,
			answered(func(r *stage.SmokeRequest, a Args) { r.Within = a.Duration("within") })},
		{"Then", `the answer has {text} at {json}`,
			`応答の {json} は {text} である`,
			answered(func(r *stage.SmokeRequest, a Args) {
				r.JSON = []stage.JSONValue{{Path: a.Text("json"), Test: stage.JSONIs, Want: jsonOrText(a.Text("text"))}}
			})},
		{"Then", `the answer has more than {number} at {json}`,
			`応答の {json} は {number} より大きい`,
			answered(func(r *stage.SmokeRequest, a Args) {
				r.JSON = []stage.JSONValue{{Path: a.Text("json"), Test: stage.JSONAbove, Want: float64(a.Count("number"))}}
			})},
		{"Then", `when a customer asks {method} {path} of version {version}, the answer is {status:number} and contains {text}`,
			`利用者が版 {version} に {method} {path} を要求すると、応答のステータスは {status:number} で、本文に {text} を含む`,
			func(ctx context.Context, w *World, a Args) error {
				if err := ask(ctx, w, a); err != nil {
					return err
				}
				return answered(statusAndText)(ctx, w, a)
			}},
		{"When", `the {dependency} is asked {query}`,
			`{dependency} に {query} を問い合わせる`,
			func(ctx context.Context, w *World, a Args) error {
				return w.ask(ctx, stage.Question{Query: a.Text("query"), Dependency: a.Text("dependency")})
			}},
		{"Then", `the number of rows is {number}`,
			`行数は {number} である`,
			func(_ context.Context, w *World, a Args) error { return w.rows(a.Count("number")) }},
		{"Then", `a row reads {row}`,
			`{row} という行がある`,
			func(_ context.Context, w *World, a Args) error { return w.row(a.Text("row")) }},
		{"When", `the command {command} runs in the image of version {version}`,
			`版 {version} のイメージでコマンド {command} を実行する`,
			func(ctx context.Context, w *World, a Args) error {
				return w.ask(ctx, stage.Question{Command: a.Words("command"), Version: a.Text("version")})
			}},
		{"When", `the command {command} runs in the image of the service {compose}`,
			`サービス {compose} のイメージでコマンド {command} を実行する`,
			func(ctx context.Context, w *World, a Args) error {
				return w.ask(ctx, stage.Question{Command: a.Words("command"), Dependency: a.Text("compose")})
			}},
		{"Then", `the command ends with status {status:number}`,
			`コマンドは終了ステータス {status:number} で終わる`,
			func(_ context.Context, w *World, a Args) error { return w.exited(a.Count("status")) }},
		{"Then", `the command prints {text}`,
			`コマンドの出力に {text} が含まれる`,
			func(_ context.Context, w *World, a Args) error { return w.printed(a.Text("text")) }},
	}
}

// jsonOrText is a number, true, false or null where the text is one, else the text.
func jsonOrText(text string) any {
	var v any
	if json.Unmarshal([]byte(text), &v) == nil {
		switch v.(type) {
		case float64, bool, nil:
			return v
		}
	}
	return text
}

// An asking is the last question of a scenario, and what came of it.
type asking struct {
	what   string
	kind   stage.ProbeKind
	answer stage.Answer
}

// ask asks a question of the stage, which is raised, with what the Givens say, where it
// is not up yet. A version that is not deployed is deployed first, beside the others and
// without any traffic.
func (w *World) ask(ctx context.Context, q stage.Question) error {
	if err := w.prepare(ctx); err != nil {
		return err
	}
	what := strings.Join(q.Command, " ")
	switch p := q.Probe(); {
	case q.Request != nil:
		what = fmt.Sprintf("%s %s of %s", q.Request.Method, q.Request.Path, q.Version)
		if err := w.deployed(ctx, q.Version); err != nil {
			return err
		}
	case p.Kind == stage.ProbeQuery:
		what = q.Query
	}
	asker, ok := stage.As[stage.Asker](w.stage)
	if !ok {
		return fmt.Errorf("%w: this stage answers no questions", errors.ErrUnsupported)
	}
	a, err := asker.Ask(ctx, q)
	if errors.Is(err, stage.ErrProbe) {
		return w.find(check.Finding{Check: what, Verdict: check.Failed, Detail: err.Error()})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	w.asked = &asking{what, q.Probe().Kind, a}
	return nil
}

// deployed deploys a version that is not.
func (w *World) deployed(ctx context.Context, name string) error {
	runs := false
	for _, e := range w.history().Events() {
		if e.Version == name && (e.Kind == stage.Deployed || e.Kind == stage.Retired) {
			runs = e.Kind == stage.Deployed
		}
	}
	if runs {
		return nil
	}
	v, err := w.version(name)
	if err != nil {
		return err
	}
	err = w.stage.Deploy(ctx, v)
	if errors.Is(err, stage.ErrUnhealthy) {
		return w.find(check.Finding{Check: fmt.Sprintf("%q answers", name), Verdict: check.Failed, Detail: err.Error()})
	}
	return err
}

// last is what came of the last question, which must have been of that kind.
func (w *World) last(kind stage.ProbeKind) (*asking, error) {
	if w.asked == nil || w.asked.kind != kind {
		return nil, &InputError{fmt.Sprintf("there is no %s whose answer could be looked at: a When that makes one must come first", kind)}
	}
	return w.asked, nil
}

// answered holds the last answer against what is right. What the model of the simulated
// stage calls right is taken for right: only containers can show what it says.
func (w *World) answered(right stage.SmokeRequest) error {
	q, err := w.last(stage.ProbeRequest)
	if err != nil {
		return err
	}
	if right.Expect == 0 {
		right.Expect = q.answer.Status // a step that does not name it does not ask for it
	}
	f := check.Finding{Check: "the answer to " + q.what, Detail: fmt.Sprintf("answered %d: %s", q.answer.Status, brief(q.answer.Body))}
	if q.answer.Assumed {
		f.Detail = "the model answers rightly; only containers can show what it says"
	}
	if wrong := right.Wrong(q.answer); wrong != nil {
		f.Verdict, f.Detail = check.Failed, fmt.Sprintf("%s: %v: %s", q.what, wrong, brief(q.answer.Body))
	}
	return w.find(f)
}

func (w *World) rows(want int) error {
	q, err := w.last(stage.ProbeQuery)
	if err != nil {
		return err
	}
	f := check.Finding{Check: q.what, Detail: fmt.Sprintf("%d rows", len(q.answer.Rows))}
	if len(q.answer.Rows) != want {
		f.Verdict, f.Detail = check.Failed, fmt.Sprintf("%s: %d rows, not %d: %s", q.what, len(q.answer.Rows), want, brief(table(q.answer.Rows)))
	}
	return w.find(f)
}

func (w *World) row(want string) error {
	q, err := w.last(stage.ProbeQuery)
	if err != nil {
		return err
	}
	f := check.Finding{Check: q.what, Detail: "there is a row " + want}
	if !slices.ContainsFunc(q.answer.Rows, func(row []string) bool { return strings.Join(row, ", ") == want }) {
		f.Verdict, f.Detail = check.Failed, fmt.Sprintf("%s: no row reads %q: %s", q.what, want, brief(table(q.answer.Rows)))
	}
	return w.find(f)
}

func table(rows [][]string) string {
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = strings.Join(row, ", ")
	}
	return strings.Join(lines, "; ")
}

func (w *World) exited(want int) error {
	q, err := w.last(stage.ProbeCommand)
	if err != nil {
		return err
	}
	f := check.Finding{Check: q.what, Detail: fmt.Sprintf("exit status %d", q.answer.Exit)}
	if q.answer.Exit != want {
		f.Verdict, f.Detail = check.Failed, fmt.Sprintf("%s: exit status %d, not %d: %s", q.what, q.answer.Exit, want, brief(q.answer.Output))
	}
	return w.find(f)
}

func (w *World) printed(want string) error {
	q, err := w.last(stage.ProbeCommand)
	if err != nil {
		return err
	}
	f := check.Finding{Check: q.what, Detail: brief(q.answer.Output)}
	if !strings.Contains(q.answer.Output, want) {
		f.Verdict, f.Detail = check.Failed, fmt.Sprintf("%s: it does not print %q: %s", q.what, want, brief(q.answer.Output))
	}
	return w.find(f)
}

// brief is a text on one line, shortened for people.
func brief(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
