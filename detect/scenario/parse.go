package scenario

import (
	"bytes"
	"encoding/json"
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

// step makes one event or act of a line's words.
func (s *script) step(at time.Duration, words []string) (step, error) {
	act := words[0] == "do"
	if act {
		words = words[1:]
	}
	if len(words) == 0 {
		return step{}, fmt.Errorf("do what: recovered, unlock, lock, limit, verified, denied, approved, ...")
	}
	fields := make([][2]string, 0, len(words))
	for _, w := range words[1:] {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" || value == "" {
			return step{}, fmt.Errorf("%q is not NAME=VALUE", w)
		}
		fields = append(fields, [2]string{name, value})
	}
	if act {
		return doing(at, words[0], fields)
	}
	return s.happening(at, words[0], fields)
}

// happening makes an event: as JSON, so that the decoder of real events judges it.
func (s *script) happening(at time.Duration, name string, fields [][2]string) (step, error) {
	if !event.Known(event.Type(name)) {
		return step{}, fmt.Errorf("unknown event type %q", name)
	}
	arrival := at
	geo, labels, data := map[string]any{}, map[string]any{}, map[string]any{}
	envelope := map[string]any{"specversion": "1.0", "id": strconv.Itoa(len(s.steps) + 1), "source": "/scenario", "type": name,
		"time": Start.Add(at).Format(time.RFC3339Nano), "data": data}
	for _, f := range fields {
		key, value := f[0], f[1]
		switch {
		case key == "account":
			envelope["subject"] = value
		case key == "id" || key == "source":
			envelope[key] = value
		case key == "arrived":
			var err error
			if arrival, err = since(value); err != nil {
				return step{}, err
			}
		case key == "lat" || key == "lon" || key == "city" || key == "country":
			geo[key] = scalar(value, key == "lat" || key == "lon")
		case key == "data.country":
			data["country"] = value
		case strings.HasPrefix(key, "labels."):
			labels[key[len("labels."):]] = value
		case strings.HasPrefix(key, "extra."):
			data[key[len("extra."):]] = scalar(value, true)
		case fieldKinds[key] == "":
			return step{}, fmt.Errorf("unknown field %q; the platform's own are written extra.%s", key, key)
		default:
			data[key] = scalar(value, fieldKinds[key] == event.Integer)
		}
	}
	if len(geo) > 0 {
		data["geo"] = geo
	}
	if len(labels) > 0 {
		data["labels"] = labels
	}
	envelope["recordedtime"] = Start.Add(arrival).Format(time.RFC3339Nano)
	b, err := json.Marshal(envelope)
	if err != nil {
		return step{}, fmt.Errorf("write event: %w", err)
	}
	e, wrong := event.DecodeLine(b)
	if wrong != nil {
		return step{}, wrong
	}
	return step{at: arrival, event: e}, nil
}

var fieldKinds = func() map[string]event.FieldKind {
	kinds := map[string]event.FieldKind{}
	for _, f := range event.Fields() {
		if f.Kind != event.Place && f.Kind != event.Strings && f.Name != "country" {
			kinds[f.Name] = f.Kind
		}
	}
	return kinds
}()

// scalar is a value as JSON would have it: a number or a bool where one may stand and it looks like one, else text.
func scalar(s string, loose bool) any {
	if loose {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f
		}
		if s == "true" || s == "false" {
			return s == "true"
		}
	}
	return s
}

// doing makes an act.
func doing(at time.Duration, kind string, fields [][2]string) (step, error) {
	act := auth.Act{Kind: auth.ActKind(kind), At: Start.Add(at), By: "operator"}
	for _, f := range fields {
		switch f[0] {
		case "account":
			id, err := auth.ParseAccountID(f[1])
			if err != nil {
				return step{}, err
			}
			act.Account = id
		case "by":
			act.By = f[1]
		case "reason":
			act.Reason = f[1]
		case "device":
			act.Device = f[1]
		case "refers_to":
			act.RefersTo = f[1]
		default:
			return step{}, fmt.Errorf("an act has account, by, reason, device and refers_to, not %q", f[0])
		}
	}
	if act.Account == "" {
		return step{}, fmt.Errorf("the act names no account")
	}
	act.ID = fmt.Sprintf("scenario-%s-%s-%d", act.Account, act.Kind, at)
	return step{at: at, act: &act}, nil
}
