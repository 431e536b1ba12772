package scenario

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"doorward/auth"
	"doorward/rules/event"
)

// Start is the time that a scenario's times count from: any, but always the same.
var Start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// Limits of one scenario: it is a story to read, not a load test.
const (
	maxFile   = 256 << 10
	maxEvents = 20_000
)

// Error is a mistake in a scenario.
type Error struct {
	Line    int    `json:"line"` // from 1
	Message string `json:"message"`
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// step is one thing that happens: an event or an act.
type step struct {
	at    time.Duration // when it arrives
	event *event.Event
	act   *auth.Act
}

// script is a scenario, read.
type script struct {
	steps []step
	rules []byte // nil: those under test
	want  []string
	has   map[string]bool
}

func parse(text []byte) (*script, error) {
	if len(text) > maxFile {
		return nil, &Error{1, fmt.Sprintf("the scenario is longer than %d KiB", maxFile>>10)}
	}
	s := &script{has: map[string]bool{}}
	first := 0
	for _, f := range txtar.Parse(text).Files {
		first = header(text, f.Name, first)
		if s.has[f.Name] {
			return nil, &Error{first, fmt.Sprintf("section %q stands twice", f.Name)}
		}
		s.has[f.Name] = true
		switch f.Name {
		case "events":
			if err := s.events(string(f.Data), first); err != nil {
				return nil, err
			}
		case "rules":
			s.rules = append(bytes.Repeat([]byte("\n"), first), f.Data...) // mistakes then have the scenario's lines
		case "want":
			s.want = wanted(string(f.Data))
		default:
			return nil, &Error{first, fmt.Sprintf("there is no section %q: events, rules and want are", f.Name)}
		}
	}
	if len(s.steps) == 0 {
		return nil, &Error{1, "the scenario has no events: write them below a line \"-- events --\""}
	}
	return s, nil
}

// header is the line of a section's header, the first one below a line.
func header(text []byte, name string, below int) int {
	for i, line := range strings.Split(string(text), "\n") {
		rest, ok := strings.CutPrefix(line, "-- ")
		rest = strings.TrimSpace(rest)
		if ok && i >= below && strings.HasSuffix(rest, "--") && strings.TrimSpace(strings.TrimSuffix(rest, "--")) == name {
			return i + 1
		}
	}
	return max(1, below)
}

// wanted is the lines of a want, without comments and with single spaces.
func wanted(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) > 0 {
			lines = append(lines, strings.Join(fields, " "))
		}
	}
	return lines
}

func (s *script) events(text string, header int) error {
	for i, line := range strings.Split(text, "\n") {
		words, err := split(line)
		if err != nil {
			return &Error{header + 1 + i, err.Error()}
		}
		if len(words) == 0 {
			continue
		}
		if err := s.line(words); err != nil {
			return &Error{header + 1 + i, err.Error()}
		}
	}
	// In the order of arrival: a line may come late.
	sortByArrival(s.steps)
	return nil
}

// split cuts a line into words; quotation marks keep spaces together, # begins a comment.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	quoted, open := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, open = !quoted, true
		case !quoted && (r == ' ' || r == '\t' || r == '\r'):
			if open {
				words = append(words, word.String())
				word.Reset()
				open = false
			}
		case !quoted && !open && r == '#':
			return words, nil
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quotation mark is not closed")
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}

func (s *script) line(words []string) error {
	at, err := since(words[0])
	if err != nil {
		return err
	}
	words = words[1:]
	times, every := 1, time.Duration(0)
	if len(words) > 0 && words[0] == "repeat" {
		if len(words) < 4 || words[2] != "every" {
			return fmt.Errorf("repeat is written: +0s repeat 5 every 10s login.failed account=anna")
		}
		if times, err = strconv.Atoi(words[1]); err != nil || times < 1 || times > maxEvents {
			return fmt.Errorf("repeat %q: a number from 1 to %d", words[1], maxEvents)
		}
		if every, err = since("+" + words[3]); err != nil {
			return err
		}
		words = words[4:]
	}
	if len(words) == 0 {
		return fmt.Errorf("the line has no event type")
	}
	for n := range times {
		if len(s.steps) >= maxEvents {
			return fmt.Errorf("the scenario has more than %d events", maxEvents)
		}
		one := make([]string, len(words))
		for i, w := range words {
			one[i] = strings.ReplaceAll(w, "{n}", strconv.Itoa(n+1))
		}
		st, err := s.step(at+time.Duration(n)*every, one)
		if err != nil {
			return err
		}
		s.steps = append(s.steps, st)
	}
	return nil
}

// since reads "+90s", "+10m", "+1d2h", "+1.5s".
func since(s string) (time.Duration, error) {
	rest, ok := strings.CutPrefix(s, "+")
	if !ok {
		return 0, fmt.Errorf("%q: a line begins with its time since the start, such as +10m", s)
	}
	var days time.Duration
	if before, after, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.Atoi(before)
		if err != nil || n < 0 || n > 1000 {
			return 0, fmt.Errorf("%q is not a time such as +10m or +2d", s)
		}
		days, rest = time.Duration(n)*24*time.Hour, after
	}
	if rest == "" {
		return days, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a time such as +10m or +2d", s)
	}
	return days + d, nil
}
