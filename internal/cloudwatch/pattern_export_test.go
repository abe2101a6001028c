package cloudwatch

// Steps is what matching a line costs: bytes looked at, a regular expression's
// times its instructions.
func (p *Pattern) Steps(text string) int {
	l := &line{text: text}
	p.matches(l)
	return l.steps
}

// MaxRegexSize is how many instructions a regular expression may have.
const MaxRegexSize = maxRegexSize
