package report

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"rehearsal/internal/check"
	"rehearsal/internal/lang"
)

// Annotations prints a run as GitHub Actions' workflow commands, which show what went
// wrong beside the line of the feature that says it. workspace is the root of the
// repository ($GITHUB_WORKSPACE), which the names of files are relative to.
//
// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#setting-an-error-message
func Annotations(w io.Writer, r Run, workspace string) {
	l := r.Lang
	for _, s := range r.Scenarios {
		if s.Verdict == check.Passed {
			continue
		}
		text := l.Sprintf("at: %s", s.Step)
		if s.Err != nil {
			text += "\n" + l.Text(s.Err.Error())
		}
		verdict := s.Verdict.String()
		if s.Input {
			verdict = "wrong input"
		}
		annotate(w, "error", s.Where, l.Sprintf("%s on the %s stage: %s", l.Text(verdict), l.Text(s.Stage), s.Name), text, workspace)
	}
	for _, c := range r.Compared {
		for _, f := range c.Apart {
			annotate(w, "error", c.Where, l.Sprintf("the stages are apart: %s", c.Name), l.Text(f.Check)+": "+l.Text(f.Detail), workspace)
		}
	}
	for _, u := range r.Unverified {
		annotate(w, "error", "", l.Sprintf("not verified"), l.Text(u), workspace)
	}
	for _, o := range r.Outside {
		annotate(w, "warning", "", l.Sprintf("refused"), l.Sprintf("%s: nothing outside of the staging copy is reached", o.Call), workspace)
	}
}

var placed = regexp.MustCompile(`^(\S+?):(\d+): (.*)$`)

// AnnotateMistakes prints each line of what is wrong with the input as an annotation.
func AnnotateMistakes(w io.Writer, l lang.Lang, err error, workspace string) {
	title := l.Sprintf("wrong input")
	for line := range strings.SplitSeq(l.Text(err.Error()), "\n") {
		if m := placed.FindStringSubmatch(line); m != nil {
			annotate(w, "error", m[1]+":"+m[2], title, m[3], workspace)
		} else if strings.TrimSpace(line) != "" {
			annotate(w, "error", "", title, line, workspace)
		}
	}
}

var (
	escapeText     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	escapeProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// Annotate prints one annotation of a line and column (from 1) of a file.
func Annotate(w io.Writer, level, file string, line, column int, title, text, workspace string) {
	fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", level, escapeProperty.Replace(within(file, workspace)), line, column,
		escapeProperty.Replace(lang.Clean(title)), escapeText.Replace(lang.Clean(text)))
}

// annotate prints one annotation. where is file:line, or "".
func annotate(w io.Writer, level, where, title, text, workspace string) {
	properties := "title=" + escapeProperty.Replace(lang.Clean(title))
	if i := strings.LastIndexByte(where, ':'); i > 0 {
		properties = fmt.Sprintf("file=%s,line=%s,%s", escapeProperty.Replace(within(where[:i], workspace)), where[i+1:], properties)
	}
	fmt.Fprintf(w, "::%s %s::%s\n", level, properties, escapeText.Replace(lang.Clean(text)))
}

// within is the name of the file in the workspace, where it is in there.
func within(file, workspace string) string {
	abs, err := filepath.Abs(file)
	if err != nil || workspace == "" {
		return file
	}
	rel, err := filepath.Rel(workspace, abs)
	if err != nil || rel == ".." || strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return file
	}
	return filepath.ToSlash(rel)
}

// Markdown prints a run as a step summary of GitHub Actions ($GITHUB_STEP_SUMMARY).
func Markdown(w io.Writer, r Run) {
	l := r.Lang
	fmt.Fprintf(w, "## %s\n\n", l.Sprintf("Rehearsal: %s", cell(l.Text(Conclusion(r.Status)))))
	var wrong []Scenario
	counts := map[string]map[check.Verdict]int{}
	var stages []string
	for _, s := range r.Scenarios {
		if counts[s.Stage] == nil {
			counts[s.Stage] = map[check.Verdict]int{}
			stages = append(stages, s.Stage)
		}
		counts[s.Stage][s.Verdict]++
		if s.Verdict != check.Passed {
			wrong = append(wrong, s)
		}
	}
	if len(stages) > 0 {
		fmt.Fprint(w, l.Sprintf("| stage | passed | failed | inconclusive |")+"\n| --- | ---: | ---: | ---: |\n")
		for _, st := range stages {
			c := counts[st]
			fmt.Fprintf(w, "| %s | %d | %d | %d |\n", cell(l.Text(st)), c[check.Passed], c[check.Failed], c[check.Inconclusive])
		}
	}
	if len(wrong) > 0 {
		fmt.Fprint(w, "\n### "+l.Sprintf("What went wrong")+"\n\n"+l.Sprintf("| scenario | stage | verdict | why |")+"\n| --- | --- | --- | --- |\n")
		for _, s := range wrong {
			why := s.Step
			if s.Err != nil {
				why += ": " + l.Text(s.Err.Error())
			}
			fmt.Fprintf(w, "| %s<br>`%s` | %s | %s | %s |\n", cell(s.Name), cell(s.Where), cell(l.Text(s.Stage)), l.Text(s.Verdict.String()), cell(why))
		}
	}
	if len(r.Compared) > 0 {
		fmt.Fprint(w, "\n### "+l.Sprintf("Predicted by the simulation, measured in containers")+"\n\n"+l.Sprintf("| scenario | detected in | restored in | failed |")+"\n| --- | --- | --- | --- |\n")
		for _, c := range r.Compared {
			apart := ""
			if len(c.Apart) > 0 {
				apart = " **" + l.Sprintf("apart") + "**"
			}
			fmt.Fprintf(w, "| %s%s | %s → %s | %s → %s | %s → %s %% |\n", cell(c.Name), apart,
				seconds(c.Predicted.Detect), seconds(c.Measured.Detect), seconds(c.Predicted.Restore), seconds(c.Measured.Restore), percent(c.Predicted), percent(c.Measured))
		}
	}
	for _, u := range r.Unverified {
		fmt.Fprintf(w, "\n%s\n", l.Sprintf("**Not verified:** %s", cell(l.Text(u))))
	}
	if r.Skipped > 0 {
		fmt.Fprintf(w, "\n%s\n", l.Sprintf("%d scenarios were left to the simulated stage, as asked.", r.Skipped))
	}
	if r.LeftOut > 0 {
		fmt.Fprintf(w, "\n%s\n", l.Sprintf("%d scenarios that push to the team's pipeline were left out, as asked.", r.LeftOut))
	}
	fmt.Fprintf(w, "\n%s\n", l.Sprintf("%s, seed %d", r.Took.Round(100*time.Millisecond).String(), r.Seed))
}

var escapeCell = strings.NewReplacer("\\", "\\\\", "|", "\\|", "\r", "", "\n", "<br>", "<", "&lt;", ">", "&gt;", "`", "'", "*", "\\*", "[", "\\[", "@", "&#64;")

// cell is text in a cell of a table: what is Markdown or HTML in it is shown as it is.
func cell(text string) string { return escapeCell.Replace(lang.Clean(text)) }
