package pipeline

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An action's name is "owner/repository/folder@ref"; most have no folder.
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsuses
func splitAction(name string) (repository, folder, ref string) {
	path, ref, _ := strings.Cut(name, "@")
	if parts := strings.SplitN(path, "/", 3); len(parts) == 3 {
		return parts[0] + "/" + parts[1], parts[2], ref
	}
	return path, "", ref
}

// standsIn says whether there is something local for an action: what is named for it, or
// its folder in what is named for its whole repository.
func standsIn(name string, standIns map[string]string) bool {
	if standIns[name] != "" {
		return true
	}
	repository, folder, ref := splitAction(name)
	whole := standIns[repository+"@"+ref]
	if folder == "" || whole == "" {
		return false
	}
	return slices.ContainsFunc([]string{"action.yml", "action.yaml", "Dockerfile"}, func(file string) bool {
		_, err := os.Stat(filepath.Join(whole, filepath.FromSlash(folder), file))
		return err == nil
	})
}

// repositories lays out what stands in for actions as act looks for them: a folder for
// each repository ("owner/repository@ref"), in which its actions have theirs. What must
// be put together is copied below dir.
func repositories(standIns map[string]string, dir string) (map[string]string, error) {
	all := map[string]string{}
	names := slices.Sorted(maps.Keys(standIns)) // "a/b@v1" or "a/b/c@v1": a whole repository must come first
	slices.SortStableFunc(names, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	for _, name := range names {
		repository, folder, ref := splitAction(name)
		key := repository + "@" + ref
		from, err := filepath.Abs(standIns[name])
		if err != nil {
			return nil, err
		}
		if folder == "" {
			all[key] = from
			continue
		}
		if whole := all[key]; !strings.HasPrefix(whole, dir+string(filepath.Separator)) {
			all[key] = filepath.Join(dir, fmt.Sprint(len(all)))
			if whole != "" {
				if err := os.CopyFS(all[key], os.DirFS(whole)); err != nil {
					return nil, err
				}
			}
		}
		at := filepath.Join(all[key], filepath.FromSlash(folder))
		if err := os.RemoveAll(at); err != nil { // what is named for it alone counts
			return nil, err
		}
		if err := os.CopyFS(at, os.DirFS(from)); err != nil {
			return nil, err
		}
	}
	return all, nil
}
