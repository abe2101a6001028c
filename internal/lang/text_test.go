package lang_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
)

func TestAFinishedMessageIsFoundByTheFormatThatMadeIt(t *testing.T) {
	for english, want := range map[string]string{
		// one of each package whose errors people read
		`x/rehearsal.yaml:7: unknown key "servise": here may be service, alarms`:                                        `x/rehearsal.yaml:7: 知らない項目 "servise" です。ここに書けるのは service, alarms です`,
		`--pace 0: it is from 1 (as the wall) to 1000`:                                                                  `--pace 0: 1（実時間）から1000までです`,
		`the alarm "shop-5xx-rate" went off 4m1s after exposure: more than 4m0s`:                                        `警報 "shop-5xx-rate" が鳴ったのは触れてから 4m1s 後で、4m0s を超えました`,
		`"v1" does not serve everyone: the shares are v1 90 %, v2 10 %`:                                                 `"v1" は全員には応答していません: 配分は v1 90 %, v2 10 % です`,
		`release.yaml:9: error: there is no alarm "shop-5x"; did you mean "shop-5xx-rate"?`:                             `release.yaml:9: error: 警報 "shop-5x" はありません。もしかして "shop-5xx-rate" ですか`,
		`f.feature:3: no phrase reads "the moon is full"; the nearest is "x: y"; ` + "`rehearse steps` lists all":       "f.feature:3: \"the moon is full\" という語句はありません。最も近いのは \"x: y\" です。`rehearse steps` で一覧できます",
		`waivers.yaml:3: a waiver needs "owner": who decided it, and is asked when it expires`:                          `waivers.yaml:3: 許容には "owner"（決めた人。期限が来たときに尋ねる相手）が必要です`,
		`alarms.json:4: alarm "a": Period: is 45 seconds: want 10, 20, 30 or a multiple of 60`:                          `alarms.json:4: 警報 "a": Period: が 45 秒です。10、20、30、または60の倍数にしてください`,
		`service "web": networks is not supported in a rehearsal: a stage raises containers only`:                       `サービス "web": リハーサルで networks は使えません: 舞台が立ち上げるのはコンテナだけです`,
		`no Docker engine can be reached`:                                                                               `つながる Docker エンジンがありません`,
		`--baseline "2h": it is "1h", "yesterday" or "week"`:                                                            `--baseline "2h": "1h"、"yesterday"、"week" のいずれかです`,
		`unknown command "verfy" for "rehearse"`:                                                                        `"rehearse" に "verfy" というコマンドはありません`,
		`invalid argument "x" for "--pace" flag: strconv.ParseFloat: parsing "x": invalid syntax`:                       `フラグ "--pace" の値 "x" が誤っています: "x" は数ではありません`,
		`open /nowhere/x.yaml: no such file or directory`:                                                               `/nowhere/x.yaml を開けません: そのようなファイルやフォルダーはありません`,
		`simulation: the 99th percentile of the latency, 1ms, is below its median, 2ms`:                                 `simulation: 応答時間の99パーセンタイル 1ms が、中央値 2ms より短いです`,
		`released: v2 serves everyone`:                                                                                  `リリースしました。v2 が全員に応答しています`,
		`rolled back: the alarm "shop-5xx-rate" went off; v1 serves everyone again`:                                     `ロールバックしました: 警報 "shop-5xx-rate" が鳴りました。再び v1 が全員に応答しています`,
		"one.feature:1: a variable needs a name\nnobody knows this\ntwo.feature:2: 120 %: a share is from 0 % to 100 %": "one.feature:1: 変数には名前が必要です\nnobody knows this\ntwo.feature:2: 120 %: 割合は 0 % から 100 % までです",
	} {
		assert.Equal(t, want, lang.Japanese.Text(english))
		assert.Equal(t, english, lang.English.Text(english))
	}
}

func TestWhatIsNotKnownOrQuotedStaysAsItIs(t *testing.T) {
	for _, text := range []string{
		"", " ", "payments", "load", "passed", "v2", "a customer asked for the load of v2",
		"panic: runtime error: index out of range [3] with length 3",
		`"the alarm "went off"" of nobody`, "100%", "%s", "%!d(MISSING)", "\x00\xff", "要求の半分に失敗する版",
		"bring the users to v2", "three errors", "shop has data, and the week is over",
	} {
		if said := lang.Japanese.Text(text); text != "load" && text != "passed" {
			assert.Equal(t, text, said)
		}
	}
	quoted := lang.Japanese.Text(`there is no version "no alarm goes off" in f.yaml: known are ["passed" "load"]`)
	assert.Equal(t, `版 "no alarm goes off" は f.yaml にありません。あるのは ["passed" "load"] です`, quoted)
}

func TestAnErrorAmongTheArgumentsIsSaidToo(t *testing.T) {
	err := fmt.Errorf("f.yaml:2: %w", errors.New("a variable needs a name"))
	args := []any{err}
	assert.Equal(t, "判定不能: f.yaml:2: 変数には名前が必要です", lang.Japanese.Sprintf("INCONCLUSIVE: %s", args...))
	assert.Equal(t, err, args[0], "the caller's arguments stay as they are")
	assert.Equal(t, "INCONCLUSIVE: "+err.Error(), lang.English.Sprintf("INCONCLUSIVE: %s", err))
}

func TestTheLanguageIsThatOfTheLocale(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want lang.Lang
	}{
		{map[string]string{}, lang.English},
		{map[string]string{"LANG": "ja_JP.UTF-8"}, lang.Japanese},
		{map[string]string{"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, lang.English},
		{map[string]string{"LANG": "C", "LC_MESSAGES": "ja"}, lang.Japanese},
	} {
		assert.Equal(t, c.want, lang.Of(func(name string) string { return c.env[name] }), c.env)
	}
	_, err := lang.Parse("fr")
	require.ErrorContains(t, err, `"en" or "ja"`)
}

// hostile are messages that a bad matcher takes long for.
var hostile = map[string]string{
	"a megabyte of one letter":    strings.Repeat("a", 1<<20),
	"a megabyte of joints":        strings.Repeat("x: ", 1<<20/3),
	"a megabyte of lines":         strings.Repeat("there is no alarm \"a\"\n", 1<<20/22),
	"a megabyte of beginnings":    strings.Repeat("the alarm ", 1<<20/10),
	"a megabyte of quotes":        strings.Repeat(`"\"`, 1<<20/3),
	"errors within errors":        strings.Repeat("versions: x: build: ", 1000) + "a variable needs a name",
	"messages within one message": strings.Repeat("the alarm \"a\" went off at 1s: ", 300),
}

func TestAMegabyteDoesNotHang(t *testing.T) {
	lang.Japanese.Text("warm")
	for name, text := range hostile {
		began := time.Now()
		lang.Japanese.Text(text)
		assert.Less(t, time.Since(began), 5*time.Second, name)
	}
}

func FuzzText(f *testing.F) {
	f.Add(`the alarm "shop-5xx-rate" went off 4m1s after exposure: more than 4m0s`)
	f.Add("x.yaml:7: unknown key \"servise\": here may be service\n- y; z. w: v, that u (t)")
	f.Add(`%s %[1]d "\"`)
	f.Fuzz(func(t *testing.T, text string) {
		said := lang.Japanese.Text(text)
		if utf8.ValidString(text) && !utf8.ValidString(said) {
			t.Errorf("%q became %q", text, said)
		}
		if strings.Count(said, "\n") < strings.Count(text, "\n") && len(text) < 8<<10 && said == "" {
			t.Errorf("%q became nothing", text)
		}
	})
}

func BenchmarkText(b *testing.B) {
	for name, text := range map[string]string{
		"known":   `the alarm "shop-5xx-rate" went off 4m1s after exposure: more than 4m0s`,
		"nested":  `fixtures/rehearsal.yaml:7: versions: v2: simulated: the traffic has no request "x": it has ["browse" "order"]`,
		"unknown": "dial tcp 127.0.0.1:8080: connect: no route to the host that somebody named",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				lang.Japanese.Text(text)
			}
		})
	}
	for name, text := range hostile {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				lang.Japanese.Text(text)
			}
		})
	}
}
