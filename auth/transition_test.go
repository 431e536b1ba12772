package auth

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// strength orders what holds for an account now; a challenge on top counts half a step.
func strength(a Account) int {
	n := map[State]int{Open: 0, Challenged: 1, Probation: 2, Limited: 4, Locked: 6}[a.restriction()]
	if a.Challenge && a.restriction() != Challenged {
		n++
	}
	return n
}

func drawVerdict(t *rapid.T, at time.Time) Verdict {
	v := Verdict{
		Response: Response(rapid.IntRange(0, int(Lock)).Draw(t, "response")),
		Findings: []string{rapid.StringMatching(`f-[0-9]{3}`).Draw(t, "finding")},
		Demand:   rapid.SampledFrom([]string{"", "totp", "staff"}).Draw(t, "demand"),
		At:       at, Event: "s e", Recovery: rapid.StringMatching(`r-[0-9]{3}`).Draw(t, "recovery"),
	}
	if rapid.Bool().Draw(t, "ends") {
		v.For = time.Duration(rapid.IntRange(1, 200).Draw(t, "minutes")) * time.Minute
	}
	return v
}

func drawAct(t *rapid.T, at time.Time) Act {
	return Act{ID: "act", Kind: rapid.SampledFrom(everyAct).Draw(t, "act"), At: at, By: "staff:ann"}
}

// TestHistories runs random lives of an account and checks after every step what must hold whatever happens.
func TestHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, now := Account{ID: "acct-1", State: Open}, t0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "gap")) * time.Minute)
			before, frozen := a, mustJSON(t, a)
			var changed bool
			what := rapid.SampledFrom([]string{"verdict", "act", "until", "factor", "touch"}).Draw(t, "what")
			switch what {
			case "verdict":
				v := drawVerdict(t, now)
				a, changed = before.Judge(v)
				if strength(a) < strength(before) {
					t.Fatalf("%s loosened %s to %s", v.Response, nameOf(before), nameOf(a))
				}
				// what a finding may not do now it may not do later either: give an end, or an earlier one, to what holds
				if s := before.restriction(); changed && s == a.restriction() && s != Challenged && !a.Until.IsZero() && (before.Until.IsZero() || a.Until.Before(before.Until)) {
					t.Fatalf("%s shortened %s from %v to %v", v.Response, nameOf(before), before.Until, a.Until)
				}
				if before.State == Probation && a.State == Limited && !a.Until.IsZero() && a.Until.Before(before.Until) {
					t.Fatalf("a limit until %v ends a probation until %v", a.Until, before.Until)
				}
				if before.Demand == DemandStaff && a.Demand != DemandStaff {
					t.Fatal("a finding lowered what a recovery demands")
				}
				if changed && !slices.Contains(a.Findings, v.Findings[0]) {
					t.Fatal("a change does not name its finding")
				}
			case "act":
				var refused string
				a, refused = before.Do(drawAct(t, now), 5, 0)
				changed = a.Version != before.Version
				if refused != "" && mustJSON(t, a) != frozen {
					t.Fatalf("refused as %q, and yet something changed", refused)
				}
			case "until":
				a, changed = before.Expire(now)
				if changed && (before.Until.IsZero() || now.Before(before.Until)) {
					t.Fatal("ended before its end")
				}
			case "factor":
				a, changed = before.FactorProved(now, "totp")
				if changed && strength(before)-strength(a) != 1 {
					t.Fatalf("a second factor moved %s to %s", nameOf(before), nameOf(a))
				}
			case "touch":
				a = before.Touch(rapid.SampledFrom([]ChangeKind{ChangedPassword, ChangedEmail, ChangedFactor}).Draw(t, "kind"), now, "totp")
			}
			if mustJSON(t, before) != frozen {
				t.Fatalf("%s changed the record it was given", what)
			}
			checkAccount(t, a)
			if changed != (a.Version == before.Version+1) || !changed && a.Version != before.Version {
				t.Fatalf("%s: changed %v, version %d to %d", what, changed, before.Version, a.Version)
			}
			if !changed && mustJSON(t, a.Record()) != mustJSON(t, before.Record()) {
				t.Fatalf("%s: the platform would be told something else under the same version", what)
			}
		}
	})
}

// checkAccount is what holds for every account at any time.
func checkAccount(t *rapid.T, a Account) {
	s := a.restriction()
	switch {
	case (a.State == Recovering) != (a.Before != ""):
		t.Fatalf("state %s with before %q", a.State, a.Before)
	case a.State == Recovering && a.Before != Limited && a.Before != Locked:
		t.Fatalf("recovering out of %s", a.Before)
	case a.State == Challenged && !a.Challenge, s == Open && a.Challenge, s == Locked && a.Challenge:
		t.Fatalf("state %s with challenge %v", nameOf(a), a.Challenge)
	case (s == Locked || s == Open || s == Challenged) && !a.Until.IsZero():
		t.Fatalf("%s has an end", s)
	case s == Probation && a.Until.IsZero():
		t.Fatal("a probation without an end")
	case (s == Limited || s == Locked) && (a.Recovery == "" || a.Touched.Since.IsZero()):
		t.Fatalf("%s without a way back or without the beginning of the trouble", s)
	case s == Open && (len(a.Findings) > 0 || a.FirstBad != "" || a.Demand != "" || !a.Touched.Since.IsZero()):
		t.Fatal("open, and yet accused of something")
	case len(a.Findings) > MaxFindings || len(a.Recent) > MaxRecent:
		t.Fatalf("%d findings, %d changes", len(a.Findings), len(a.Recent))
	}
}

func mustJSON(t interface{ Fatal(...any) }, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestActRefusedForVersion(t *testing.T) {
	for _, a := range standing() {
		for _, k := range everyAct {
			if n, refused := a.Do(Act{ID: "a", Kind: k, At: t0, Saw: a.Version + 1}, 1, 0); refused != RefusedVersion || n.Version != a.Version {
				t.Errorf("%s in %s with a version that has passed: %q", k, nameOf(a), refused)
			}
		}
	}
}

func TestRecovered(t *testing.T) {
	a := Account{ID: "acct-1", State: Open}
	a = a.Touch(ChangedPassword, t0.Add(-time.Hour), "")
	a, _ = a.Judge(Verdict{Response: Lock, Findings: []string{"f-1"}, At: t0, Event: "s 1", Recovery: "r-1", Demand: "staff"})
	at := t0.Add(10 * time.Minute)
	n, refused := a.Do(Act{ID: "x", Kind: ActRecovered, At: at, Saw: a.Version, Recovery: "r-1"}, 42, 72*time.Hour)
	if refused != "" {
		t.Fatal(refused)
	}
	if n.State != Probation || !n.Until.Equal(at.Add(72*time.Hour)) || !n.Floor.Equal(at) || n.FloorSequence != 42 || n.Sequence != 42 {
		t.Errorf("recovered to %+v", n)
	}
	if n.FirstBad != "" || n.Touched != (Touched{}) || n.Demand != "" || n.Findings != nil || n.Recovery != "r-1" {
		t.Errorf("recovered, and yet %+v", n)
	}
	if _, refused := a.Do(Act{ID: "x", Kind: ActRecovered, At: at, Recovery: "r-0"}, 42, 0); refused != RefusedUnknown {
		t.Errorf("another recovery let the owner in: %q", refused)
	}
}

func TestTouched(t *testing.T) {
	lock := Verdict{Response: Lock, Findings: []string{"f"}, At: t0, Event: "s 9", Recovery: "r"}
	told := func(before time.Duration) Verdict {
		v := lock
		v.FirstAt, v.FirstEvent = t0.Add(-before), "s 1"
		return v
	}
	for _, c := range []struct {
		name    string
		kind    ChangeKind
		at      time.Duration // after the finding
		verdict Verdict
		want    Touched // without Since
		since   time.Duration
	}{
		{"after the finding", ChangedPassword, time.Minute, lock, Touched{Password: true}, 0},
		{"an hour before, first event not known", ChangedFactor, -time.Hour, lock, Touched{Factor: true}, -time.Hour},
		{"two days before", ChangedFactor, -48 * time.Hour, lock, Touched{}, 0},
		{"before the first event of the evidence", ChangedEmail, -3 * time.Hour, told(2 * time.Hour), Touched{}, -2 * time.Hour},
		{"at the first event of the evidence", ChangedEmail, -2 * time.Hour, told(2 * time.Hour), Touched{Contact: true}, -2 * time.Hour},
		{"evidence of days", ChangedSIM, -30 * time.Hour, told(50 * time.Hour), Touched{}, -24 * time.Hour},
	} {
		a := Account{ID: "acct-1", State: Open}
		if c.at < 0 {
			a = a.Touch(c.kind, t0.Add(c.at), "totp")
		}
		a, _ = a.Judge(c.verdict)
		if c.at >= 0 {
			a = a.Touch(c.kind, t0.Add(c.at), "totp")
		}
		got := a.Touched
		if !got.Since.Equal(t0.Add(c.since)) {
			t.Errorf("%s: trouble since %v, want %v from the finding", c.name, got.Since, c.since)
		}
		if got.Since = (time.Time{}); got != c.want {
			t.Errorf("%s: touched %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestRecentKeepsEveryKind: a thief who changes one thing over and over must not push the factor he added out of the record.
func TestRecentKeepsEveryKind(t *testing.T) {
	a := Account{ID: "acct-1", State: Open}
	a = a.Touch(ChangedFactor, t0, "passkey").Touch(ChangedPassword, t0.Add(time.Second), "")
	for i := range 100 {
		a = a.Touch(ChangedEmail, t0.Add(time.Duration(i+2)*time.Second), "")
		a = a.Touch(ChangedFactor, t0.Add(time.Duration(i+2)*time.Second), "invented-"+string(rune('a'+i%26)))
	}
	a, _ = a.Judge(Verdict{Response: Lock, Findings: []string{"f"}, At: t0.Add(time.Hour), Event: "s 9", Recovery: "r"})
	if a.Touched != (Touched{Password: true, Contact: true, Factor: true, Since: t0}) {
		t.Errorf("touched %+v", a.Touched)
	}
}

func TestFactorProved(t *testing.T) {
	challenged := func(changes ...Change) Account {
		a, _ := Account{ID: "acct-1", State: Open}.Judge(Verdict{Response: Challenge, Findings: []string{"f"}, At: t0, Event: "s 1"})
		for _, c := range changes {
			a = a.Touch(c.Kind, c.At, c.Factor)
		}
		return a
	}
	later := t0.Add(time.Minute)
	for _, c := range []struct {
		name   string
		a      Account
		at     time.Time
		factor string
		opens  bool
	}{
		{"later, known factor", challenged(), later, "totp", true},
		{"the moment of the first bad event", challenged(), t0, "totp", false},
		{"before it", challenged(), t0.Add(-time.Second), "totp", false},
		{"a factor added since", challenged(Change{ChangedFactor, "totp", later}), later.Add(1), "totp", false},
		{"another factor added since", challenged(Change{ChangedFactor, "passkey", later}), later.Add(1), "totp", true},
		{"a factor added since that has no name", challenged(Change{ChangedFactor, "", later}), later.Add(1), "totp", false},
		{"sms after the phone was changed", challenged(Change{ChangedPhone, "", later}), later.Add(1), "sms", false},
		{"sms after the SIM was swapped", challenged(Change{ChangedSIM, "", later}), later.Add(1), "sms", false},
		{"totp after the phone was changed", challenged(Change{ChangedPhone, "", later}), later.Add(1), "totp", true},
		{"no factor named", challenged(), later, "", false},
		{"a factor that the contract does not know", challenged(), later, "shoe", false},
	} {
		n, ok := c.a.FactorProved(c.at, c.factor)
		if ok != c.opens || (n.State == Open) != c.opens {
			t.Errorf("%s: %v, %s", c.name, ok, n.State)
		}
	}
}

// TestChallengeOutlivesLimit: being limited for ten minutes must not answer a challenge.
func TestChallengeOutlivesLimit(t *testing.T) {
	a, _ := Account{ID: "acct-1", State: Open}.Judge(Verdict{Response: Challenge, Findings: []string{"f1"}, At: t0, Event: "s 1"})
	a, _ = a.Judge(Verdict{Response: Limit, For: 10 * time.Minute, Findings: []string{"f2"}, At: t0, Event: "s 2", Recovery: "r"})
	if !a.Until.Equal(t0.Add(10 * time.Minute)) {
		t.Fatalf("limited until %v", a.Until)
	}
	if n, ok := a.Expire(t0.Add(10*time.Minute - time.Millisecond)); ok {
		t.Fatalf("ended early: %s", n.State)
	}
	n, ok := a.Expire(t0.Add(10 * time.Minute))
	if !ok || n.State != Challenged || !n.Challenge || n.Touched.Since.IsZero() {
		t.Errorf("after the limit: %+v", n)
	}
	n, _ = a.Do(Act{ID: "v", Kind: ActVerified, At: t0}, 1, 0)
	if n, _ = n.Expire(t0.Add(10 * time.Minute)); n.State != Open {
		t.Errorf("answered and over, and yet %s", n.State)
	}
}

// TestLimitInProbation: ten minutes of a limit must not be a way out of three days of probation.
func TestLimitInProbation(t *testing.T) {
	p := Account{ID: "acct-1", State: Probation, Until: t0.Add(72 * time.Hour), Version: 4}
	for short, want := range map[time.Duration]time.Time{10 * time.Minute: t0.Add(72 * time.Hour), 100 * time.Hour: t0.Add(100 * time.Hour), 0: {}} {
		a, ok := p.Judge(Verdict{Response: Limit, For: short, Findings: []string{"f"}, At: t0, Event: "s 1", Recovery: "r-9"})
		if !ok || a.State != Limited || !a.Until.Equal(want) || a.Recovery != "r-9" {
			t.Errorf("limited for %v: %s until %v, want %v", short, a.State, a.Until, want)
		}
	}
}

// TestLimitAgain: the later of two ends holds, and none is later than any.
func TestLimitAgain(t *testing.T) {
	for _, c := range []struct{ first, second, want time.Duration }{
		{10 * time.Minute, 5 * time.Minute, 10 * time.Minute},
		{10 * time.Minute, 20 * time.Minute, 20 * time.Minute},
		{10 * time.Minute, 0, 0},
		{0, 10 * time.Minute, 0},
	} {
		a := Account{ID: "acct-1", State: Open}
		for _, d := range []time.Duration{c.first, c.second} {
			a, _ = a.Judge(Verdict{Response: Limit, For: d, Findings: []string{"f"}, At: t0, Event: "s 1", Recovery: "r-9"})
		}
		if want := t0.Add(c.want); c.want == 0 && !a.Until.IsZero() || c.want != 0 && !a.Until.Equal(want) {
			t.Errorf("%v, then %v: until %v", c.first, c.second, a.Until)
		}
	}
}
