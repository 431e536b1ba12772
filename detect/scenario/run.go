package scenario

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules"
	"doorward/rules/builtin"
)

// Nothing is what is wanted of a scenario in which no rule fires.
const Nothing = "nothing"

// Result is what a scenario led to.
type Result struct {
	Got    []string // as `want` has it
	Want   []string
	Passed bool
	Diff   string // empty when it passed; lines with "-" are wanted and missing, with "+" came and are not wanted
}

// Run plays a scenario on the rules of its own section, else on set, else on those that ship. An error is a mistake in the scenario (*Error)
// or in its rules (rules.Errors).
func Run(scenario []byte, set *rules.Set) (Result, error) {
	s, err := parse(scenario)
	if err != nil {
		return Result{}, err
	}
	if !s.has["want"] {
		return Result{}, &Error{1, `the scenario wants nothing: write what must follow below a line "-- want --", or the word nothing`}
	}
	got, err := s.play(set)
	if err != nil {
		return Result{}, err
	}
	r := Result{Got: got, Want: s.want, Passed: slices.Equal(got, s.want)}
	if !r.Passed {
		r.Diff = diff(s.want, got)
	}
	return r, nil
}

// Update gives the scenario with what it leads to as its want.
func Update(scenario []byte, set *rules.Set) ([]byte, error) {
	s, err := parse(scenario)
	if err != nil {
		return nil, err
	}
	got, err := s.play(set)
	if err != nil {
		return nil, err
	}
	a := txtar.Parse(scenario)
	want := txtar.File{Name: "want", Data: []byte(strings.Join(got, "\n") + "\n")}
	if i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "want" }); i >= 0 {
		a.Files[i] = want
	} else {
		a.Files = append(a.Files, want)
	}
	return txtar.Format(a), nil
}

// play runs the engine over the scenario and says what came of it, a line each.
func (s *script) play(set *rules.Set) ([]string, error) {
	var err error
	switch {
	case s.rules != nil:
		set, err = rules.Parse("scenario", s.rules)
	case set == nil:
		set, err = builtin.Load()
	}
	if err != nil {
		return nil, err
	}
	r := detect.NewReplay(detect.ReplayConfig{Rules: set})
	var lines []string
	for _, st := range s.steps {
		if st.act != nil {
			out, err := r.Apply(*st.act)
			if err != nil {
				return nil, fmt.Errorf("apply act: %w", err)
			}
			if !out.Applied {
				lines = append(lines, fmt.Sprintf("%s %s %s refused (%s)", clock(st.at), st.act.Kind, st.act.Account, out.Refused))
			}
			continue
		}
		findings, err := r.Take(st.event)
		if err != nil {
			return nil, fmt.Errorf("take event: %w", err)
		}
		for _, f := range findings {
			line := fmt.Sprintf("%s %s %s %s", clock(f.At.Sub(Start)), f.Rule, f.Account, f.Response)
			if f.Capped != "" {
				line += " (" + f.Capped + ")"
			}
			lines = append(lines, line)
		}
	}
	if lines = append(lines, states(r)...); len(lines) == 0 {
		lines = []string{Nothing}
	}
	return lines, nil
}

// states are the states of all accounts that are, or ever were, not open, by their ids.
func states(r *detect.Replay) []string {
	var lines []string
	r.Accounts(func(a auth.Account) { lines = append(lines, fmt.Sprintf("state %s %s", a.ID, a.State)) })
	sort.Strings(lines)
	return lines
}

// clock writes a time since the start as a scenario has it: "+0s", "+40s", "+1h30m", "+2d".
func clock(d time.Duration) string {
	s := "+"
	for _, u := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if n := d / u.size; n > 0 {
			s += fmt.Sprintf("%d%s", n, u.name)
		}
		d %= u.size
	}
	if d > 0 || s == "+" {
		s += d.String() // below a minute: "40s", "1.5s", "250ms"
	}
	return s
}

func sortByArrival(steps []step) {
	sort.SliceStable(steps, func(i, j int) bool { return steps[i].at < steps[j].at })
}

// diff says line by line what is wanted and missing (-) and what came and is not wanted (+).
func diff(want, got []string) string {
	// longest common subsequence, from the end
	common := make([][]int, len(want)+1)
	for i := range common {
		common[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			if want[i] == got[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			fmt.Fprintf(&b, "  %s\n", want[i])
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			fmt.Fprintf(&b, "- %s\n", want[i])
			i++
		default:
			fmt.Fprintf(&b, "+ %s\n", got[j])
			j++
		}
	}
	return b.String()
}
