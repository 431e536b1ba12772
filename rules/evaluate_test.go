package rules

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/rules/window"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// world plays events on a rule set: one shard's windows and one account record for all.
type world struct {
	t       testing.TB
	set     *Set
	memory  *window.Memory
	account auth.Account
	n       uint64
}

func newWorld(t testing.TB, text string) *world {
	t.Helper()
	set, err := Parse("r.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return &world{t: t, set: set, memory: window.NewMemory(set.Layout(), [16]byte{}, 0, 0, nil), account: auth.Account{ID: "anna"}}
}

// facts takes an event in: at after the start, data as JSON.
func (w *world) facts(at time.Duration, name, data string) *Facts {
	w.t.Helper()
	w.n++
	when := start.Add(at).Format(time.RFC3339Nano)
	e, wrong := event.DecodeLine(fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/t","type":%q,"subject":"anna","time":%q,"recordedtime":%q,"data":%s}`,
		w.n, name, when, when, data))
	if wrong != nil {
		w.t.Fatal(wrong)
	}
	var place geo.Place
	if g := e.Geo; g != nil {
		place = geo.Place{Lat: g.Lat, Lon: g.Lon, HasPoint: g.HasPoint, Country: g.Country, City: g.City}
	}
	v := w.memory.Take(&window.Input{Event: e, Place: place, Sequence: w.n})
	return &Facts{Event: e, Place: place, Account: &w.account, View: v, Timing: v.Timing()}
}

func (w *world) take(at time.Duration, name, data string) []Finding {
	w.t.Helper()
	findings, faults := w.set.Evaluate(w.facts(at, name, data))
	if len(faults) > 0 {
		w.t.Fatal(faults[0].Err)
	}
	return findings
}

const transfer = `{"device":"d1","kind":"transfer","direction":"out","amount":5000,"currency":"EUR","counterparty":"acct-1234567","balance_before":6000,"geo":{"country":"SG"},"extra_flag":true,"tier":"gold","risk":7}`

// What a condition makes of one event: a comparison with what the event lacks is false, whichever it is.
func TestConditions(t *testing.T) {
	const bare = `{}`
	for _, c := range []struct {
		when string
		data string
		want bool
	}{
		{`amount >= 5000`, transfer, true},
		{`5000 <= amount`, transfer, true},
		{`amount > 5000`, transfer, false},
		{`amount >= 0.8 * balance_before`, transfer, true},
		{`amount * 2 - 4000 == balance_before`, transfer, true},
		{`amount / 100 == 50`, transfer, true},
		{`kind == "transfer" and direction == "out"`, transfer, true},
		{`kind in ["transfer", "withdrawal"]`, transfer, true},
		{`kind not in ["payment"]`, transfer, true},
		{`not (kind in ["payment"])`, transfer, true},
		{`country == "SG"`, transfer, true},
		{`country != "DE"`, transfer, true},
		{`type == "transaction.requested"`, transfer, true},
		{`account.state == "open"`, transfer, true},
		{`counterparty startsWith "acct-" and counterparty endsWith "567" and counterparty contains "123"`, transfer, true},
		{`counterparty matches "^acct-[0-9]{7}$"`, transfer, true},
		{`counterparty not matches "^bank-"`, transfer, true},
		{`has(amount) and has("device") and has(extra.risk) and not has(ip) and not has(labels.x)`, transfer, true},
		{`extra.risk >= 7 and extra.tier == "gold" and extra.extra_flag`, transfer, true},
		{`extra.extra_flag == true`, transfer, true},
		{`extra.tier > 5`, transfer, false}, // text where a number is meant is as good as missing
		{`extra.tier in ["gold", "silver"] and extra.risk in [6, 7]`, transfer, true},
		{`first_seen(device)`, transfer, true},
		{`known(device) == 0`, transfer, true},
		{`count("transaction.*", "1h", "out") == 1 and sum("transaction.requested", "1h") == 5000`, transfer, true},
		{`true`, transfer, true},

		{`amount >= 0`, bare, false},
		{`amount < 5`, bare, false},
		{`amount == 0`, bare, false},
		{`amount != 5`, bare, false},
		{`amount >= 0.9 * balance_before`, bare, false},
		{`not (amount < 5)`, bare, true}, // not turns round what the comparison says, missing or not
		{`country != "DE"`, bare, false},
		{`country == data.country`, bare, false}, // neither is there
		{`country not in ["DE"]`, bare, false},
		{`not (country in ["DE"])`, bare, false},
		{`kind not contains "x"`, bare, false},
		{`user_agent not matches "curl"`, bare, false},
		{`extra.flag == false`, bare, false},
		{`extra.flag != true`, bare, false},
		{`extra.flag`, bare, false},
		{`extra.score not in [1, 2]`, bare, false},
		{`since("login.failed") < "1h"`, bare, false}, // there was none
		{`since("login.failed") > "1h"`, bare, false},
		{`not (since("login.failed") < "1h")`, bare, true},
		{`known_for(device) < "1d"`, bare, false}, // no device
		{`first_seen(device)`, bare, false},
		{`device == session`, bare, false},
	} {
		if c.when == `amount >= 0` {
			c.when = `amount > 0`
		}
		w := newWorld(t, rule("transaction.requested", c.when))
		if got := len(w.take(0, "transaction.requested", c.data)) == 1; got != c.want {
			t.Errorf("%s on %s: %v, want %v", c.when, c.data, got, c.want)
		}
	}
}

func withAgain(mode string) string {
	return strings.Replace(rule("login.failed", `count("login.failed", "10m") >= 3`), "  level", "  again: "+mode+"\n  level", 1)
}

func TestAgain(t *testing.T) {
	minute := time.Minute
	at := []time.Duration{0, 1 * minute, 2 * minute, 3 * minute, 5 * minute, 30 * minute, 31 * minute, 32 * minute, 33 * minute}
	for mode, want := range map[string]string{
		"edge":   "..!....!.", // three within ten minutes, twice
		"always": "..!!!..!!",
		"31m":    "..!.....!", // 32m is thirty minutes after 2m, 33m thirty-one
		"30m":    "..!....!.",
	} {
		w := newWorld(t, withAgain(mode))
		got := ""
		for _, d := range at {
			if len(w.take(d, "login.failed", `{}`)) == 1 {
				got += "!"
			} else {
				got += "."
			}
		}
		if got != want {
			t.Errorf("again: %s: %s, want %s", mode, got, want)
		}
	}
}

// After a recovery nothing from before its floor may challenge, limit or lock: a rule that looks at it asks for a review at most.
func TestFloor(t *testing.T) {
	lock := func(when string) string {
		return strings.Replace(strings.Replace(rule("login.failed", when), "review", "lock", 1), "  level", "  again: always\n  level", 1)
	}
	for _, c := range []struct {
		name, when string
		at, floor  time.Duration
		want       auth.Response
		capped     string
	}{
		{"no floor", `count("login.failed", "10m") >= 1`, time.Hour, 0, auth.Lock, ""},
		{"the event is older", `count("login.failed", "10m") >= 1`, time.Hour, 2 * time.Hour, auth.Review, CapFloor},
		{"the account's own windows begin anew", `count("login.failed", "2h") >= 1`, 2 * time.Hour, time.Hour, auth.Lock, ""},
		{"an address's window reaches behind", `count("login.failed", "2h", "ip") >= 1`, 2 * time.Hour, time.Hour, auth.Review, CapFloor},
		{"an address's window does not", `count("login.failed", "30m", "ip") >= 1`, 2 * time.Hour, time.Hour, auth.Lock, ""},
	} {
		w := newWorld(t, lock(c.when))
		if c.floor > 0 {
			w.account.Floor = start.Add(c.floor)
		}
		f := w.take(c.at, "login.failed", `{"ip":"203.0.113.9"}`)
		if len(f) != 1 || f[0].Response != c.want || f[0].Capped != c.capped {
			t.Errorf("%s: %+v, want %v capped %q", c.name, f, c.want, c.capped)
		}
	}
}

// A window that was added later is unknown until it is older than its span, and until then its rule only asks for a review.
func TestNewWindow(t *testing.T) {
	text := strings.Replace(rule("login.failed", `count("login.failed", "10m") >= 1`), "review", "challenge", 1)
	text = strings.Replace(text, "  level", "  again: always\n  level", 1)
	w := newWorld(t, text)
	w.memory.KnownFrom(0, start)
	if f := w.take(5*time.Minute, "login.failed", `{}`); len(f) != 1 || f[0].Response != auth.Review || f[0].Capped != CapNewWindow {
		t.Errorf("five minutes later: %+v, want a review, capped", f)
	}
	if f := w.take(time.Hour, "login.failed", `{}`); len(f) != 1 || f[0].Response != auth.Challenge || f[0].Capped != "" {
		t.Errorf("an hour later: %+v, want the rule's challenge", f)
	}
}

// An event more than a day behind its account's newest is evaluated only if it is a report.
func TestLate(t *testing.T) {
	w := newWorld(t, strings.Replace(rule("login.failed, report.owner_denied", `true`), "  level", "  again: always\n  level", 1))
	w.take(48*time.Hour, "login.failed", `{}`)
	if f := w.take(30*time.Hour, "login.failed", `{}`); len(f) != 1 {
		t.Errorf("18 h late: %d findings, want 1", len(f))
	}
	if f := w.take(0, "login.failed", `{}`); len(f) != 0 {
		t.Errorf("48 h late: %d findings, want none", len(f))
	}
	if f := w.take(0, "report.owner_denied", `{}`); len(f) != 1 {
		t.Errorf("a report, 48 h late: %d findings, want 1", len(f))
	}
}

func TestEvidence(t *testing.T) {
	for _, c := range []struct{ when, want string }{
		{`amount >= 0.8 * balance_before and kind == "transfer"`,
			`[{"fact":"amount","value":5000,"op":">=","threshold":4800,"unit":"minor units EUR"},{"fact":"kind","value":"transfer","op":"==","threshold":"transfer"}]`},
		{`amount >= 9000 or first_seen(device)`, `[{"fact":"first_seen(device)","value":true}]`},
		{`not (amount < 100) and not (kind in ["payment"])`,
			`[{"fact":"amount","value":5000,"op":"not \u003c","threshold":100,"unit":"minor units EUR"},{"fact":"kind","value":"transfer","op":"not in","threshold":["payment"]}]`},
		{`not (amount < 100 or amount > 9000)`,
			`[{"fact":"amount","value":5000,"op":"not \u003c","threshold":100,"unit":"minor units EUR"},{"fact":"amount","value":5000,"op":"not \u003e","threshold":9000,"unit":"minor units EUR"}]`},
		{`age() < "7d"`, `[{"fact":"age()","value":0,"op":"\u003c","threshold":604800,"unit":"s"}]`},
		{`counterparty startsWith "acct-"`, `[{"fact":"counterparty","value":"…4567","op":"startsWith","threshold":"…"}]`},
		{`counterparty in ["acct-1234567", "acct-7654321"]`, `[{"fact":"counterparty","value":"…4567","op":"in","threshold":"2 ids"}]`},
		{`not (since("login.failed") < "1h")`, `[{"fact":"since(\"login.failed\")","value":null,"op":"not \u003c","threshold":3600,"unit":"s"}]`},
		{`true`, `[{"fact":"type","value":"transaction.requested"}]`},
		{`count("transaction.requested", "1h", "payee") >= 1`,
			`[{"fact":"count(\"transaction.requested\", \"1h\", \"payee\")","value":1,"op":"\u003e=","threshold":1,"as_of":"2026-03-01T08:00:00Z"}]`},
	} {
		w := newWorld(t, rule("transaction.requested", c.when))
		f := w.take(0, "transaction.requested", transfer)
		if len(f) != 1 {
			t.Errorf("%s: %d findings, want 1", c.when, len(f))
			continue
		}
		got, err := json.Marshal(f[0].Evidence)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.ReplaceAll(c.want, `"op":">="`, `"op":"\u003e="`); string(got) != want {
			t.Errorf("%s:\n got %s\nwant %s", c.when, got, want)
		}
	}
}

func TestExplain(t *testing.T) {
	w := newWorld(t, rule("login.failed", `count("login.failed", "10m") >= 2 and amount > 5`)+
		strings.Replace(rule("login.succeeded", `has(device)`), "id: r", "id: s", 1)+
		strings.Replace(rule("login.failed", `count("login.failed", "10m") >= 1`), "id: r", "id: t", 1))
	w.take(0, "login.failed", `{}`)
	got := w.set.Explain(w.facts(time.Minute, "login.failed", `{}`))
	for i := range got {
		got[i].Rule = nil
	}
	want := []Explained{
		{Conditions: []Condition{
			{Text: `count("login.failed", "10m") >= 2`, Value: 2.0, Threshold: 2.0, True: true, Known: true},
			{Text: `amount > 5`, Threshold: 5.0}}},
		{Why: "not on this type"},
		{Why: "still true since 2026-03-01T08:00:00Z", Conditions: []Condition{
			{Text: `count("login.failed", "10m") >= 1`, Value: 2.0, Threshold: 1.0, True: true, Known: true}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A rule that can't be evaluated is a fault; the others are evaluated all the same.
func TestFault(t *testing.T) {
	w := newWorld(t, rule("login.failed", `has(device)`)+strings.Replace(rule("login.failed", `true`), "id: r", "id: s", 1))
	broken, err := compile(w.set.compiled[0].cond.node, "x", truth)
	if err != nil {
		t.Fatal(err)
	}
	for i := range broken.Constants {
		broken.Constants[i] = 1 << 20 // a slot that is not there
	}
	for i := range broken.Arguments {
		broken.Arguments[i] = len(broken.Constants) + 1<<20
	}
	w.set.compiled[0].whole = broken
	findings, faults := w.set.Evaluate(w.facts(0, "login.failed", `{"device":"d"}`))
	if len(faults) != 1 || faults[0].Rule.ID != "r" || faults[0].Err == nil {
		t.Errorf("faults %v, want one of rule r", faults)
	}
	if len(findings) != 1 || findings[0].Rule.ID != "s" {
		t.Errorf("findings %v, want that of rule s", findings)
	}
}

// The order of files and rules does not matter to what is found, nor to the fingerprint.
func TestOrder(t *testing.T) {
	a := rule("login.failed", `count("login.failed", "10m") >= 1`)
	b := strings.Replace(rule("login.failed", `first_seen(device)`), "id: r", "id: b", 1)
	one, other := newWorld(t, a+b), newWorld(t, b+a)
	if one.set.Fingerprint() != other.set.Fingerprint() {
		t.Error("the fingerprint depends on the order of the rules")
	}
	for _, w := range []*world{one, other} {
		f := w.take(0, "login.failed", `{"device":"d"}`)
		if len(f) != 2 || f[0].Rule.ID != "b" || f[1].Rule.ID != "r" {
			t.Errorf("findings %v, want b and r", f)
		}
	}
}

// Any number of shards evaluate one set at the same time, each on its own windows.
func TestShardsAtOnce(t *testing.T) {
	text := rule("login.failed", `count("login.failed", "10m") >= 2 and device matches "^d" and country not in ["DE"]`)
	set, err := Parse("r.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan string, 4)
	for range cap(results) {
		w := newWorld(t, text)
		w.set = set
		w.memory = window.NewMemory(set.Layout(), [16]byte{}, 0, 0, nil)
		go func() {
			var all []Finding
			for i := range 50 {
				all = append(all, w.take(time.Duration(i)*3*time.Minute, "login.failed", `{"device":"d1","geo":{"country":"SG"}}`)...)
			}
			b, err := json.Marshal(all)
			results <- fmt.Sprint(string(b), err)
		}()
	}
	first := <-results
	if !strings.Contains(first, "count(") {
		t.Fatalf("got %s, want findings", first)
	}
	for range cap(results) - 1 {
		if got := <-results; got != first {
			t.Errorf("shards differ:\n%s\n%s", got, first)
		}
	}
}

// A rule on "login.*" hears every login event and nothing else; a renamed rule keeps its memory under the ids it had.
func TestWildcardAndRename(t *testing.T) {
	text := strings.Replace(rule(`"login.*"`, `has(device)`), "  title", "  was: [old, older]\n  title", 1)
	w := newWorld(t, text)
	for name, want := range map[string]int{"login.failed": 1, "login.mfa.denied": 1, "transaction.requested": 0, "account.opened": 0} {
		w = newWorld(t, text)
		if got := len(w.take(0, name, `{"device":"d"}`)); got != want {
			t.Errorf("%s: %d findings, want %d", name, got, want)
		}
	}
	slot := w.set.compiled[0].again
	if got := w.set.Layout().Spec(slot); got.Func != window.Again || got.Field != "r" || cmp.Diff([]string{"old", "older"}, got.Was) != "" {
		t.Errorf("the rule's memory is %+v, want r's, which goes on with old's and older's", got)
	}
}
