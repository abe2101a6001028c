package check

import (
	"fmt"
	"path"
	"strings"

	"rehearsal/internal/stage"
)

// Times is how often something was asked: from Least to Most, where that is not below.
type Times struct{ Least, Most int64 }

func (t Times) String() string {
	switch {
	case t.Most == 0 && t.Least == 0:
		return "never"
	case t.Most == t.Least:
		return fmt.Sprintf("%d times", t.Least)
	}
	return fmt.Sprintf("at least %d times", t.Least)
}

// AskedTimes holds when the stub was asked the method and path (in which * stands for a
// part) as often as that. Requests count as they were sent, whatever they stand for.
func AskedTimes(h *stage.History, stub, method, pattern string, times Times) Finding {
	check := fmt.Sprintf("%s was asked %s %s %s", stub, method, pattern, times)
	var n int64
	var others []string
	for e := range h.All(stage.StubAsked) {
		a := e.Asked
		if a.Stub != stub {
			continue
		}
		if fits, err := path.Match(pattern, a.Path); a.Method == method && err == nil && fits {
			n += a.Times
		} else if len(others) < 5 {
			others = append(others, fmt.Sprintf("%s %s %d times", a.Method, a.Path, a.Times))
		}
	}
	f := passed(check, "it was asked %d times", n)
	if n < times.Least || times.Most >= times.Least && n > times.Most {
		f.Verdict = Failed
		if f.Detail += "; of anything else it was asked nothing"; len(others) > 0 {
			f.Detail = fmt.Sprintf("it was asked %d times; else it was asked %s", n, strings.Join(others, ", "))
		}
	}
	return f
}
