package alarm

import "slices"

// Renamed is the same rule over alarms of other names.
func (r *Rule) Renamed(name func(string) string) *Rule {
	out := &Rule{root: r.root.renamed(name)}
	for _, child := range r.children {
		out.children = append(out.children, name(child))
	}
	return out
}

func (c *condition) renamed(name func(string) string) *condition {
	out := *c
	out.alarms, out.args = slices.Clone(c.alarms), slices.Clone(c.args)
	for i := range out.alarms {
		out.alarms[i] = name(out.alarms[i])
	}
	for i := range out.args {
		out.args[i] = out.args[i].renamed(name)
	}
	return &out
}
