package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/window"

	"pgregory.net/rapid"
)

// Comparisons with holes: # is a number, $ an amount, @ a span, & a country, ~ a part of a word, < after a space any comparison by size.
var shapes = []string{
	`count("login.failed", "10m") ? #`, `count("login.*", "1h", "ip") ? #`, `distinct(device, "login.*", "1d") ? #`, `known(country) ? #`,
	`sum("transaction.*", "1h", "out") ? $`, `speed_kmh("login.*") ? $`, `distance_km("login.*") ? $`, `count("transaction.*", "30d") == #`,
	`amount ? $`, `$ ? amount`, `balance_after ? $`, `extra.risk ? #`, `amount == $`, `amount != $`, `extra.risk != #`, `# == extra.risk`,
	`since("login.succeeded") ? "@"`, `age() ? "@"`, `known_for(device) ? "@"`, `since("login.failed", "ip") ? "@"`,
	`amount ? 0.# * balance_before`, `amount ? balance_before * 0.#`, `amount ? -# * balance_after`, `count("login.*", "1h") ? # * count("login.failed", "1h")`,
	`amount + balance_before ? $`, `amount - $ ? balance_before / #`, `amount * # - $ == balance_before`, `amount ? 2 * #`, `balance_after * # ? -$`,
	`country == "&"`, `country != "&"`, `"&" == country`, `country in ["&", "&"]`, `country not in ["&", "US"]`, `country == data.country`,
	`country != data.country`, `device == session`, `device != session`, `kind == "transfer"`, `direction == "out"`, `channel != "api"`,
	`extra.tier == "~"`, `extra.tier != "~"`, `extra.tier in ["~", "gold"]`, `extra.risk in [#, #]`, `extra.risk not in [#]`, `amount in [$, $]`,
	`counterparty == "acct-~"`, `counterparty in ["acct-~", "b", "c", "e", "f", "g", "h", "i", "j", "k"]`, `labels.team == "~"`,
	`device contains "~"`, `device not contains "~"`, `device startsWith "d~"`, `session endsWith "~"`, `user_agent matches "^~"`,
	`user_agent not matches "~$"`, `device matches "^d[~]$"`, `device startsWith session`, `extra.flag`, `extra.flag == true`, `extra.flag != true`,
	`extra.flag == false`, `first_seen(device)`, `first_seen(country)`, `sequence("login.failed", "login.succeeded", "@")`, `has(amount)`, `has("device")`,
	`has(extra.risk)`, `has(labels.team)`, `account.state == "open"`, `account.state in ["limited", "locked"]`, `type == "login.failed"`, `true`, `false`,
}

func skeleton(t *rapid.T, depth int) string {
	if depth == 0 || rapid.IntRange(0, 3).Draw(t, "leaf") == 0 {
		return rapid.SampledFrom(shapes).Draw(t, "shape")
	}
	a := skeleton(t, depth-1)
	switch rapid.IntRange(0, 5).Draw(t, "how") {
	case 0, 1, 2:
		return fmt.Sprintf("(%s and %s)", a, skeleton(t, depth-1))
	case 3, 4:
		return fmt.Sprintf("(%s or %s)", a, skeleton(t, depth-1))
	}
	return fmt.Sprintf("not (%s)", a)
}

// filled puts constants into a skeleton's holes.
func filled(t *rapid.T, s string) string {
	var b strings.Builder
	for _, c := range s {
		switch c {
		case '?':
			b.WriteString(rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(t, "op"))
		case '#':
			fmt.Fprint(&b, rapid.IntRange(1, 9).Draw(t, "number"))
		case '$':
			fmt.Fprint(&b, rapid.IntRange(1, 9).Draw(t, "amount")*100)
		case '@':
			b.WriteString(rapid.SampledFrom([]string{"90s", "5m", "10m", "1h", "1d"}).Draw(t, "span"))
		case '&':
			b.WriteString(rapid.SampledFrom([]string{"SG", "DE", "FR"}).Draw(t, "country"))
		case '~':
			b.WriteString(rapid.SampledFrom([]string{"1", "2", "x", "12"}).Draw(t, "word"))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// ruleSet makes rules of a few skeletons, many of each; every one loads by itself.
func ruleSet(t *rapid.T) []string {
	var all []string
	for i := range rapid.IntRange(1, 4).Draw(t, "skeletons") {
		s := skeleton(t, 3)
		on := rapid.SampledFrom([]string{"login.failed", `"login.*"`, "transaction.requested", "login.failed, transaction.requested, report.owner_denied"}).Draw(t, "on")
		copies := rapid.SampledFrom([]int{1, 2, 6, 25}).Draw(t, "copies")
		for j := range copies {
			text := strings.Replace(rule(on, filled(t, s)), "id: r", fmt.Sprintf("id: r%d.%d", i, j), 1)
			text = strings.Replace(text, "review", rapid.SampledFrom([]string{"notify", "review", "challenge", "lock"}).Draw(t, "response"), 1)
			again := rapid.SampledFrom([]string{"edge", "edge", "edge", "always", "3m"}).Draw(t, "again")
			text = strings.Replace(text, "  level", "  again: "+again+"\n  level", 1)
			if _, err := Parse("r.yaml", []byte(text)); err == nil {
				all = append(all, text)
			}
		}
	}
	if len(all) == 0 {
		all = append(all, rule("login.failed", "true"))
	}
	return all
}

func anyEvent(t *rapid.T) (name, data string) {
	d := map[string]any{}
	maybe := func(key string, values ...any) {
		if i := rapid.IntRange(-1, len(values)-1).Draw(t, key); i >= 0 {
			d[key] = values[i]
		}
	}
	maybe("device", "d1", "d2", "x1")
	maybe("session", "d1", "12", "x")
	maybe("user_agent", "12", "x2", "curl")
	maybe("ip", "203.0.113.9", "198.51.100.7")
	maybe("risk", 1, 5, 8, "high", true)
	maybe("tier", "gold", "x", 7)
	maybe("flag", true, false, "yes")
	maybe("labels", map[string]string{"team": "1"}, map[string]string{"other": "x"})
	maybe("geo", map[string]any{"country": "SG", "lat": 1.3, "lon": 103.8}, map[string]any{"country": "DE", "lat": 52.5, "lon": 13.4})
	name = rapid.SampledFrom([]string{"login.failed", "login.failed", "login.succeeded", "transaction.requested", "report.owner_denied", "session.seen"}).Draw(t, "type")
	if name == "transaction.requested" {
		maybe("amount", 0, 200, 300, 900)
		maybe("balance_before", -500, 0, 400, 1000)
		maybe("balance_after", -300, 0, 700)
		maybe("direction", "in", "out")
		maybe("kind", "transfer", "payment")
		maybe("counterparty", "acct-1", "acct-x", "c")
		maybe("country", "SG", "FR")
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return name, string(b)
}

// pair is the engine's world and the reference's.
type pair struct{ engine, reference *world }

func newPair(t testing.TB, text string, account auth.Account) *pair {
	set, err := Parse("r.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	engine := worldOf(t, set)
	engine.account = account
	reference := worldOf(t, set)
	reference.account = account
	return &pair{engine, reference}
}

// worldOf is a world of few accounts.
func worldOf(t testing.TB, set *Set) *world {
	return &world{t: t, set: set, memory: window.NewMemory(set.Layout(), [16]byte{}, 0, 4, nil), account: auth.Account{ID: "anna"}}
}

// relay gives both another rule set, and their windows its layout.
func (p *pair) relay(t rapid.TB, text string) {
	set, err := Parse("r.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []*world{p.engine, p.reference} {
		memory, err := w.memory.Relaid(set.Layout())
		if err != nil {
			t.Fatal(err)
		}
		w.set, w.memory = set, memory
	}
}

func (p *pair) take(t rapid.TB, at time.Duration, name, data string) (found int) {
	f, g := p.engine.facts(at, name, data), p.reference.facts(at, name, data)
	findings, faults := p.engine.set.Evaluate(f)
	wantFindings, wantFaults := p.reference.set.Reference(g)
	if len(faults)+len(wantFaults) > 0 {
		t.Fatalf("faults: engine %v, reference %v", faults, wantFaults)
	}
	if got, want := asJSON(t, findings), asJSON(t, wantFindings); got != want {
		t.Fatalf("%s %s\n   engine %s\nreference %s", name, data, got, want)
	}
	remembersAlike(t, p.engine.set, f, g)
	return len(findings)
}

// remembersAlike: what `again:` remembers is the same of every rule.
func remembersAlike(t rapid.TB, set *Set, engine, reference *Facts) {
	for _, c := range set.again.of {
		is, last := engine.View.Again(c.again)
		if wantIs, wantLast := reference.View.Again(c.again); is != wantIs || !last.Equal(wantLast) {
			t.Fatalf("rule %s remembers %v %v, of the reference %v %v: %s", c.ID, is, last, wantIs, wantLast, c.When)
		}
	}
}

func asJSON(t rapid.TB, findings []Finding) string {
	b, err := json.Marshal(findings)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// For random rules and events the engine finds what the VM finds, with the same evidence, and remembers the same of every rule after every
// event: over late events, repeated sequences, recoveries, windows that are too young, and changes of the rule set and back.
func TestMatcherAgreesWithVM(t *testing.T) {
	const atLeast = 200
	sets, events, found := 0, 0, 0
	check := func(rt *rapid.T) {
		rules := ruleSet(rt)
		sets++
		all, some := strings.Join(rules, ""), strings.Join(rules[len(rules)/4:], "")
		account := auth.Account{ID: "anna", State: rapid.SampledFrom([]auth.State{"", auth.Limited}).Draw(rt, "state"),
			Floor: start.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "floor")) * time.Minute)}
		p := newPair(t, all, account)
		at := time.Duration(0)
		for range rapid.IntRange(1, 30).Draw(rt, "events") {
			switch rapid.IntRange(0, 29).Draw(rt, "between") {
			case 0:
				p.relay(rt, some)
				all, some = some, all
			case 1:
				p.engine.n++
				p.reference.n++
				p.engine.memory.Forget("anna", p.engine.n, start)
				p.reference.memory.Forget("anna", p.reference.n, start)
			case 2:
				p.engine.n -= min(p.engine.n, 1) // the record reflects the next event already
				p.reference.n -= min(p.reference.n, 1)
			case 3:
				for slot := range p.engine.set.Layout().Len() {
					p.engine.memory.KnownFrom(slot, start)
					p.reference.memory.KnownFrom(slot, start)
				}
			}
			name, data := anyEvent(rt)
			at = max(0, at+rapid.SampledFrom([]time.Duration{1, 20, 60, 200, 4000, -30, -100_000}).Draw(rt, "step")*time.Second)
			found += p.take(rt, at, name, data)
			events++
		}
		if engine, reference := p.engine.memory.Dirty(nil), p.reference.memory.Dirty(nil); !bytes.Equal(engine, reference) {
			rt.Fatalf("what is stored differs:\n%x\n%x", engine, reference)
		}
	}
	for sets < atLeast && !t.Failed() {
		rapid.Check(t, check)
	}
	t.Logf("%d rule sets, %d events, %d findings", sets, events, found)
	if found < events/4 {
		t.Errorf("%d findings on %d events: too few to hold anything to", found, events)
	}
}

// FuzzMatcher: whatever a condition says, the engine makes of every event what the VM makes of it.
func FuzzMatcher(f *testing.F) {
	for _, c := range comparisons {
		f.Add(c, int64(1))
	}
	f.Add(`not (amount < 5 or not (country == "SG" and amount < 0.5 * balance_before)) and (kind == "transfer" or kind == "payment" or has(ip))`, int64(2))
	f.Fuzz(func(t *testing.T, when string, step int64) {
		quoted, err := json.Marshal(strings.ToValidUTF8(when, "?"))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(rule("login.failed, transaction.requested", "WHEN"), "|\n    WHEN", string(quoted), 1)
		if _, err := Parse("f.yaml", []byte(text)); err != nil {
			return
		}
		p := newPair(t, text, auth.Account{ID: "anna"})
		for i, data := range []string{`{}`, transfer, `{"device":"d2"}`, transfer, `{}`} {
			at := time.Duration(i) * time.Duration(step%1_000_000) * time.Second
			p.take(t, max(0, at), []string{"login.failed", "transaction.requested"}[i%2], data)
		}
	})
}
