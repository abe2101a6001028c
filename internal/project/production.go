package project

import (
	"maps"
	"slices"

	"rehearsal/internal/parity"
)

// production reads what the staging copy is compared with, and the waivers.
func (r *reader) production(p *Project, f yamlFile) {
	y, way := f.Production, at{"production"}
	if _, there := r.find(way); !there {
		if f.Waivers != "" {
			r.fail(at{"waivers"}, "waivers are for differences from production: name production too, with its description")
		}
		return
	}
	whole := true // every file could be opened
	open := func(way at, name, what string) parity.File {
		file, data, ok := r.open(way, name, what)
		whole = whole && ok
		return parity.File{Name: file, Data: data}
	}
	s := parity.Sources{Databases: map[string][]parity.File{}, Containers: y.Containers}
	if len(y.Description) == 0 {
		r.fail(append(way, "description"), "production: needs \"description\", a file or a list of files: %s", parity.Want)
		whole = false
	}
	for _, name := range y.Description {
		s.Description = append(s.Description, open(append(way, "description"), name, parity.Want))
	}
	service := func(way at, name string) {
		if p.Compose != nil && !slices.Contains(p.Compose.ServiceNames(), name) {
			r.fail(way, "production: the compose file has no service %q: it has %q", name, p.Compose.ServiceNames())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(y.Databases)) {
		way := append(way, "databases", name)
		service(way, name)
		for _, file := range y.Databases[name] {
			s.Databases[name] = append(s.Databases[name], open(way, file, "the output of `aws rds describe-db-instances` or `describe-db-parameters`"))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(y.Containers)) {
		service(append(way, "containers", name), name)
	}
	if y.TargetGroups != "" {
		s.TargetGroups = new(open(append(way, "targetGroups"), y.TargetGroups, "the output of `aws elbv2 describe-target-groups`"))
	}
	if y.Alarms != "" {
		s.Alarms = new(open(append(way, "alarms"), y.Alarms, "the output of `aws cloudwatch describe-alarms` in production"))
	}
	if f.Waivers != "" {
		if file, data, ok := r.open(at{"waivers"}, f.Waivers, "the waivers of differences from production"); ok {
			var err error
			if p.Waivers, err = parity.ParseWaivers(file, data); err != nil {
				r.add(err)
			}
		}
	}
	if !whole || p.Compose == nil || !slices.Contains(p.Compose.ServiceNames(), f.Service) {
		return // told already
	}
	c, err := parity.Read(r.ctx, s, f.Service)
	if err != nil {
		r.add(err)
		return
	}
	p.Production = c
}
