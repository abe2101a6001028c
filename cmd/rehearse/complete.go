package main

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"os"
	"slices"
	"strings"

	gherkin "github.com/cucumber/gherkin/go/v42"
	messages "github.com/cucumber/messages/go/v34"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rehearsal/internal/containers"
	"rehearsal/internal/lang"
	"rehearsal/internal/project"
	"rehearsal/internal/schedule"
	"rehearsal/steps"
)

// addCompletions has every flag with a value, and every argument, completed by what
// the rehearsal has. Where rehearsal.yaml is missing or wrong nothing is proposed:
// completing reads files, starts nothing and says nothing.
func addCompletions(root *cobra.Command) {
	eachCommand(root, func(c *cobra.Command) {
		if values, ok := argumentValues[c.CommandPath()]; ok {
			c.ValidArgsFunction = values
		} else if c.Runnable() {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		add := func(f *pflag.Flag) {
			values, ok := flagValues[f.Name]
			switch own, has := ownValues[c.CommandPath()+" --"+f.Name]; {
			case has:
				values = own
			case f.Value.Type() != "string" && !ok:
				values = cobra.NoFileCompletions // numbers and times; a bool takes no value
			}
			if values != nil {
				_ = c.RegisterFlagCompletionFunc(f.Name, values) // only what is not there, or twice, is refused
			}
		}
		c.LocalNonPersistentFlags().VisitAll(add)
		c.PersistentFlags().VisitAll(add)
	})
}

// flagValues are what the flags of a name take, ownValues what those of one command do.
// A flag of type string that is in neither takes text of the user's own.
var flagValues = map[string]cobra.CompletionFunc{
	"file":           files("yaml", "yml"),
	"compose":        files("yaml", "yml"),
	"mix":            files("yaml", "yml"),
	"alarms":         files("json"),
	"metric-filters": files("json"),
	"json":           files("json"),
	"predicted":      files("ndjson"),
	"profile":        files("json", "csv"),
	"freeze":         files("ics"),
	"chart":          files("svg"),
	"key":            files("pub", "pem"),
	"evidence-key":   anyFile,
	"from-ecs":       files("json"),
	"report":         folders,
	"runs":           filesOr(noRuns),
	"lang":           oneOf(string(lang.English), string(lang.Japanese)),
	"stage":          oneOf(slices.Sorted(maps.Keys(stages))...),
	"cloudwatch":     oneOf(containers.CloudWatchEmbedded, containers.CloudWatchLocalStack, containers.CloudWatchAWS),
	"gaps":           oneOf(string(schedule.FillGaps), string(schedule.ZeroGaps), string(schedule.RefuseGaps)),
	"people-days":    listOf(",", func(string) []string { return weekdays }),
	"baseline":       oneOf("1h", "yesterday", "week"),
	"plan":           orFiles(of(plansOf), "yaml", "yml"),
	"plans":          listOf(",", plansOf),
	"stable":         of(versionsOf),
	"tags":           listOf(tagOperators, tagsOf),
	"container-tags": listOf(tagOperators, tagsOf),
}

var ownValues = map[string]cobra.CompletionFunc{
	"rehearse check --stage":      oneOf(once...),
	"rehearse release --stage":    oneOf(once...),
	"rehearse pipeline --stage":   oneOf(once...),
	"rehearse report --output":    files("html"),
	"rehearse docs --output":      folders,
	"rehearse steps --glue":       files("js"),
	"rehearse lint --format":      oneOf("text", "github", "json"),
	"rehearse watch --cloudwatch": oneOf(containers.CloudWatchLocalStack, containers.CloudWatchAWS),
	"rehearse release --stable":   of(versionsOrNone),
	"rehearse pipeline --stable":  of(versionsOrNone),
}

var once = []string{"containers", "sim"} // both at once is not to be had

var argumentValues = map[string]cobra.CompletionFunc{
	"rehearse verify":          orFiles(of(featuresOf), "feature"),
	"rehearse knownbad":        orFiles(of(featuresOf), "feature"),
	"rehearse lint":            orFiles(of(featuresOf), "feature"),
	"rehearse docs":            orFiles(of(featuresOf), "feature"),
	"rehearse report":          first(folders),
	"rehearse plan":            first(orFiles(of(plansOf), "yaml", "yml")),
	"rehearse release":         first(of(versionsOf)),
	"rehearse pipeline":        first(of(versionsOf)),
	"rehearse confirm":         first(of(versionsOf)),
	"rehearse check":           first(of(versionsOf)),
	"rehearse capacity":        first(of(versionsOf)),
	"rehearse watch":           first(of(versionsOf)),
	"rehearse runs":            first(of(scenariosOf)),
	"rehearse alarms":          first(files("json")),
	"rehearse evidence verify": first(folders),
	"rehearse evidence replay": first(folders),
	"rehearse evidence key":    first(anyFile),
	"rehearse init":            anyFile, // a folder, and files with --from-ecs
	"rehearse man":             first(folders),
}

var weekdays = []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

const (
	nothingElse  = cobra.ShellCompDirectiveNoFileComp
	tagOperators = "&|,~ "
)

// oneOf proposes words.
func oneOf(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, nothingElse)
}

// files has the shell propose files by how their names end.
func files(endings ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(endings, cobra.ShellCompDirectiveFilterFileExt)
}

func anyFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

func folders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// filesOr proposes a word, and files.
func filesOr(word string) cobra.CompletionFunc {
	return cobra.FixedCompletions([]string{word}, cobra.ShellCompDirectiveDefault)
}

// of proposes what the rehearsal that --file names has, but for what was named already.
func of(names func(rehearsal string) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		var fit []string
		for _, name := range names(rehearsalOf(c)) {
			if strings.HasPrefix(name, typed) && !slices.Contains(args, name) {
				fit = append(fit, name)
			}
		}
		return fit, nothingElse
	}
}

// orFiles has the shell propose files where a rehearsal has nothing that fits.
func orFiles(values cobra.CompletionFunc, endings ...string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if fit, directive := values(c, args, typed); len(fit) > 0 {
			return fit, directive
		}
		return endings, cobra.ShellCompDirectiveFilterFileExt
	}
}

// first proposes for the first argument alone.
func first(values cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, nothingElse
		}
		return values(c, args, typed)
	}
}

// listOf completes the last of several names in one word, between any of the separators.
func listOf(separators string, names func(rehearsal string) []string) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		at := strings.LastIndexAny(typed, separators) + 1
		before, last := typed[:at], typed[at:]
		fit, directive := of(names)(c, strings.FieldsFunc(before, func(r rune) bool { return strings.ContainsRune(separators, r) }), last)
		for i := range fit {
			fit[i] = before + fit[i]
		}
		return fit, directive | cobra.ShellCompDirectiveNoSpace
	}
}

// rehearsalOf is what --file names.
func rehearsalOf(c *cobra.Command) string {
	name := "rehearsal.yaml" // of a command without the flag
	if f := c.Flags().Lookup("file"); f != nil {
		name = cmp.Or(f.Value.String(), name)
	}
	return name
}

// known is the rehearsal, without anything where it is missing or wrong: whoever
// completes is about to be told by the command.
func known(rehearsal string) *project.Project {
	p, err := project.Load(context.Background(), rehearsal) // cobra gives a completion none
	if err != nil {
		return &project.Project{}
	}
	return p
}

func versionsOf(rehearsal string) []string {
	return slices.Sorted(maps.Keys(known(rehearsal).Setup.Versions))
}

func versionsOrNone(rehearsal string) []string { return append(versionsOf(rehearsal), noVersion) }

func plansOf(rehearsal string) (all []string) {
	for _, p := range known(rehearsal).Plans {
		all = append(all, p.File)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func featuresOf(rehearsal string) []string {
	features := known(rehearsal).Features
	if features == "" {
		return nil
	}
	files, err := steps.FeatureFiles([]string{features})
	if err != nil {
		return nil
	}
	return files
}

func tagsOf(rehearsal string) (all []string) {
	eachPickle(rehearsal, func(p *messages.Pickle) {
		for _, t := range p.Tags {
			all = append(all, t.Name)
		}
	})
	slices.Sort(all)
	return slices.Compact(all)
}

func scenariosOf(rehearsal string) (all []string) {
	eachPickle(rehearsal, func(p *messages.Pickle) { all = append(all, p.Name) })
	slices.Sort(all)
	return slices.Compact(all)
}

// eachPickle goes through the scenarios of the features that are Gherkin, whatever
// their steps.
func eachPickle(rehearsal string, do func(*messages.Pickle)) {
	for _, file := range featuresOf(rehearsal) {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		ids := (&messages.Incrementing{}).NewId
		doc, err := gherkin.ParseGherkinDocument(bytes.NewReader(data), ids)
		if err != nil || doc.Feature == nil {
			continue
		}
		for _, p := range gherkin.Pickles(*doc, file, ids) {
			do(p)
		}
	}
}
