package scenario

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const someRules = `-- rules --
- id: own.rule
  title: Own
  level: low
  on: [login.failed]
  when: count("login.failed", "10m") >= 2
  again: always
  score: 10
  response: lock
  reason: {code: own, en: Own rule.}
`

func TestRunPasses(t *testing.T) {
	r, err := Run([]byte(`Two failures.
-- events --
# three of them, and an event that came late
+0s    repeat 3 every 1m  login.failed account=user-7 user_agent="Mozilla/5.0 (X11)" reason=bad_password
+30s   login.succeeded account=user-7 arrived=+5m
`+someRules+`-- want --
+1m   own.rule user-7 lock   # the second
+2m   own.rule user-7 lock
state user-7 locked
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Passed {
		t.Error(r.Diff)
	}
}

func TestRunSaysWhatDiffers(t *testing.T) {
	r, err := Run([]byte("-- events --\n+0s repeat 3 every 1m login.failed account=a\n"+someRules+
		"-- want --\n+1m own.rule a challenge\n+2m own.rule a lock\nstate a locked\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "- +1m own.rule a challenge\n+ +1m own.rule a lock\n  +2m own.rule a lock\n  state a locked\n"
	if d := cmp.Diff(want, r.Diff); r.Passed || d != "" {
		t.Error(d)
	}
}

// What was before a recovery does not lock again: the act, and the floor it sets, are part of the story.
func TestActs(t *testing.T) {
	text := []byte("-- events --\n+0s repeat 2 every 1m login.failed account=a ip=203.0.113.9\n+1h do unlock account=a by=staff:eva reason=\"called back\"\n" +
		"+2h login.failed account=a ip=203.0.113.9\n+2h do recovered account=a by=owner\n" +
		strings.Replace(someRules, `"10m")`, `"3h", "ip")`, 1) +
		"-- want --\n+1m own.rule a lock\n+2h own.rule a review (floor)\n+2h recovered a refused (state)\nstate a open\n")
	r, err := Run(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Passed {
		t.Error(r.Diff)
	}
}

func TestMistakesOfScenarios(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `line 1: the scenario has no events: write them below a line "-- events --"`},
		{"-- events --\n+0s login.failed account=a\n", `line 1: the scenario wants nothing: write what must follow below a line "-- want --", or the word nothing`},
		{"x\n-- events --\n\nlogin.failed account=a\n", `line 4: "login.failed": a line begins with its time since the start, such as +10m`},
		{"-- events --\n+0s login.faild account=a\n", `line 2: unknown event type "login.faild"`},
		{"-- events --\n+0s\n", `line 2: the line has no event type`},
		{"-- events --\n+0s login.failed account=a colour=red\n", `line 2: unknown field "colour"; the platform's own are written extra.colour`},
		{"-- events --\n+0s login.failed account\n", `line 2: "account" is not NAME=VALUE`},
		{"-- events --\n+0s login.failed account=a user_agent=\"x\n", `line 2: a quotation mark is not closed`},
		{"-- events --\n+0s login.failed device=d\n", `line 2: bad_envelope`},
		{"-- events --\n+0s transaction.requested account=a amount=much\n", `line 2: bad_data: data.amount`},
		{"-- events --\n+0s repeat many every 1s login.failed account=a\n", `line 2: repeat "many": a number from 1 to 20000`},
		{"-- events --\n+0s repeat 5 login.failed account=a\n", `line 2: repeat is written: +0s repeat 5 every 10s login.failed account=anna`},
		{"-- events --\n+0s repeat 20000 every 1s login.failed account=a\n+1d login.failed account=a\n", `line 3: the scenario has more than 20000 events`},
		{"-- events --\n+0s do unlock by=operator\n", `line 2: the act names no account`},
		{"-- evnts --\n", `line 1: there is no section "evnts": events, rules and want are`},
		{"-- want --\nnothing\n-- want --\n", `line 3: section "want" stands twice`},
	} {
		_, err := Run([]byte(c.text), nil)
		var at *Error
		if !errors.As(err, &at) || !strings.HasPrefix(at.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
}

// A mistake in a scenario's rules stands at its line of the scenario.
func TestMistakesOfItsRules(t *testing.T) {
	_, err := Run([]byte("-- events --\n+0s login.failed account=a\n"+strings.Replace(someRules, "level: low", "level: lo", 1)+"-- want --\nnothing\n"), nil)
	if want := `scenario:6:10: level: "lo" is not one of informational, low, medium, high, critical (did you mean low?)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestUpdateWritesWant(t *testing.T) {
	text := "Story.\n-- events --\n+0s repeat 2 every 1m login.failed account=a\n" + someRules
	for _, in := range []string{text, text + "-- want --\nnothing\n"} {
		got, err := Update([]byte(in), nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(text+"-- want --\n+1m own.rule a lock\nstate a locked\n", string(got)); d != "" {
			t.Error(d)
		}
	}
}

func TestTestDir(t *testing.T) {
	_, yaml, _ := strings.Cut(someRules, "\n")
	story := "-- events --\n+0s repeat 2 every 1m login.failed account=a\n-- want --\n"
	fires := "+1m own.rule a lock\nstate a locked\n"
	fsys := fstest.MapFS{
		"rules.yaml":               {Data: []byte(yaml)},
		"own.rule.fires.txtar":     {Data: []byte(story + fires)},
		"own.rule.quiet-one.txtar": {Data: []byte(story + fires)},
		"sub/free.txtar":           {Data: []byte(story + "nothing\n")},
		"sub/broken.txtar":         {Data: []byte("-- events --\n?\n")},
	}
	r, err := TestDir(fsys)
	if err != nil {
		t.Fatal(err)
	}
	want := Report{Passed: 1, Failed: 3, Cases: []Case{
		{File: "own.rule.fires.txtar", Rule: "own.rule", Passed: true},
		{File: "own.rule.quiet-one.txtar", Rule: "own.rule",
			Error: "own.rule.quiet-one.txtar: rule own.rule fires, and the file's name says that it stays quiet"},
		{File: "sub/broken.txtar", Error: `sub/broken.txtar:2: "?": a line begins with its time since the start, such as +10m`},
		{File: "sub/free.txtar", Diff: "- nothing\n+ +1m own.rule a lock\n+ state a locked\n"},
	}}
	if d := cmp.Diff(want, r); d != "" {
		t.Error(d)
	}
	covers, err := Covers(fsys)
	if d := cmp.Diff(map[string]int{"own.rule": 2}, covers); err != nil || d != "" {
		t.Error(err, d)
	}
	fsys["rules.yaml"] = &fstest.MapFile{Data: []byte("- id: x\n")}
	if _, err := TestDir(fsys); err == nil {
		t.Error("rules with mistakes are no error")
	}
}

// FuzzRun: whatever a scenario says, it is played or refused at a line of it.
func FuzzRun(f *testing.F) {
	f.Add([]byte("-- events --\n+0s repeat 3 every 1m login.failed account=a{n} device=\"d 1\" lat=1 lon=2 country=SG extra.x=1 labels.y=z\n" +
		"+1d2h do lock account=a1 reason=x\n+1h transaction.requested account=b amount=5 arrived=+2h\n" + someRules + "-- want --\nnothing\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Count(string(text), "repeat") > 1 || strings.Contains(string(text), "0000") {
			return // thousands of events say no more, and take long
		}
		s, err := parse(text)
		var at *Error
		if err != nil && (!errors.As(err, &at) || at.Line < 1 || at.Line > strings.Count(string(text), "\n")+1) {
			t.Errorf("%v names no line of the scenario", err)
		}
		if err == nil && len(s.steps) < 50 && s.rules != nil {
			if _, err := s.play(nil); err == nil {
				return
			}
		}
	})
}
