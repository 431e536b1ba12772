package rules

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/rules/window"
)

// crowd is forty accounts of one shard, of which one at a time is attacked.
type crowd struct {
	random  *rand.Rand
	at      time.Duration
	attacks int
	queue   []step
}

// step is one event to come.
type step struct {
	after         time.Duration
	account, name string
	data          map[string]any
}

// next is everyday life until an attack begins, then that.
func (c *crowd) next() step {
	if len(c.queue) == 0 && c.random.IntN(40) == 0 {
		c.attack()
	}
	if len(c.queue) == 0 {
		c.everyday()
	}
	s := c.queue[0]
	c.queue = c.queue[1:]
	c.at += s.after
	return s
}

func (c *crowd) add(after time.Duration, account, name string, pairs ...any) {
	data := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		data[pairs[i].(string)] = pairs[i+1]
	}
	c.queue = append(c.queue, step{after, account, name, data})
}

func place(country string) map[string]any {
	return map[string]map[string]any{
		"SG": {"country": "SG", "lat": 1.3, "lon": 103.8}, "DE": {"country": "DE", "lat": 52.5, "lon": 13.4}, "BR": {"country": "BR", "lat": -15.8, "lon": -47.9},
	}[country]
}

func (c *crowd) everyday() {
	n := c.random.IntN(40)
	account, after := fmt.Sprintf("acct-%d", n), time.Duration(c.random.IntN(40))*time.Minute
	who := []any{"device", fmt.Sprintf("device-%d", n), "ip", fmt.Sprintf("192.0.%d.2", n/4), "geo", place("SG")}
	switch c.random.IntN(10) {
	case 0, 1, 2, 3:
		c.add(after, account, "login.succeeded", who...)
	case 4:
		c.add(after, account, "login.failed", append(who, "reason", "bad_password")...)
	case 5:
		c.add(after, account, []string{"login.mfa.succeeded", "session.seen"}[n%2], who...)
	default:
		c.pay(after, account, who, 500+c.random.IntN(30_000), fmt.Sprintf("payee-%d", c.random.IntN(5)), 200_000)
	}
}

func (c *crowd) pay(after time.Duration, account string, who []any, amount int, payee string, balance int) {
	c.add(after, account, "transaction.requested", append(who[:len(who):len(who)], "kind", "transfer", "direction", "out", "amount", amount,
		"currency", "SGD", "channel", "app", "counterparty", payee, "counterparty_kind", "person", "balance_before", balance)...)
}

// attack is one of seven, by a thief with a device of his own.
func (c *crowd) attack() {
	c.attacks++
	account, second := fmt.Sprintf("acct-%d", c.random.IntN(40)), time.Second
	thief := []any{"device", fmt.Sprintf("thief-%d", c.attacks), "ip", fmt.Sprintf("203.0.113.%d", c.attacks%200), "geo",
		place([]string{"DE", "BR"}[c.random.IntN(2)])}
	mule := fmt.Sprintf("mule-%d", c.attacks)
	switch c.attacks % 7 {
	case 0: // guessing, to the end
		for range 6 + c.random.IntN(30) {
			c.add(second, account, "login.failed", thief...)
		}
		c.add(time.Minute, account, "login.succeeded", thief...)
	case 1: // spraying
		for i := range 25 {
			c.add(second, fmt.Sprintf("acct-%d", i), "login.failed", thief...)
		}
	case 2: // reset, then money
		c.add(time.Hour, account, "account.password.reset", thief...)
		c.add(time.Minute, account, "login.succeeded", thief...)
		c.pay(time.Minute, account, thief, 50_000, mule, 90_000)
	case 3: // drained
		c.pay(time.Minute, account, thief, 190_000+c.random.IntN(10_000), mule, 200_000)
		c.add(time.Hour, account, "report.owner_denied")
	case 4: // one large payment
		c.pay(time.Minute, account, thief, 5_000_000, mule, 6_000_000+c.random.IntN(6_000_000))
	case 5: // many small ones
		for range 40 + c.random.IntN(40) {
			c.pay(second, account, thief, 100, "payee-1", 50_000)
		}
	case 6: // one device on many accounts
		for i := range 8 {
			c.add(second, fmt.Sprintf("acct-%d", i), "login.succeeded", thief...)
		}
	}
}

// facts takes an event of any account into a memory.
func (c *crowd) facts(t testing.TB, m *window.Memory, n uint64, s step) *Facts {
	t.Helper()
	data, err := json.Marshal(s.data)
	if err != nil {
		t.Fatal(err)
	}
	when := start.Add(c.at).Format(time.RFC3339Nano)
	e, wrong := event.DecodeLine(fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"/t","type":%q,"subject":%q,"time":%q,"recordedtime":%q,"data":%s}`,
		n, s.name, s.account, when, when, data))
	if wrong != nil {
		t.Fatal(wrong)
	}
	var place geo.Place
	if g := e.Geo; g != nil {
		place = geo.Place{Lat: g.Lat, Lon: g.Lon, HasPoint: g.HasPoint, Country: g.Country}
	}
	v := m.Take(&window.Input{Event: e, Place: place, Sequence: n})
	return &Facts{Event: e, Place: place, Account: &auth.Account{ID: e.Account}, View: v, Timing: v.Timing()}
}

// The built-in rules, and 300 rules like them, over the traffic of forty accounts and a thief: the engine finds what the VM finds, byte for
// byte, remembers the same of every rule, and every built-in rule is true of something.
func TestTrafficAgreesWithVM(t *testing.T) {
	for _, n := range []int{12, 300} {
		set := perturbed(t, n)
		engine, reference := window.NewMemory(set.Layout(), [16]byte{}, 0, 0, nil), window.NewMemory(set.Layout(), [16]byte{}, 0, 0, nil)
		c := &crowd{random: rand.New(rand.NewPCG(5, uint64(n)))}
		fired := map[string]int{}
		for i := range uint64(3000) {
			s := c.next()
			f, g := c.facts(t, engine, i+1, s), c.facts(t, reference, i+1, s)
			findings, faults := set.Evaluate(f)
			wantFindings, wantFaults := set.Reference(g)
			if got, want := fmt.Sprint(asJSON(t, findings), faults), fmt.Sprint(asJSON(t, wantFindings), wantFaults); got != want {
				t.Fatalf("event %d, %v:\n   engine %s\nreference %s", i, s, got, want)
			}
			for _, finding := range findings {
				if id, original := strings.CutSuffix(finding.Rule.ID, ".c0"); original {
					fired[id]++
				}
			}
			remembersAlike(t, set, f, g)
		}
		if len(fired) != 12 {
			t.Errorf("of the built-in rules fired only %v", fired)
		}
	}
}
