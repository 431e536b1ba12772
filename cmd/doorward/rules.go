package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"doorward/detect/scenario"
	"doorward/rules"
	"doorward/rules/builtin"
)

// rulesFS is the directory of rules, or the built-in ones.
func rulesFS(dir string) (fs.FS, error) {
	if dir == "" {
		return builtin.FS, nil
	}
	st, err := os.Stat(dir)
	if err != nil {
		return nil, fail(exitRules, "rules: %w", err)
	}
	if !st.IsDir() {
		return nil, fail(exitRules, "rules: %s is not a directory", dir)
	}
	return os.DirFS(dir), nil
}

// loadRules compiles rules; mistakes are named one a line, with their place.
func loadRules(dir string) (*rules.Set, error) {
	fsys, err := rulesFS(dir)
	if err != nil {
		return nil, err
	}
	set, err := rules.Load(fsys)
	if err != nil {
		return nil, fail(exitRules, "rules: %w", err)
	}
	if len(set.Rules()) == 0 {
		return nil, fail(exitRules, "rules: there is no rule in %s; without rules nothing is detected", dir)
	}
	return set, nil
}

func rulesCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{Use: "rules", Short: "List, check and test rules"}
	c.AddCommand(rulesListCommand(t), rulesCheckCommand(t), rulesTestCommand(t))
	return c
}

// ruleLine is a rule as `rules list` prints it (COMMANDS.md).
type ruleLine struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Level  string   `json:"level"`
	Status string   `json:"status"`
	On     []string `json:"on"`
	Per    string   `json:"per"`
	Attack []string `json:"attack"`
	Tests  int      `json:"tests"`
}

func rulesListCommand(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the rules", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c, os.LookupEnv)
			if err != nil {
				return err
			}
			fsys, err := rulesFS(cfg.Rules)
			if err != nil {
				return err
			}
			set, err := loadRules(cfg.Rules)
			if err != nil {
				return err
			}
			tests, err := scenario.Covers(fsys)
			if err != nil {
				return err
			}
			rows := [][]string{{"ID", "RESPONSE", "SCORE", "PER", "TESTS", "TITLE"}}
			for _, r := range set.Rules() {
				l := ruleLine{ID: r.ID, Title: r.Title, Level: r.Level, Status: r.Status, Per: string(r.Per), Attack: r.Attack, Tests: tests[r.ID]}
				for _, on := range r.On {
					l.On = append(l.On, string(on))
				}
				if l.Attack == nil {
					l.Attack = []string{}
				}
				if t.json() {
					if err := t.print(l, nil); err != nil {
						return err
					}
					continue
				}
				rows = append(rows, []string{r.ID, r.Response.String(), strconv.Itoa(r.Score), string(r.Per), strconv.Itoa(tests[r.ID]), r.Title})
			}
			if !t.json() {
				table(t.out, rows...)
			}
			return nil
		},
	}
	c.Flags().String("rules", "", "directory of rules (default: the built-in ones)")
	return c
}

// rulesArgument is the directory of rules a command was given, or the one of the settings.
func rulesArgument(c *cobra.Command, args []string) (fs.FS, error) {
	if len(args) == 1 {
		return rulesFS(args[0])
	}
	cfg, err := loadConfig(c, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	return rulesFS(cfg.Rules)
}

func rulesCheckCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "check [DIR]", Short: "Check rules: every mistake with its place and a suggestion", Args: cobra.MaximumNArgs(1),
		Long: `Checks the rules (*.yaml) in DIR, else those of the setting rules, else the built-in ones. A mistake is a line FILE:LINE:COLUMN: what is wrong
(what was probably meant); it ends with 3. Warnings, as of a sentence that owners would get in English only, go to stderr and fail nothing.`,
		Example: "  doorward rules check my-rules",
		RunE: func(c *cobra.Command, args []string) error {
			fsys, err := rulesArgument(c, args)
			if err != nil {
				return err
			}
			mistakes, warnings, err := rules.Check(fsys)
			if err != nil {
				return err
			}
			for _, w := range warnings {
				t.say("warning: %v", w)
			}
			for _, m := range mistakes {
				if err := t.print(struct {
					File       string `json:"file"`
					Line       int    `json:"line"`
					Column     int    `json:"column"`
					Message    string `json:"message"`
					Suggestion string `json:"suggestion,omitempty"`
				}{m.File, m.Line, m.Column, m.Message, m.Suggestion}, func(w io.Writer) { fmt.Fprintln(w, printable(m.Error())) }); err != nil {
					return err
				}
			}
			if len(mistakes) > 0 {
				return &exit{exitRules, errors.New(several(len(mistakes), "mistake"))}
			}
			set, err := rules.Load(fsys)
			if err != nil {
				return fail(exitRules, "rules: %w", err)
			}
			t.say("%d rules, no mistakes", len(set.Rules()))
			return nil
		},
	}
}

func rulesTestCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "test [DIR]", Short: "Run the scenarios (*.txtar) beside the rules; time is data, nothing waits", Args: cobra.MaximumNArgs(1),
		Long: `Plays every scenario (*.txtar) in DIR, else of the setting rules, else of the built-in ones, on the rules beside it. It says what happens when,
and which findings and states must follow:

  -- events --
  +0s  repeat 5 every 10s  login.failed account=anna device=d1 reason=bad_password
  -- want --
  +40s login.guessing anna challenge
  state anna challenged

Where it does not, lines with - are wanted and missing, lines with + came and are not wanted, and it ends with 3.`,
		Example: "  doorward rules test my-rules",
		RunE: func(c *cobra.Command, args []string) error {
			fsys, err := rulesArgument(c, args)
			if err != nil {
				return err
			}
			result, err := scenario.TestDir(fsys)
			if err != nil {
				var wrong rules.Errors
				if errors.As(err, &wrong) {
					return &exit{exitRules, err}
				}
				return err
			}
			err = t.print(result, func(w io.Writer) {
				for _, s := range result.Cases {
					if !s.Passed {
						fmt.Fprintf(w, "FAIL %s\n%s\n", s.File, printable(indent(s.Diff+s.Error)))
					}
				}
				fmt.Fprintf(w, "%d passed, %d failed\n", result.Passed, result.Failed)
			})
			if err == nil && result.Failed > 0 {
				return &exit{exitRules, errSaid}
			}
			return err
		},
	}
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ")
}
