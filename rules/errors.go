package rules

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// Error is one mistake in a rule file, at the exact place of it.
type Error struct {
	File       string `json:"file"`
	Line       int    `json:"line"`   // from 1
	Column     int    `json:"column"` // from 1, in characters
	Message    string `json:"message"`
	Suggestion string `json:"suggestion,omitempty"` // what to write instead, as it would stand in the file; empty: none is near
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if e.Suggestion != "" {
		s += fmt.Sprintf(" (did you mean %s?)", e.Suggestion)
	}
	return s
}

// Errors are all mistakes of a rule set, in the order of files and places.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

func (e Errors) sort() {
	sort.SliceStable(e, func(i, j int) bool {
		a, b := e[i], e[j]
		switch {
		case a.File != b.File:
			return a.File < b.File
		case a.Line != b.Line:
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
}

// nearest is the candidate that name was most likely meant to be, or "": at most a third of its letters differ, or one is the start or the
// last part of the other (a newcomer writes "failed" for "login.failed").
func nearest(name string, candidates []string) string {
	if len(name) > 64 {
		return ""
	}
	low := strings.ToLower(name)
	best, least := "", max(1, utf8.RuneCountInString(name)/3)+1
	for _, c := range candidates {
		if d := distance(low, strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	if best != "" || len(name) < 3 {
		return best
	}
	for _, c := range candidates {
		lc := strings.ToLower(c)
		if strings.HasPrefix(lc, low) || strings.HasPrefix(low, lc) || strings.HasSuffix(lc, "."+low) || strings.HasSuffix(lc, "_"+low) {
			return c
		}
	}
	return ""
}

// distance is how many letters one must insert, drop, change or swap with the neighbour to make b of a.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
