//go:build accept

package faults

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules"
	"doorward/rules/event"
)

var orderFlag = flag.Int("faults.orders", 20, "how many seeds row order tries (long form 200)")

// orderRules: what an account's windows hold at its last event, and a lock for one kind of payment.
const orderRules = `
- id: order.tally
  title: Everything is counted
  level: low
  status: test
  on: [session.ended]
  per: account
  when: count("login.failed", "30d") < 1000000 and count("login.succeeded", "30d") < 1000000 and sum("transaction.requested", "30d") < 1000000000
  again: always
  score: 1
  response: notify
  reason: {code: tally, en: "Counted."}
- id: order.drain
  title: Much money
  level: high
  status: test
  on: [transaction.requested]
  per: account
  when: amount >= 100000
  again: always
  score: 90
  response: lock
  recovery: totp
  reason: {code: drain, en: "Much money."}
`

// sent is an event with when it arrives.
type sent struct {
	id, kind, account string
	at, arrives       time.Time
	amount            int64
}

// orderRow: the same events in order, each three times, mixed up within five minutes with some an hour late, and with gaps. The windows of
// every account end up exactly as a plain count of what came says, every large payment locks its account, once, and late ones are told as late.
func orderRow(t *testing.T, seed uint64) {
	t.Parallel()
	set, err := rules.Load(fstest.MapFS{"order.yaml": {Data: []byte(orderRules)}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range *orderFlag {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		base := orderly(r)
		forms := map[string][]sent{"sorted": base, "three times": thrice(r, base), "mixed up": mixed(r, base), "gaps": gaps(r, base), "all of it": thrice(r, mixed(r, gaps(r, base)))}
		for name, events := range forms {
			if problem := ordered(set, events); problem != "" {
				t.Fatalf("%s, seed %d, number %d: %s", name, seed, n, problem)
			}
		}
	}
}

// orderly is three hours of forty accounts.
func orderly(r *rand.Rand) (all []sent) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for n := range 1500 {
		at = at.Add(time.Duration(r.IntN(14000)) * time.Millisecond)
		s := sent{id: fmt.Sprint("e", n), account: fmt.Sprint("acct-", r.IntN(40)), at: at, arrives: at}
		switch p := r.IntN(100); {
		case p < 30:
			s.kind = "login.failed"
		case p < 60:
			s.kind = "login.succeeded"
		default:
			s.kind, s.amount = "transaction.requested", int64(r.IntN(5000))
			if p == 99 {
				s.amount = 250000
			}
		}
		all = append(all, s)
	}
	return all
}

// thrice repeats each event twice, within what follows it.
func thrice(r *rand.Rand, events []sent) (all []sent) {
	for _, e := range events {
		for n := range 3 {
			e.arrives = e.arrives.Add(time.Duration(n*r.IntN(600)) * time.Second)
			all = append(all, e)
		}
	}
	return byArrival(all)
}

// mixed lets events arrive up to five minutes after they happened, and one in twenty an hour.
func mixed(r *rand.Rand, events []sent) []sent {
	all := slices.Clone(events)
	for i := range all {
		all[i].arrives = all[i].at.Add(time.Duration(r.IntN(300)) * time.Second)
		if r.IntN(20) == 0 {
			all[i].arrives = all[i].at.Add(time.Hour)
		}
	}
	return byArrival(all)
}

func gaps(r *rand.Rand, events []sent) (all []sent) {
	for _, e := range events {
		if r.IntN(10) > 0 {
			all = append(all, e)
		}
	}
	return all
}

func byArrival(all []sent) []sent {
	slices.SortStableFunc(all, func(a, b sent) int { return a.arrives.Compare(b.arrives) })
	return all
}

// ordered takes the events in and says what is not as it has to be.
func ordered(set *rules.Set, events []sent) string {
	type tally struct{ failed, succeeded, sum int64 }
	counts, drained, locked, seen := map[string]*tally{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	late, newest := 0, map[string]time.Time{}
	replay := detect.NewReplay(detect.ReplayConfig{Rules: set})
	found := map[string]int{}
	tallies := map[string]string{}
	take := func(s sent) error {
		line := fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"/order","type":%q,"subject":%q,"time":%q,"recordedtime":%q,"data":{}}`, s.id, s.kind, s.account,
			s.at.Format(time.RFC3339Nano), s.arrives.Format(time.RFC3339Nano))
		if s.kind == "transaction.requested" {
			line = fmt.Appendf(line[:len(line)-3], `{"transaction":%q,"kind":"transfer","direction":"out","amount":%d,"currency":"EUR"}}`, s.id, s.amount)
		}
		e, bad := event.DecodeLine(line)
		if bad != nil {
			return bad
		}
		findings, err := replay.Take(e)
		for _, f := range findings {
			if f.Rule == "order.tally" {
				var values []string
				for _, v := range f.Evidence {
					values = append(values, fmt.Sprintf("%.0f", v.Value))
				}
				tallies[s.account] = strings.Join(values, " ")
			} else {
				found[f.Event.ID]++
			}
		}
		return err
	}
	for _, s := range events {
		if err := take(s); err != nil {
			return err.Error()
		}
		if seen[s.id] {
			continue
		}
		seen[s.id] = true
		if s.at.Before(newest[s.account]) {
			late++
		} else {
			newest[s.account] = s.at
		}
		c := counts[s.account]
		if c == nil {
			c = &tally{}
			counts[s.account] = c
		}
		switch s.kind {
		case "login.failed":
			c.failed++
		case "login.succeeded":
			c.succeeded++
		default:
			c.sum += s.amount
		}
		if s.amount >= 100000 {
			drained[s.id], locked[s.account] = true, true
		}
	}
	end := events[len(events)-1].arrives.Add(2 * time.Hour)
	for account, c := range counts {
		if err := take(sent{id: "end-" + account, kind: "session.ended", account: account, at: end, arrives: end}); err != nil {
			return err.Error()
		}
		if want := fmt.Sprint(c.failed, " ", c.succeeded, " ", c.sum); tallies[account] != want {
			return fmt.Sprintf("the windows of %s hold %s, and what came is %s", account, tallies[account], want)
		}
	}
	for account := range counts {
		if is := replay.Account(auth.AccountID(account)).State == auth.Locked; is != locked[account] {
			return fmt.Sprintf("%s is locked: %v, and should be: %v", account, is, locked[account])
		}
	}
	for id := range drained {
		if found[id] != 1 {
			return fmt.Sprintf("payment %s was found %d times", id, found[id])
		}
	}
	if len(found) != len(drained) {
		return fmt.Sprintf("%d payments were found, %d came", len(found), len(drained))
	}
	if got := int(replay.Counts().Late); got != late {
		return fmt.Sprintf("%d events are told as late, %d were", got, late)
	}
	return ""
}
