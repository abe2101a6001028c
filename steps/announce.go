package steps

// announce tells who watches how many scenarios each stage will run. What is wrong with
// the tags is said when the stage's turn comes.
func (r Rehearsal) announce(specs []*Spec) {
	if r.Notify == nil {
		return
	}
	for _, name := range r.Stages {
		n := 0
		match := func([]string) bool { return true }
		if name == Containers && r.ContainerTags != "" {
			var err error
			if match, err = tagFilter("--container-tags", r.ContainerTags, nil); err != nil {
				continue
			}
		}
		for _, s := range specs {
			if s.On(name) && match(s.Tags) {
				n++
			}
		}
		r.Notify(name, Notice{Total: n})
	}
}
