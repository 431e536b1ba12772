package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	"pgregory.net/rapid"
)

// comparisons are what random conditions are made of.
var comparisons = []string{
	`count("login.failed", "10m") >= 3`, `count("login.*", "1h", "ip") > 4`, `distinct(device, "login.*", "1d") >= 2`, `first_seen(device)`,
	`known(country) >= 1`, `since("login.succeeded") < "5m"`, `age() > "1m"`, `amount >= 300`, `amount != 200`, `amount >= 0.5 * balance_before`,
	`country != "SG"`, `country in ["SG", "DE"]`, `country not in ["DE"]`, `kind == "transfer"`, `extra.risk > 3`, `extra.tier == "gold"`,
	`device matches "^d[12]$"`, `device contains "1"`, `has(amount)`, `account.state == "open"`, `sum("transaction.*", "1h", "out") > 500`,
	`sequence("login.failed", "login.succeeded", "10m")`, `speed_kmh("login.*") > 900`, `known_for(device) < "2m"`, `true`, `5 < amount`,
}

func condition(t *rapid.T, depth int) string {
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		return rapid.SampledFrom(comparisons).Draw(t, "comparison")
	}
	a, b := condition(t, depth-1), condition(t, depth-1)
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		return fmt.Sprintf("(%s and %s)", a, b)
	case 1:
		return fmt.Sprintf("(%s or %s)", a, b)
	}
	return fmt.Sprintf("not (%s)", a)
}

func someRules(t *rapid.T) string {
	var b strings.Builder
	for i := range rapid.IntRange(1, 5).Draw(t, "rules") {
		text := rule("login.failed, login.succeeded, transaction.requested", condition(t, 3))
		text = strings.Replace(text, "id: r", fmt.Sprintf("id: r%d", i), 1)
		text = strings.Replace(text, "review", rapid.SampledFrom([]string{"notify", "review", "challenge", "lock"}).Draw(t, "response"), 1)
		again := rapid.SampledFrom([]string{"edge", "always", "3m"}).Draw(t, "again")
		b.WriteString(strings.Replace(text, "  level", "  again: "+again+"\n  level", 1))
	}
	return b.String()
}

func someEvent(t *rapid.T) (name, data string) {
	d := map[string]any{}
	maybe := func(key string, values ...any) {
		if i := rapid.IntRange(-1, len(values)-1).Draw(t, key); i >= 0 {
			d[key] = values[i]
		}
	}
	maybe("device", "d1", "d2", "x1")
	maybe("ip", "203.0.113.9", "198.51.100.7")
	maybe("risk", 1, 5, "high")
	maybe("tier", "gold", 7)
	maybe("geo", map[string]any{"country": "SG", "lat": 1.3, "lon": 103.8}, map[string]any{"country": "DE", "lat": 52.5, "lon": 13.4})
	name = rapid.SampledFrom([]string{"login.failed", "login.succeeded", "transaction.requested"}).Draw(t, "type")
	if name == "transaction.requested" {
		maybe("amount", 200, 300, 900)
		maybe("balance_before", 0, 400, 2000)
		maybe("direction", "in", "out")
		maybe("kind", "transfer", "payment")
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return name, string(b)
}

// For random rules and events: Explain, asked first, says fired of exactly the rules that Evaluate then finds; the comparisons it shows,
// put together as the condition says, give what the VM gave; every piece of evidence is there; and a second run, byte for byte, is the same.
func TestEvaluateAgreesWithExplain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := someRules(rt)
		w, twin := newWorld(t, text), newWorld(t, text)
		w.account.Floor = start.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "floor")) * time.Minute)
		twin.account.Floor = w.account.Floor
		at := time.Duration(0)
		for range rapid.IntRange(1, 12).Draw(rt, "events") {
			name, data := someEvent(rt)
			at += time.Duration(rapid.IntRange(-30, 300).Draw(rt, "step")) * time.Second
			at = max(at, 0)
			f := w.facts(at, name, data)
			explained := w.set.Explain(f)
			agree(rt, w.set, f, explained)
			findings, faults := w.set.Evaluate(f)
			if len(faults) > 0 {
				rt.Fatalf("%v\n%s", faults[0].Err, text)
			}
			same(rt, explained, findings)
			again, _ := twin.set.Evaluate(twin.facts(at, name, data))
			one, err1 := json.Marshal(findings)
			two, err2 := json.Marshal(again)
			if err := errors.Join(err1, err2); err != nil {
				rt.Fatal(err)
			}
			if string(one) != string(two) {
				rt.Fatalf("two runs differ:\n%s\n%s", one, two)
			}
		}
	})
}

// same holds findings and what was explained together.
func same(t *rapid.T, explained []Explained, findings []Finding) {
	fired := map[string]Finding{}
	for _, f := range findings {
		fired[f.Rule.ID] = f
		if len(f.Evidence) == 0 {
			t.Fatalf("rule %s has no evidence: %s", f.Rule.ID, f.Rule.When)
		}
	}
	for _, x := range explained {
		f, is := fired[x.Rule.ID]
		if is != x.Fired {
			t.Fatalf("rule %s: evaluated %v, explained %v (%s): %s", x.Rule.ID, is, x.Fired, x.Why, x.Rule.When)
		}
		if is && f.Capped != x.Why {
			t.Fatalf("rule %s: capped %q, explained %q", x.Rule.ID, f.Capped, x.Why)
		}
	}
}

// agree puts the comparisons that were shown together as the condition says, and compares with the VM's run of the whole.
func agree(t *rapid.T, s *Set, f *Facts, explained []Explained) {
	r := s.run(f)
	defer s.done(r)
	for i, c := range s.compiled {
		whole, err := r.holds(c)
		if err != nil {
			t.Fatal(err)
		}
		holds, n := map[*comparison]bool{}, 0
		c.cond.leaves(func(one *comparison) {
			holds[one] = explained[i].Conditions[n].True
			n++
		})
		if n != len(explained[i].Conditions) || c.cond.is(holds) != whole {
			t.Fatalf("rule %s: the VM says %v, its comparisons %v: %s", c.ID, whole, explained[i].Conditions, c.When)
		}
	}
}

// FuzzLoad: whatever a rule file holds, loading ends soon, without a panic, with rules or with places inside the file.
func FuzzLoad(f *testing.F) {
	text, err := os.ReadFile(mistakesFile)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range txtar.Parse(text).Files {
		if !strings.HasSuffix(file.Name, ".want") {
			f.Add(inRule(file.Data))
		}
	}
	f.Add([]byte(strings.Repeat("[", 100)))
	f.Add([]byte("- id: &a {b: *a}\n  when: |2-\n      x\n   y\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		began := time.Now()
		set, err := Parse("f.yaml", text)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("loading took %v", took)
		}
		var mistakes Errors
		switch {
		case err == nil:
			again, err := Parse("f.yaml", text)
			if err != nil || again.Fingerprint() != set.Fingerprint() {
				t.Errorf("loaded twice: %v, fingerprints %s and %s", err, set.Fingerprint(), again.Fingerprint())
			}
		case errors.As(err, &mistakes):
			lines := strings.Count(string(text), "\n") + 1
			for _, m := range mistakes {
				if m.Line < 1 || m.Line > lines || m.Column < 1 || m.Message == "" {
					t.Errorf("%+v is not in a file of %d lines", m, lines)
				}
			}
		default:
			t.Errorf("neither rules nor mistakes: %v", err)
		}
	})
}

// FuzzCondition: whatever a condition says, it is refused with a place, or runs on an event without a fault, and explain agrees.
func FuzzCondition(f *testing.F) {
	for _, c := range comparisons {
		f.Add(c)
	}
	text, err := os.ReadFile(mistakesFile)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range txtar.Parse(text).Files {
		if !strings.HasSuffix(file.Name, ".want") && !strings.HasPrefix(string(file.Data), "- ") {
			f.Add(strings.TrimSuffix(string(file.Data), "\n"))
		}
	}
	f.Fuzz(func(t *testing.T, when string) {
		when = strings.ToValidUTF8(when, "?")
		quoted, err := json.Marshal(when) // JSON's strings are YAML's
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(rule("login.failed, transaction.requested", "WHEN"), "|\n    WHEN", string(quoted), 1)
		set, err := Parse("f.yaml", []byte(text))
		var mistakes Errors
		switch {
		case errors.As(err, &mistakes):
			for _, m := range mistakes {
				if m.Line < 1 || m.Line > 9 || m.Column < 1 {
					t.Errorf("%+v is not in the file", m)
				}
			}
			return
		case err != nil:
			t.Fatal(err)
		case set.Rules()[0].When != strings.TrimRight(when, "\n") && set.Rules()[0].When != when:
			t.Errorf("when is %q, was %q", set.Rules()[0].When, when)
		}
		w := newWorld(t, text)
		for _, data := range []string{`{}`, transfer} {
			facts := w.facts(0, "transaction.requested", data)
			explained := w.set.Explain(facts)
			findings, faults := w.set.Evaluate(facts)
			if len(faults) > 0 {
				t.Fatalf("%s: %v", when, faults[0].Err)
			}
			if explained[0].Fired != (len(findings) == 1) {
				t.Errorf("%s: explained %v, evaluated %v", when, explained[0], findings)
			}
			if _, err := json.Marshal(findings); err != nil {
				t.Error(err)
			}
		}
	})
}
