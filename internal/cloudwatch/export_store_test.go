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

// SeriesOf is how many metrics of that name there are.
func (s *Store) SeriesOf(metric string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, h := range s.series {
		if h.metric.MetricName == metric {
			n++
		}
	}
	return n
}

// LogBytes is what is kept of logs; it also says whether the groups' add up to it.
func (s *Store) LogBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, g := range s.groups {
		for _, e := range g.events {
			n += len(e.Message) + overhead
		}
	}
	if n != s.logBytes {
		panic("cloudwatch: the bytes of the log groups do not add up")
	}
	return n
}

// LocalAddress says whether SNS may connect to an address.
func LocalAddress(address string) bool { return localAddress(address) }
