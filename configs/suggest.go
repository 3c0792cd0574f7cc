package configs

import "strings"

// closest returns the word of known that text was probably meant to be, "" when
// none is near.
func closest(text string, known []string) string {
	if len(text) > 64 {
		return ""
	}
	best, bestDistance := "", max(1, len(text)/3)+1
	for _, word := range known {
		if d := distance(strings.ToLower(text), strings.ToLower(word)); d < bestDistance {
			best, bestDistance = word, d
		}
	}
	return best
}

// distance is the edit distance in bytes with neighbours swapped counted once
// (optimal string alignment).
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before2 := before
		before, row = row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(before[j]+1, row[j-1]+1, before[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before2[j-2]+1)
			}
		}
	}
	return row[len(b)]
}

// meant returns the remedy for an unknown word: the near one, else the list.
func meant(text string, known []string) string {
	if word := closest(text, known); word != "" {
		return `did you mean "` + word + `"?`
	}
	if len(known) == 0 {
		return "none is defined here"
	}
	const shown = 30
	if len(known) > shown {
		return "one of " + strings.Join(known[:shown], ", ") + ", …"
	}
	return "one of " + strings.Join(known, ", ")
}
