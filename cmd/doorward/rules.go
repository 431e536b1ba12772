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

// dirArgument is the directory a command was given, or the one of the settings.
func dirArgument(c *cobra.Command, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	cfg, err := loadConfig(c, os.LookupEnv)
	if err != nil {
		return "", err
	}
	return cfg.Rules, nil
}

func rulesCheckCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "check [DIR]", Short: "Check rules: every mistake with its place and a suggestion", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := dirArgument(c, args)
			if err != nil {
				return err
			}
			fsys, err := rulesFS(dir)
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
				return &exit{exitRules, fmt.Errorf("%d mistakes", len(mistakes))}
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
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := dirArgument(c, args)
			if err != nil {
				return err
			}
			fsys, err := rulesFS(dir)
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
