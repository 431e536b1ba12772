package scenario

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"doorward/rules/builtin"
)

var update = flag.Bool("update", false, "write what the scenarios lead to into their want")

// builtinDir is where the shipped rules lie, seen from here.
const builtinDir = "../../rules/builtin"

func TestBuiltInScenarios(t *testing.T) {
	files, err := fs.Glob(builtin.FS, "*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	set, err := builtin.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			text, err := fs.ReadFile(builtin.FS, file)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				now, err := Update(text, set)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(builtinDir, file), now, 0o644); err != nil {
					t.Fatal(err)
				}
				text = now
			}
			if c := play(file, text, set); !c.Passed {
				t.Errorf("%s\n%s", c.Error, c.Diff)
			}
		})
	}
}

// Every rule that ships shows when it fires and when it does not.
func TestEveryRuleHasBoth(t *testing.T) {
	set, err := builtin.Load()
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(builtin.FS, "*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]int{}, map[string]int{}
	for _, f := range files {
		rule, does := Subject(f)
		if set.Rule(rule) == nil {
			t.Errorf("%s: there is no rule %q", f, rule)
		}
		if does {
			fires[rule]++
		} else {
			quiet[rule]++
		}
	}
	if len(set.Rules()) != 12 {
		t.Errorf("%d rules ship, the issue names 12", len(set.Rules()))
	}
	for _, r := range set.Rules() {
		if fires[r.ID] == 0 || quiet[r.ID] == 0 {
			t.Errorf("rule %s has %d scenarios that fire and %d near misses", r.ID, fires[r.ID], quiet[r.ID])
		}
	}
}
