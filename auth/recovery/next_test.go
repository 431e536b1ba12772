package recovery

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"doorward/auth"
)

var t0 = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func account(state auth.State, touched auth.Touched) auth.Account {
	a := auth.Account{ID: "acct-1", State: state, Version: 3, Recovery: "r-1", Touched: touched}
	if a.Touched.Since.IsZero() {
		a.Touched.Since = t0
	}
	if state == auth.Recovering {
		a.Before = auth.Locked
	}
	return a
}

func TestDemand(t *testing.T) {
	old := []string{"ann@example.com"}
	password, contact, factor := auth.Touched{Password: true}, auth.Touched{Contact: true}, auth.Touched{Factor: true}
	all := auth.Touched{Password: true, Contact: true, Factor: true}
	for _, c := range []struct {
		name      string
		touched   auth.Touched
		demand    string
		app       App
		codes     int
		addresses []string
		want      []Step
	}{
		{"nothing", auth.Touched{}, "", GoodApp, 10, old, []Step{StepCode}},
		{"nothing, and nothing but the app", auth.Touched{}, "totp", GoodApp, 0, nil, []Step{StepCode}},
		{"password", password, "", GoodApp, 0, old, []Step{StepCode, StepPassword, StepReview}},
		{"contact", contact, "", GoodApp, 0, nil, []Step{StepCode, StepPassword, StepReview}},
		{"factor", factor, "", GoodApp, 1, old, []Step{StepRecoveryCode, StepMailCode, StepReview, StepHold}},
		{"all", all, "", GoodApp, 1, old, []Step{StepRecoveryCode, StepMailCode, StepPassword, StepReview, StepHold}},
		{"the app came after the first bad event", auth.Touched{}, "", NewApp, 1, old, []Step{StepRecoveryCode, StepMailCode, StepReview, StepHold}},
		{"factor, no old address", factor, "", GoodApp, 1, nil, []Step{StepStaff}},
		{"factor, no code", factor, "", GoodApp, 0, old, []Step{StepStaff}},
		{"new app, no code", password, "", NewApp, 0, old, []Step{StepStaff}},
		{"no app, a code", auth.Touched{}, "", NoApp, 1, old, []Step{StepRecoveryCode}},
		{"paused app, a code", password, "", PausedApp, 1, nil, []Step{StepRecoveryCode, StepPassword, StepReview}},
		{"paused app, no code", auth.Touched{}, "", PausedApp, 0, old, []Step{StepStaff}},
		{"no app, no code", auth.Touched{}, "", NoApp, 0, old, []Step{StepStaff}},
		{"the rule wants staff", auth.Touched{}, "staff", GoodApp, 10, old, []Step{StepStaff}},
	} {
		a := account(auth.Locked, c.touched)
		a.Demand = c.demand
		if got := Demand(Facts{Account: a, App: c.app, Codes: c.codes, Addresses: c.addresses}); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// world is a way through a recovery: what was touched, so which step is met.
type world struct {
	name   string
	facts  Facts
	proofs []Step
	hold   time.Time
	want   Step
}

func worlds() []world {
	old := []string{"ann@example.com", "ann@work.example"}
	f := func(t auth.Touched, app App, codes int) Facts {
		return Facts{Account: account(auth.Locked, t), App: app, Codes: codes, Addresses: old}
	}
	all := f(auth.Touched{Password: true, Factor: true}, NewApp, 3)
	four := []Step{StepRecoveryCode, StepMailCode, StepPassword, StepReview}
	return []world{
		{"app", f(auth.Touched{}, GoodApp, 3), nil, time.Time{}, StepCode},
		{"app lost", f(auth.Touched{}, NoApp, 3), nil, time.Time{}, StepRecoveryCode},
		{"app with more to come", f(auth.Touched{Password: true}, GoodApp, 3), nil, time.Time{}, StepCode},
		{"password", f(auth.Touched{Password: true}, GoodApp, 3), []Step{StepCode}, time.Time{}, StepPassword},
		{"review", f(auth.Touched{Password: true}, GoodApp, 3), []Step{StepRecoveryCode, StepPassword}, time.Time{}, StepReview},
		{"all touched", all, nil, time.Time{}, StepRecoveryCode},
		{"mail", all, four[:1], time.Time{}, StepMailCode},
		{"review before the wait", all, four[:3], time.Time{}, StepReview},
		{"in the wait", all, four, t0.Add(3 * time.Hour), StepHold},
		{"after the wait", all, four, t0.Add(time.Hour), ""},
		{"staff", f(auth.Touched{Factor: true}, NewApp, 0), nil, time.Time{}, StepStaff},
		{"all done, refused once", f(auth.Touched{}, GoodApp, 0), []Step{StepCode}, time.Time{}, ""},
	}
}

func (w world) recovery(s Status) Recovery {
	r := Recovery{Format: 1, ID: "r-1", Account: "acct-1", Status: s, Created: t0, Issue: 1, Issued: []time.Time{t0}, Hold: w.hold,
		Mail: &MailCode{MAC: []byte("m"), Until: t0.Add(24 * time.Hour)}}
	for _, p := range w.proofs {
		r.Proofs = append(r.Proofs, Proof{Step: p, At: t0.Add(30 * time.Minute)})
	}
	return r
}

// takes is which inputs a step takes: the reference that Next is held to.
var takes = map[Step][]InputKind{
	StepCode:         {InputCode, InputRecoveryCode},
	StepRecoveryCode: {InputRecoveryCode},
	StepMailCode:     {InputMailSend, InputMailCode},
	StepPassword:     {InputPasswordDone},
	StepReview:       {InputReviewed},
	StepHold:         {},
	StepStaff:        {},
	"":               {InputFinish},
}

// TestNextIsTotal walks every step with every input, right and wrong, in every status and state of the account.
func TestNextIsTotal(t *testing.T) {
	now := t0.Add(2*time.Hour - 31*time.Minute) // proofs are 59 minutes old
	for _, w := range worlds() {
		for _, status := range Statuses {
			for _, state := range []auth.State{auth.Open, auth.Challenged, auth.Limited, auth.Locked, auth.Recovering, auth.Probation} {
				for _, kind := range append(Inputs, inputApplied, inputRefused, "", "open_sesame") {
					for _, right := range []bool{true, false} {
						checkNext(t, w, status, state, kind, right, now)
					}
				}
			}
		}
	}
}

func checkNext(t *testing.T, w world, status Status, state auth.State, kind InputKind, right bool, now time.Time) {
	t.Helper()
	r := w.recovery(status)
	f := w.facts
	touched := f.Account.Touched
	f.Account = account(state, touched)
	name := fmt.Sprintf("%s, %s, account %s, %s (right %v)", w.name, status, state, kind, right)
	frozen := dump(t, r)
	next, effects := Next(r, Input{Kind: kind, Right: right, Facts: f, Mail: &MailCode{MAC: []byte("n")}}, now)
	if dump(t, r) != frozen {
		t.Fatalf("%s: the recovery it was given has changed", name)
	}
	refused := len(effects) > 0 && effects[0].Kind == Refuse
	if refused && (dump(t, next) != frozen || len(effects) != 1) {
		t.Errorf("%s: refused, and yet it had an effect", name)
	}
	var act auth.ActKind
	for _, e := range effects {
		if e.Kind == MakeAct {
			act = e.Act
		}
	}
	help := state == auth.Limited || state == auth.Locked || state == auth.Recovering
	over := status == Applying || status == Finished
	step := w.want
	switch {
	case kind == inputApplied || kind == inputRefused:
		if (status == Applying) == refused {
			t.Errorf("%s: %v", name, effects)
		}
	case kind == InputCodesSaved:
		if want := status == Finished && len(w.proofs) > 0; want == refused {
			t.Errorf("%s: %v", name, effects)
		}
	case over || !help:
		if !refused {
			t.Errorf("%s: taken: %v", name, effects)
		}
	case kind == InputGiveUp:
		if (state == auth.Recovering) != (act == auth.ActGiveUp) || !refused && (next.Status != GivenUp || next.Proofs != nil || !next.Hold.IsZero()) {
			t.Errorf("%s: %v, %+v", name, effects, next)
		}
	default:
		coded := kind == InputCode || kind == InputRecoveryCode || kind == InputMailCode
		if want := slices.Contains(takes[step], kind) && (right || !coded); want == refused {
			t.Errorf("%s at step %q: %v", name, step, effects)
		}
		last := kind == InputFinish || len(next.Proofs) > 0 && next.Hold.IsZero() && next.current(Demand(f), now) == ""
		if !refused && kind != InputMailSend && (act == auth.ActRecovered) != last {
			t.Errorf("%s: act %q, last step %v", name, act, last)
		}
	}
	if act == auth.ActRecovered != (next.Status == Applying && status != Applying) {
		t.Errorf("%s: act %q, status %s", name, act, next.Status)
	}
	if act == auth.ActRecovered && len(next.Proofs) == 0 {
		t.Errorf("%s: in without a proof", name)
	}
}

func dump(t interface{ Fatal(...any) }, r Recovery) string {
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestNobodyGetsInUnproved plays random inputs against random worlds: whenever the owner is let in, everything that is demanded at that
// moment has been proved, by a right code within its life, and a wait has been waited.
func TestNobodyGetsInUnproved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ws := worlds()
		w := ws[rapid.IntRange(0, len(ws)-1).Draw(t, "world")]
		r := Recovery{Format: 1, ID: "r-1", Account: "acct-1", Status: Pending, Created: t0, Issue: 1}
		now, f := t0, w.facts
		proved := map[Step]time.Time{}
		var held time.Time
		for range rapid.IntRange(1, 30).Draw(t, "inputs") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Minute, 50 * time.Minute, 2 * time.Hour, 25 * time.Hour, 8 * 24 * time.Hour}).Draw(t, "gap"))
			if rapid.IntRange(0, 9).Draw(t, "thief") == 0 {
				f.Account.Touched.Contact = true // somebody is at it meanwhile
			}
			in := Input{Kind: rapid.SampledFrom(Inputs).Draw(t, "kind"), Right: rapid.Bool().Draw(t, "right"), Facts: f, Mail: &MailCode{}}
			next, effects := Next(r, in, now)
			for _, e := range effects {
				if e.Kind == Done {
					proved[e.Step] = now
					if !in.Right && e.Step != StepPassword && e.Step != StepReview {
						t.Fatal("a wrong code proved something")
					}
				}
				if e.Kind == TellHold {
					held = now
				}
				if e.Kind != MakeAct || e.Act != auth.ActRecovered {
					continue
				}
				for _, s := range Demand(Facts{Account: f.Account, App: f.App, Codes: 1, Addresses: f.Addresses}) {
					at, ok := proved[s]
					if rc, or := proved[StepRecoveryCode]; s == StepCode && or && (!ok || rc.After(at)) {
						at, ok = rc, true
					}
					switch {
					case s == StepHold:
						if held.IsZero() || now.Sub(held) < HoldTime {
							t.Fatalf("in before the wait was over: began %v, now %v", held, now)
						}
					case !ok, held.IsZero() && now.Sub(at) >= ProofLife:
						t.Fatalf("in without %s (proved %v)", s, at)
					}
				}
			}
			if next.Hold.IsZero() {
				held = time.Time{}
			}
			if len(next.Proofs) == 0 {
				proved = map[Step]time.Time{}
			}
			if next.Status == Applying {
				return
			}
			r = next
		}
	})
}

// TestOlderWayBack: an account that was locked again has a newer way back; through the older one nothing goes.
func TestOlderWayBack(t *testing.T) {
	for _, w := range worlds() {
		w.facts.Account.Recovery = "r-2"
		for _, kind := range Inputs {
			r := w.recovery(Proving)
			next, effects := Next(r, Input{Kind: kind, Right: true, Facts: w.facts, Mail: &MailCode{}}, t0.Add(89*time.Minute))
			if len(effects) != 1 || effects[0].Kind != Refuse || dump(t, next) != dump(t, r) {
				t.Errorf("%s: %s: %v", w.name, kind, effects)
			}
		}
	}
}

// TestHoldLapses: who comes back weeks after the wait begins anew, and can.
func TestHoldLapses(t *testing.T) {
	f := Facts{Account: account(auth.Recovering, auth.Touched{Factor: true}), App: NewApp, Codes: 3, Addresses: []string{"a@b.c"}}
	r, now := Recovery{ID: "r-1", Status: Pending}, t0
	walk := func() {
		t.Helper()
		for _, kind := range []InputKind{InputRecoveryCode, InputMailSend, InputMailCode, InputReviewed} {
			var effects []Effect
			if r, effects = Next(r, Input{Kind: kind, Right: true, Facts: f, Mail: &MailCode{}}, now); len(effects) == 0 || effects[0].Kind == Refuse {
				t.Fatalf("%s: %v", kind, effects)
			}
		}
		if r.Status != Held || !r.Hold.Equal(now.Add(HoldTime)) {
			t.Fatalf("after the proofs: %s until %v", r.Status, r.Hold)
		}
	}
	walk()
	now = now.Add(HoldTime + HeldLife)
	if _, effects := Next(r, Input{Kind: InputFinish, Facts: f}, now); effects[0].Kind != Refuse {
		t.Errorf("in by proofs of eight days ago: %v", effects)
	}
	walk()
	now = now.Add(HoldTime)
	if r, _ = Next(r, Input{Kind: InputFinish, Facts: f}, now); r.Status != Applying {
		t.Errorf("after the second wait: %s", r.Status)
	}
}

func TestReview(t *testing.T) {
	a := account(auth.Recovering, auth.Touched{Password: true})
	a.Recent = []auth.Change{{Kind: auth.ChangedEmail, At: t0.Add(-time.Hour)}, {Kind: auth.ChangedPassword, At: t0}, {Kind: auth.ChangedEmail, At: t0.Add(time.Minute)}}
	password, email := ChangeID(a.Recent[1]), ChangeID(a.Recent[2])
	r := Recovery{ID: "r-1", Status: Proving, Proofs: []Proof{{Step: StepCode, At: t0}, {Step: StepPassword, At: t0}}}
	for _, c := range []struct {
		name             string
		denied, approved []string
		ok               bool
	}{
		{"none answered", nil, nil, false},
		{"one answered", []string{password}, nil, false},
		{"both", []string{password}, []string{email}, true},
		{"both denied", []string{password, email}, nil, true},
		{"one answered twice", []string{password, email}, []string{email}, false},
		{"one that is not there", []string{password, email, "sim..1"}, nil, false},
		{"one from before", []string{password, email}, []string{ChangeID(a.Recent[0])}, false},
	} {
		next, effects := Next(r, Input{Kind: InputReviewed, Denied: c.denied, Approved: c.approved, Facts: Facts{Account: a, App: GoodApp}}, t0.Add(time.Minute))
		if ok := next.Status == Applying; ok != c.ok || !ok && effects[0].Why != RefusedIncomplete {
			t.Errorf("%s: %s, %v", c.name, next.Status, effects)
		}
	}
}

func TestPasswordConfirmedByEvent(t *testing.T) {
	a := account(auth.Recovering, auth.Touched{Password: true})
	r := Recovery{ID: "r-1", Status: Proving, Proofs: []Proof{{Step: StepCode, At: t0.Add(time.Hour)}}}
	for at, want := range map[time.Duration]string{-time.Second: "owner", 0: "event", time.Minute: "event"} {
		a.Recent = []auth.Change{{Kind: auth.ChangedPassword, At: t0.Add(time.Hour + at)}}
		next, _ := Next(r, Input{Kind: InputPasswordDone, Facts: Facts{Account: a, App: GoodApp}}, t0.Add(90*time.Minute))
		if got := next.Proofs[1].How; got != want {
			t.Errorf("changed %v after the proof: %q, want %q", at, got, want)
		}
	}
}

func TestEffectsOnApp(t *testing.T) {
	for app, want := range map[App]EffectKind{NewApp: VoidApp, PausedApp: Unpause, GoodApp: ""} {
		r := Recovery{ID: "r-1", Status: Held, Hold: t0}
		for _, s := range []Step{StepRecoveryCode, StepMailCode, StepReview} {
			r.Proofs = append(r.Proofs, Proof{Step: s, At: t0})
		}
		_, effects := Next(r, Input{Kind: InputFinish, Facts: Facts{Account: account(auth.Recovering, auth.Touched{Factor: true}), App: app, Addresses: []string{"a@b.c"}}}, t0)
		var got EffectKind
		for _, e := range effects {
			if e.Kind == VoidApp || e.Kind == Unpause {
				got = e.Kind
			}
		}
		if got != want {
			t.Errorf("app %s: %v", app, effects)
		}
	}
}

func TestMask(t *testing.T) {
	for address, want := range map[string]string{"ann@example.com": "a•••@e•••.com", "李@例子.中国": "李•••@例•••.中国", "a@localhost": "a•••@l•••", "nothing": "•••", "@": "•••@•••"} {
		if got := mask(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
