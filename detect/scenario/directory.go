package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"doorward/rules"
)

// Case is one scenario of a directory.
type Case struct {
	File   string `json:"file"`
	Rule   string `json:"rule,omitempty"` // of RULE.fires.txtar and RULE.quiet.txtar
	Passed bool   `json:"passed"`
	Diff   string `json:"diff,omitempty"`  // what came instead
	Error  string `json:"error,omitempty"` // why it could not be played
}

// Report is what came of a directory of scenarios.
type Report struct {
	Passed int    `json:"passed"`
	Failed int    `json:"failed"`
	Cases  []Case `json:"cases"`
}

// TestDir plays every *.txtar below fsys on the rules (*.yaml) there, or on those that ship when it has none. An error is one of reading or
// rules.Errors; a scenario that can't be played is a failed case.
func TestDir(fsys fs.FS) (Report, error) {
	report := Report{Cases: []Case{}}
	set, err := rules.Load(fsys)
	if err != nil {
		return report, err
	}
	if len(set.Rules()) == 0 {
		set = nil
	}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".txtar" {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		c := play(name, text, set)
		if c.Passed {
			report.Passed++
		} else {
			report.Failed++
		}
		report.Cases = append(report.Cases, c)
		return nil
	})
	if err != nil {
		return report, fmt.Errorf("read scenarios: %w", err)
	}
	return report, nil
}

func play(name string, text []byte, set *rules.Set) Case {
	c := Case{File: name}
	c.Rule, _ = Subject(name)
	r, err := Run(text, set)
	var at *Error
	switch {
	case errors.As(err, &at):
		c.Error = fmt.Sprintf("%s:%d: %s", name, at.Line, at.Message)
		return c
	case err != nil:
		c.Error = fmt.Sprintf("%s: %v", name, err)
		return c
	}
	if c.Passed, c.Diff = r.Passed, r.Diff; c.Passed {
		c.Error = subjectMissing(name, r.Got)
		c.Passed = c.Error == ""
	}
	return c
}

// Covers counts the scenarios below fsys that are named after each rule.
func Covers(fsys fs.FS) (map[string]int, error) {
	n := map[string]int{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if rule, _ := Subject(name); err == nil && !d.IsDir() && path.Ext(name) == ".txtar" && rule != "" {
			n[rule]++
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read scenarios: %w", err)
	}
	return n, nil
}

// Subject is the rule that a scenario's file is named after, and whether it must fire there: RULE.fires.txtar, RULE.fires-again.txtar and so
// on, or RULE.quiet... Other names give "".
func Subject(file string) (rule string, fires bool) {
	name := strings.TrimSuffix(path.Base(file), ".txtar")
	i := strings.LastIndexByte(name, '.')
	if i <= 0 {
		return "", false
	}
	switch word, _, _ := strings.Cut(name[i+1:], "-"); word {
	case "fires":
		return name[:i], true
	case "quiet":
		return name[:i], false
	}
	return "", false
}

// subjectMissing says that a scenario does not show what its name says.
func subjectMissing(name string, got []string) string {
	rule, fires := Subject(name)
	if rule == "" {
		return ""
	}
	for _, line := range got {
		if words := strings.Fields(line); len(words) > 1 && words[1] == rule && strings.HasPrefix(line, "+") {
			if fires {
				return ""
			}
			return fmt.Sprintf("%s: rule %s fires, and the file's name says that it stays quiet", name, rule)
		}
	}
	if fires {
		return fmt.Sprintf("%s: rule %s stays quiet, and the file's name says that it fires", name, rule)
	}
	return ""
}
