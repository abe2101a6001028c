package cloudwatch_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/cloudwatch"
)

// The patterns and lines are those of the user guide's page "Filter pattern
// syntax", and the boundaries it does not name.
func TestPatternsOfTerms(t *testing.T) {
	lines := []string{
		"[ERROR 400] BAD REQUEST",
		"[ERROR 401] UNAUTHORIZED REQUEST",
		"[ERROR 419] MISSING ARGUMENTS",
		"[ERROR 420] INVALID ARGUMENTS",
		"[ERROR 500] INTERNAL SERVER ERROR",
		"[SUCCESS 200] AUTHORIZED REQUEST",
		"error in small letters",
		"",
	}
	for pattern, want := range map[string][]int{
		``:                                {0, 1, 2, 3, 4, 5, 6, 7},
		`" "`:                             {0, 1, 2, 3, 4, 5, 6, 7},
		`ERROR`:                           {0, 1, 2, 3, 4},
		` ERROR  ARGUMENTS `:              {2, 3},
		`?ERROR ?ARGUMENTS`:               {0, 1, 2, 3, 4},
		`?SUCCESS ?"INTERNAL SERVER"`:     {4, 5},
		`?ERROR ?ARGUMENTS REQUEST`:       {0, 1, 5}, // the ? terms are ignored
		`?ERROR -REQUEST`:                 {2, 3, 4, 6, 7},
		`"INTERNAL SERVER ERROR"`:         {4},
		`ERROR -ARGUMENTS`:                {0, 1, 4},
		`ERROR -"BAD REQUEST" -MISSING`:   {1, 3, 4},
		`-ERROR`:                          {5, 6, 7},
		`%AUTHORIZED%`:                    {1, 5},
		`%^\[ERROR 4[0-9]{2}\]%`:          {0, 1, 2, 3},
		`%ARGUMENTS$% -INVALID`:           {2},
		`"[ERROR 4"`:                      {0, 1, 2, 3},
		`small`:                           {6},
		`"quote \" in it"`:                nil,
		`%ERROR [0-9]{,3}\]%`:             {0, 1, 2, 3, 4},
		`%\x5bSUCCESS\s\d+\]%`:            {5},
		`%^\[ERROR|^error|shutting down%`: {0, 1, 2, 3, 4, 6},
		`%[^A-Z]400\]%`:                   {0},
		`%in\_small%`:                     nil,
	} {
		p, err := cloudwatch.ParsePattern(pattern)
		require.NoError(t, err)
		assert.Equal(t, pattern, p.String())
		var got []int
		for i, line := range lines {
			if p.Match(line) {
				got = append(got, i)
			}
		}
		assert.Equal(t, want, got, pattern)
	}
}

func TestPatternsOfJSON(t *testing.T) {
	const trail = `{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],` +
		`"objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"cluster.name":"c","ok":true,"bad":false,"status":503,"latency":1.5e1,"text":"42","under_score":"x y","dash-ed":-3}`
	const user = `{"user":{"id":1,"email":"John.Stiles@example.com"},"users":[{"id":2,"email":"John.Doe@example.com"},{"id":3,"email":"Jane.Doe@example.com"}],` +
		`"actions":["GET","PUT","DELETE"],"coordinates":[[0,1,2],[4,5,6],[7,8,9]]}`
	for _, c := range []struct {
		line, pattern string
		want          bool
	}{
		{trail, `{ $.eventType = "UpdateTrail" }`, true},
		{trail, `{ $.eventType = UpdateTrail }`, true},
		{trail, `{$.eventType="updateTrail"}`, false},
		{trail, `{ $.eventType != "UpdateTrail" }`, false},
		{trail, `{ $.eventType = "Update*" }`, true},
		{trail, `{ $.eventType = "*Trail" }`, true},
		{trail, `{ $.eventType = *dateT* }`, true},
		{trail, `{ $.eventType = "Up*Trail" }`, false}, // a star in the middle is a star
		{`{"a":"Ev*ent"}`, `{ $.a = "Ev*ent" }`, true},
		{`{"a":"Ev*ents"}`, `{ $.a = Ev*ent* }`, true},
		{trail, `{ $.sourceIPAddress != 111*111 }`, true},
		{trail, `{ $.sourceIPAddress = *.111.111.111 }`, true},
		{trail, `{ $.eventType = "**" }`, true},
		{trail, `{ $.status = "503" }`, true},
		{trail, `{ $.status != "503.0" }`, true}, // in quotes it is a text
		{trail, `{ $.status = 503.0 }`, true},
		{trail, `{ $.eventType != 111 }`, true},
		{trail, `{ $.latency = 1e+3 || $.latency < +1000 }`, true},
		{trail, `{ $.objectList[1].id = 2 }`, true},
		{trail, `{ $.SomeObject != "x" }`, false}, // null is no value either
		{trail, `{ $.eventType = "Trail*" }`, false},
		{trail, `{ $.eventType = "*" }`, true},
		{trail, `{ $.status = "*" }`, true},
		{trail, `{ $.nothing = "*" }`, false},
		{trail, `{ $.sourceIPAddress != 123.123.* }`, true},
		{trail, `{ $.sourceIPAddress = 111.111.* }`, true},
		{trail, `{ $.arrayKey[0] = "value" }`, true},
		{trail, `{ $.arrayKey[1] = "value" }`, false},
		{trail, `{ $.arrayKey[2] = "*" }`, false},
		{trail, `{ $.arrayKey = "value" }`, false},
		{trail, `{ $.arrayKey != "value" }`, false}, // an array is no value
		{trail, `{ $.arrayKey[*] = "another value" }`, true},
		{trail, `{ $.arrayKey[*] = %val.{2}% }`, true},
		{trail, `{ $.objectList[*].id = 2 }`, true},
		{trail, `{ $.objectList[*].id > 2 }`, false},
		{trail, `{ $.* = %111\.111\.111\.1[0-9]{1,2}% }`, true},
		{trail, `{ $.eventType = %Trail% }`, true},
		{trail, `{ $.eventType != %Trail% }`, false},
		{trail, `{ $.['cluster.name'] = "c" }`, true},
		{trail, `{ $.cluster.name = "c" }`, false},
		{trail, `{ $.SomeObject IS NULL }`, true},
		{trail, `{ $.eventType IS NULL }`, false},
		{trail, `{ $.nothing IS NULL }`, false},
		{trail, `{ $.ok IS TRUE }`, true},
		{trail, `{ $.ok IS FALSE }`, false},
		{trail, `{ $.bad is false }`, true},
		{trail, `{ $.text IS TRUE }`, false},
		{trail, `{ $.SomeOtherObject NOT EXISTS }`, true},
		{trail, `{ $.SomeObject NOT EXISTS }`, false},
		{trail, `{ $.nothing != "x" }`, false},
		{trail, `{ $.status >= 500 }`, true},
		{trail, `{ $.status > 503 }`, false},
		{trail, `{ $.status <= 503 && $.status < 504 }`, true},
		{trail, `{ $.status = 503 }`, true},
		{trail, `{ $.status = 5* }`, true},
		{trail, `{ $.status = 4* }`, false},
		{trail, `{ $.status != 500 }`, true},
		{trail, `{ $.latency = 15 }`, true},
		{trail, `{ $.latency = 1.5e+1 }`, true},
		{trail, `{ $.latency < 1e1 }`, false},
		{trail, `{ $.text = 42 }`, true},
		{trail, `{ $.text > 41 }`, true},
		{trail, `{ $.eventType > 0 }`, false},
		{trail, `{ $.under_score = "x y" }`, true},
		{trail, `{ $.dash-ed = -3 }`, true},
		{trail, `{ $.ok = true }`, true},
		{`  ` + trail + "\n", `{ $.status = 503 }`, true},

		{user, `{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }`, true},
		{user, `{ $.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = "nonmatch" && $.actions[2] = "nonmatch" }`, true},
		{user, `{ ($.user.email = "John.Stiles@example.com" || $.coordinates[0][1] = "nonmatch") && $.actions[2] = "nonmatch" }`, false},
		{user, `{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }`, false},
		{user, `{ $.coordinates[1][2] = 6 }`, true},
		{user, `{ $.users[*].email = "Jane*" }`, true},

		{`{"level":"ERROR","status":200}`, `{ $.level = "ERROR" && ($.status >= 500 || $.x NOT EXISTS) }`, true},
		{`ERROR is no JSON`, `{ $.level NOT EXISTS }`, false},
		{`["level"]`, `{ $.level NOT EXISTS }`, false},
		{`{"level":"ERROR"} trailing`, `{ $.level = "ERROR" }`, false},
		{`{"level":`, `{ $.level NOT EXISTS }`, false},
		{``, `{ $.level NOT EXISTS }`, false},
		{`null`, `{ $.level NOT EXISTS }`, false},
	} {
		p, err := cloudwatch.ParsePattern(c.pattern)
		require.NoError(t, err)
		assert.Equal(t, c.want, p.Match(c.line), "%s of %s", c.pattern, c.line)
	}
}

func TestPatternsOfColumns(t *testing.T) {
	const (
		access  = `127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
		info    = `INFO 09/25/2014 12:00:00 GET /service/resource/67 1200`
		warning = `WARNING 09/25/2014 12:00:02 Invalid user request`
		failed  = `ERROR 09/25/2014 12:00:02 Failed to process request`
	)
	for _, c := range []struct {
		line, pattern string
		want          bool
	}{
		{access, `[ip=%127\.0\.0\.[1-9]%, user, username, timestamp, request =*.html*, status_code = 4*, bytes]`, true},
		{access, `[ip, user, username, timestamp, request, status_code, bytes]`, true},
		{access, `[ip, user, username, timestamp, request, status_code, bytes, more]`, false},
		{access, `[ip, user, username, timestamp, request, status_code = 404]`, false}, // there is one more word
		{access, `[ip, user, rest]`, true},
		{access, `[..., request =*.html*, status_code = 4*, bytes]`, true},
		{access, `[ip, ..., bytes > 1534]`, false},
		{access, `[ip, ..., status_code >= 400, bytes >= 1534]`, true},
		{access, `[ip, user, ..., status=5*, bytes]`, false},
		{access, `[...]`, true},
		{``, `[...]`, true},
		{`one`, `[a, ..., b]`, false},
		{`one two`, `[a, ..., b=two]`, true},
		{access, `[ip, user, username, timestamp, request =*.html*, status_code = 404 || status_code = 410, bytes]`, true},
		{access, `[ip, user, username, timestamp, request =*.html*, (status_code = 400 || status_code = 410) && bytes > 1, bytes]`, false},
		{access, `[ip, user, username, timestamp = "10/Oct/2000:13:25:15 -0700", request = "GET /index.html HTTP/1.0", status_code, bytes]`, true},
		{failed, `[w1=ERROR, w2]`, true},
		{failed, `[w1=ERROR]`, false},
		{`ERROR`, `[w1=ERROR]`, true},
		{`ERROR`, `[w1=ERROR, w2]`, false},
		{info, `[w1=ERROR, w2]`, false},
		{failed, `[w1=ERROR || w1=%WARN%, w2]`, true},
		{warning, `[w1=ERROR || w1=%WARN%, w2]`, true},
		{info, `[w1!=ERROR&&w1!=%WARN%, w2]`, true},
		{warning, `[w1!=ERROR && w1!=%WARN%, w2]`, false},
		{access, `[..., request=*.html*, status_code=4*,]`, true},
		{access, `[,user=Prod,,,,,]`, true},
		{access, `[,user=Prod,,,,]`, true}, // the last one takes the rest
		{access, `[,user=frank,,,,,]`, false},
		{info, `[logLevel, date, time, method, url=%/service/resource/[0-9]+$%, response_time]`, true},
		{`INFO 09/25/2014 12:00:01 POST /service/resource/67/part/111 1310`, `[logLevel, date, time, method, url=%/service/resource/[0-9]+$%, response_time]`, false},
		{`INFO 09/25/2014 12:00:01 POST /service/resource/67/part/111 1310`, `[logLevel, date, time, method, url=%/service/resource/[0-9]+/part/[0-9]+$%, response_time]`, true},
		{`"" x`, `[a, b=x]`, true},
		{`[open [x] y`, `[a="open [x", b=y]`, true},
		{`[open "y z" [x`, `[a="[open", b="y z", c="[x"]`, true},
		{`[open x`, `[a=*open, b=x]`, true},
	} {
		p, err := cloudwatch.ParsePattern(c.pattern)
		require.NoError(t, err, c.pattern)
		assert.Equal(t, c.want, p.Match(c.line), "%s of %s", c.pattern, c.line)
	}
}

// The line and the values are those of the user guide, for the number of words
// that ... took.
func TestExtractedValues(t *testing.T) {
	const access = `127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
	for _, c := range []struct {
		pattern, line string
		want          map[string]string
	}{
		{`[..., request=*.html*, status_code=4*,]`, access, map[string]string{"$1": "127.0.0.1", "$2": "-", "$3": "frank", "$4": "10/Oct/2000:13:25:15 -0700",
			"$request": "GET /index.html HTTP/1.0", "$status_code": "404", "$7": "1534"}},
		{`[ip, ..., bytes]`, access, map[string]string{"$ip": "127.0.0.1", "$2": "-", "$3": "frank", "$4": "10/Oct/2000:13:25:15 -0700",
			"$5": "GET /index.html HTTP/1.0", "$6": "404", "$bytes": "1534"}},
		{`[ip,, rest]`, access, map[string]string{"$ip": "127.0.0.1", "$2": "-", "$rest": access[12:]}},
		{`[...]`, "", map[string]string{}},
		{`[ip, ..., bytes > 5000]`, access, map[string]string{}},
		{`frank`, access, map[string]string{}},
		{`{ $.a = 1 }`, `{"a":1}`, map[string]string{}},
	} {
		p, err := cloudwatch.ParsePattern(c.pattern)
		require.NoError(t, err)
		assert.Equal(t, c.want, p.Extract(c.line), c.pattern)
	}
}

func TestWrongPatternsSayWhatIsWrong(t *testing.T) {
	for pattern, want := range map[string]string{
		`[ERROR`:              "IS or NOT EXISTS after ERROR, at the end",
		`[a b]`:               `IS or NOT EXISTS after a, at character 4 ("b]")`,
		`[a=b`:                "expected a comma or a closing bracket, at the end",
		`{ $.a = 1`:           "expected &&, || or a closing brace, at the end",
		`{ $.a = 1 } x`:       `nothing may follow the closing brace, at character 13 ("x")`,
		`{ a = 1 }`:           "expected a selector such as $.level",
		`{ $a = 1 }`:          "expected a period after $",
		`{ $. = 1 }`:          "expected a name after the period",
		`{ $.a }`:             "expected =, !=, <, <=, >, >=, IS or NOT EXISTS after $.a",
		`{ $.a EXISTS }`:      `CloudWatch Logs has NOT EXISTS but no EXISTS: write $.a = "*"`,
		`{ $.a IS NOT NULL }`: "expected NULL, TRUE or FALSE after IS",
		`{ $.a NOT NULL }`:    "expected EXISTS after NOT",
		`{ $.a > b }`:         "> compares with a number",
		`{ $.a > "5" }`:       "expected a number",
		`{ $.a = }`:           "expected a number, a word or a text in double quotes after =",
		`{ $.a = "x }`:        "the double quote is not closed",
		`{ $.a = %x }`:        "the regular expression is not closed with %",
		`{ $.a = %(x)% }`:     "has '(', which CloudWatch Logs does not allow there",
		`{ $.a = %[x% }`:      "is wrong",
		`{ ($.a = 1 }`:        "expected a closing parenthesis",
		`{ $.a[x] = 1 }`:      "expected the number of an element, or *, and ]",
		`{ $.a[0 = 1 }`:       "expected the number of an element, or *, and ]",
		`{ $.['a = 1 }`:       "expected '] after a name",
		`{ $.*.b.* = 1 }`:     "$.*.b.* has more than 1 wildcard",
		`{ $.* = 1 && $.* = 2 && $.a[*] = 3 && $.* = 4 }`: "has more than 3 wildcards",
		`{}`:                      "expected a selector",
		`[]`:                      "expected the name of a column",
		`[a, a]`:                  `has the column "a" twice`,
		`[..., a, ...]`:           "has ... twice",
		`[a, b=1 && c=2]`:         `there is no column "c"`,
		`[a] b`:                   "nothing may follow the closing bracket",
		`not-quoted`:              `invalid character '-' in term "not-quoted"`,
		`"open`:                   "the double quote is not closed",
		`- x`:                     "a term is missing",
		"\xff":                    "is not UTF-8",
		strings.Repeat("a", 1025): "has 1025 characters; at most 1024 are allowed",
		`{ ` + strings.Repeat("(", 40) + `$.a=1` + strings.Repeat(")", 40) + ` }`: "parentheses are nested more than 32 deep",
	} {
		_, err := cloudwatch.ParsePattern(pattern)
		assert.ErrorContains(t, err, want, pattern)
	}
}

// worst is the most that matching may cost: each byte of the line looked at a few
// times for each byte of the pattern, and for each instruction of its regular
// expressions.
func worst(pattern, text string) int {
	size := len(pattern)
	if strings.Contains(pattern, "%") {
		size += 2 * cloudwatch.MaxRegexSize
	}
	return 4 * (size + 4) * (len(text) + 16)
}

// The worst that a pattern of the allowed length can do to a long line. It is
// counted, not timed, and twice the line costs at most twice as much.
func TestMatchingTakesLinearTime(t *testing.T) {
	object := func(n int) string { return `{"a":"` + strings.Repeat("a", n) + `"}` }
	list := func(n int) string { return `{"a":[` + strings.Repeat(`"b",`, n) + `"c"],"b":{}}` }
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	long := func(text string) func(int) string { return func(n int) string { return strings.Repeat(text, n) } }
	for _, c := range []struct {
		pattern string
		line    func(int) string
	}{
		{`{ $.a = "` + strings.Repeat("*a", 400) + `*b*" }`, object},
		{`{ $.a = %` + strings.Repeat("a*", 400) + `b% }`, object},
		{`{ $.a = %` + strings.Repeat("a*a*", 100) + `b% && $.a = %[a-z]{1000}b% }`, object},
		{`{ $.* = "x*" && $.a[*] = "y*" && $.a[*] != "*z" }`, list},
		{`{ ` + strings.Repeat(`$.a[0] = "*x*" || `, 50) + `$.a = 1 }`, list},
		{`{ ` + strings.Repeat("(", 32) + `$.a` + strings.Repeat(".a", 400) + ` = 1` + strings.Repeat(")", 32) + ` }`, deep},
		{`[a=` + strings.Repeat("*a", 400) + `*b, ..., c=x]`, long("a ")},
		{`[a=x, ..., b]`, long("[ ")},
		{`[a=x, ..., b]`, long("[\" ")},
		{`[a=x, ..., b]`, long("\"\"[] ")},
		{`[` + strings.Repeat(",", 120) + `a = *x || a = *y]`, long("a ")},
		{`%` + strings.Repeat("a?", 200) + `b%`, long("a")},
		{`%a{1000}b% -%` + strings.Repeat("a|", 300) + `c%`, long("a")},
		{strings.Repeat("?b ", 300), long("a")},
		{strings.Repeat("-b ", 300) + "-a", long("a")},
	} {
		p, err := cloudwatch.ParsePattern(c.pattern)
		require.NoError(t, err)
		const n = 2000
		once, twice := p.Steps(c.line(n)), p.Steps(c.line(2*n))
		assert.LessOrEqual(t, once, worst(c.pattern, c.line(n)), "%.20s", c.pattern)
		assert.Less(t, float64(twice), 2.1*float64(once)+5000, "%.20s: %d, then %d", c.pattern, once, twice)
		assert.False(t, p.Match(c.line(n)), "%.20s", c.pattern)
	}
}

func FuzzPattern(f *testing.F) {
	for _, seed := range []string{`ERROR -"x y" ?z %a.b%`, `{ $.a[0].b = "x*" && ($.c >= 5 || $.d NOT EXISTS) }`, `[ip, ..., s=5* || s=4*, b>1]`, `{ $.['a.b'] IS NULL }`,
		`%[a-c]{,5}\x28\d%`, `[..., request=*.html*, status_code=4*,]`, `{ $.* = "*b*" || $.a[*] != %x{900}% }`} {
		f.Add(seed, `{"a":[{"b":"xyz"}],"c":5}`)
		f.Add(seed, `1.2.3.4 [a b] "c d" 503 12`)
		f.Add(seed, `[ [ [ " " "`)
	}
	f.Fuzz(func(t *testing.T, pattern, line string) {
		p, err := cloudwatch.ParsePattern(pattern)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.LessOrEqual(t, p.Steps(line), worst(pattern, line))
		require.Equal(t, p.Match(line), p.Match(line))
		if values := p.Extract(line); len(values) > 0 {
			require.True(t, p.Match(line))
		}
	})
}
