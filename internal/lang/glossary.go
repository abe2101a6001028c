package lang

// A Word is one of the project's own, with its one meaning in code, specs, messages and
// reports.
type Word struct {
	English  string
	Japanese string // "": the English one is said in Japanese too
	meaning  string
}

// Meaning is what the word stands for.
func (w Word) Meaning(l Lang) string { return l.Text(w.meaning) }

// In is the word in the language.
func (w Word) In(l Lang) string {
	if l == Japanese && w.Japanese != "" {
		return w.Japanese
	}
	return w.English
}

// Glossary is every word. docs/layout.md shows it to developers, and a test holds that
// the two agree.
func Glossary() []Word {
	return []Word{
		{"stage", "舞台", "one running staging copy: service, database, dependencies, balancer, monitoring, traffic"},
		{"version", "版", "one releasable build of the service"},
		{"deploy", "配備", "start a version; it takes no traffic yet"},
		{"release", "リリース", "bring a version to the users, by a plan"},
		{"plan", "計画", "strategy, steps, bake times, alarms watched, rollback rules, window"},
		{"shift", "切り替え", "change the share of traffic a version gets"},
		{"bake", "様子見", "the watched wait after a shift"},
		{"failure", "障害", "what is broken on purpose; always data"},
		{"inject / heal", "起こす / 取り除く", "bring a failure about / take it away"},
		{"exposure", "触れる", "the failure is present and some traffic can meet it: time to detect starts here"},
		{"alarm", "警報", "a CloudWatch alarm: OK, ALARM, INSUFFICIENT_DATA"},
		{"detect", "検知", "the first watched alarm enters ALARM after exposure"},
		{"roll back", "ロールバック", "return all traffic to the stable version and retire the other"},
		{"restored", "復旧", "the steady state holds again, measured at the users' side"},
		{"history", "記録", "everything that was observed, in order, with its release time"},
		{"check", "確認", "a pure question asked of a history"},
		{"smoke request", "スモークテスト", "a request with its right answer, sent to one version past the shares"},
		{"contract", "取り決め", "requests with the right answers of an API that the service calls"},
		{"rollback artefact", "戻り先", "the image of the stable version, ready to be started again"},
		{"pipeline", "パイプライン", "what a push starts: the team's own GitHub Actions workflow"},
		{"verdict", "判定", "passed, failed, or inconclusive (the harness, not the release, broke)"},
	}
}
