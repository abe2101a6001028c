package release

import "strings"

// didYouMean is `: did you mean "steps"?` where one of the known words is near
// to word, else the whole list of them.
func didYouMean(word string, known []string) string {
	best, distance := "", 0
	for _, k := range known {
		d := edits(strings.ToLower(word), strings.ToLower(k))
		if d <= max(len(word), len(k))/2 && (best == "" || d < distance) {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return `did you mean "` + best + `"?`
	case len(known) == 0:
		return "there is none"
	}
	return "known: " + strings.Join(known, ", ")
}

// edits is how many letters must be changed, added or taken away to make b of a
// (Levenshtein's distance).
func edits(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j := range to {
			cost := diagonal
			if from[i] != to[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}
