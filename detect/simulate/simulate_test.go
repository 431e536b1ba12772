package simulate

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"doorward/rules/event"
)

func collect(t *testing.T, c Config) []Generated {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(s.Events())
}

func digest(all []Generated) [32]byte {
	h := sha256.New()
	for _, g := range all {
		h.Write(g.Event)
		h.Write([]byte(g.Label + "\n"))
	}
	return [32]byte(h.Sum(nil))
}

// check decodes every event and holds it to what a Generated says of it.
func check(t *testing.T, all []Generated) []*event.Event {
	t.Helper()
	var before time.Time
	ids := make(map[string]bool)
	requested := make(map[string]bool)
	decoded := make([]*event.Event, len(all))
	for i, g := range all {
		e, err := event.DecodeLine(g.Event)
		if err != nil {
			t.Fatalf("%s: %v", g.Event, err)
		}
		decoded[i] = e
		switch {
		case string(e.Account) != g.Account || !e.Time.Equal(g.At) || e.ID != g.ID || e.Flagged:
			t.Fatalf("account %s, at %v, id %s do not describe %s", g.Account, g.At, g.ID, g.Event)
		case g.At.Before(before):
			t.Fatalf("event %d at %v is earlier than the one before, at %v", i, g.At, before)
		case ids[e.Identity()]:
			t.Fatalf("identity %q stands twice", e.Identity())
		case !event.Known(e.Type):
			t.Fatalf("type %q is not of the contract", e.Type)
		case e.Type == "transaction.requested" && requested[e.Transaction]:
			t.Fatalf("transaction %q is asked for twice", e.Transaction)
		case bytes.ContainsRune(g.Event, '\n'):
			t.Fatalf("%q is not one line", g.Event)
		case e.IP != "" && !documentation(e.IP):
			t.Fatalf("address %s may belong to somebody", e.IP)
		case e.HasAfter && e.BalanceAfter < 0:
			t.Fatalf("balance below zero: %s", g.Event)
		}
		before = g.At
		ids[e.Identity()] = true
		if e.Type == "transaction.requested" {
			requested[e.Transaction] = true
		}
	}
	return decoded
}

func documentation(ip string) bool {
	for _, prefix := range []string{"203.0.113.", "198.51.100.", "192.0.2.", "2001:db8:"} {
		if strings.HasPrefix(ip, prefix) {
			return true
		}
	}
	return false
}

var small = Config{Accounts: 120, Days: 16, Attacks: 18, Seed: 7}

func TestSameConfigSameEvents(t *testing.T) {
	if digest(collect(t, small)) != digest(collect(t, small)) {
		t.Error("two runs of one Config differ")
	}
	other := small
	other.Seed++
	if digest(collect(t, small)) == digest(collect(t, other)) {
		t.Error("another seed makes the same events")
	}
	s, err := New(small)
	if err != nil {
		t.Fatal(err)
	}
	if digest(slices.Collect(s.Events())) != digest(slices.Collect(s.Events())) {
		t.Error("a second pass over one Simulation differs")
	}
}

func TestEventsKeepTheContract(t *testing.T) {
	for _, c := range []Config{small, {Accounts: 1, Days: 1, Attacks: 9}, {Accounts: 3, Days: 2}, {Accounts: 700, Days: 3, Attacks: 9, Seed: 1}} {
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		all := slices.Collect(s.Events())
		check(t, all)
		accounts, labels := make(map[string]bool), make(map[string]bool)
		for _, g := range all {
			accounts[g.Account] = true
			if g.Label != "" {
				labels[g.Label] = true
			}
			if end := s.config.Start.AddDate(0, 0, c.Days); g.At.Before(s.config.Start) || !g.At.Before(end) {
				t.Fatalf("%+v: an event at %v is outside its days", c, g.At)
			}
		}
		if len(accounts) != c.Accounts {
			t.Errorf("%+v: %d accounts have events", c, len(accounts))
		}
		if want := min(c.Attacks, len(Kinds())); len(labels) != want {
			t.Errorf("%+v: attacks of kinds %v, want %d kinds", c, labels, want)
		}
	}
}

func TestLifeIsVariedAndMostlyHonest(t *testing.T) {
	all := collect(t, small)
	types := make(map[event.Type]int)
	shared := make(map[string]map[string]bool) // address -> accounts, honest
	bad := 0
	for i, e := range check(t, all) {
		if all[i].Label != "" {
			bad++
			continue
		}
		types[e.Type]++
		if e.IP != "" {
			if shared[e.IP] == nil {
				shared[e.IP] = make(map[string]bool)
			}
			shared[e.IP][all[i].Account] = true
		}
	}
	for _, want := range []event.Type{"login.succeeded", "login.failed", "login.challenged", "login.mfa.succeeded", "account.device.added",
		"account.payee.added", "account.password.reset", "session.seen", "transaction.requested", "transaction.completed"} {
		if types[want] == 0 {
			t.Errorf("honest life has no %s", want)
		}
	}
	if share := float64(bad) / float64(len(all)); share > 0.1 {
		t.Errorf("%.0f %% of the events are attacks", share*100)
	}
	most := 0
	for _, accounts := range shared {
		most = max(most, len(accounts))
	}
	if most < 10 {
		t.Errorf("the busiest honest address serves %d accounts: no office is shared", most)
	}
}

// Everyday life must be the same with and without attacks, so that what a rule says of honest people can be compared.
func TestAttacksLeaveHonestPeopleAlone(t *testing.T) {
	calm := small
	calm.Attacks = 0
	shape := func(c Config) map[string]int {
		n := make(map[string]int)
		for _, e := range check(t, collect(t, c)) {
			if e.Type == event.LoginFailed && e.Geo != nil {
				n[string(e.Account)+e.Geo.Country]++
			}
		}
		return n
	}
	with, without := shape(small), shape(calm)
	for who, n := range without {
		if with[who] < n {
			t.Errorf("%s: %d wrong passwords without attacks, %d with", who, n, with[who])
		}
	}
}

func TestStory(t *testing.T) {
	s, err := New(Config{Accounts: 80, Days: 1, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, account := range []string{"acct-000017", "acct-42"} {
		life := s.Life(account, start, 20*time.Hour)
		homes, devices := make(map[string]bool), make(map[string]bool)
		for _, e := range check(t, life) {
			if string(e.Account) == account && e.Device != "" {
				devices[e.Device] = true
				homes[e.Geo.Country] = true
			}
			if e.Time.Before(start.Add(-20*time.Hour)) || !e.Time.Before(start) {
				t.Errorf("life of %s has an event at %v", account, e.Time)
			}
		}
		if len(devices) < 2 || len(homes) != 1 {
			t.Errorf("life of %s: devices %v in %v, want two in one country", account, devices, homes)
		}
		for _, kind := range Kinds() {
			story, err := s.Story(kind, account, start)
			if err != nil {
				t.Fatal(err)
			}
			own := 0
			for i, e := range check(t, story) {
				if e.Time.Before(start) || e.Time.Sub(start) > StoryLength {
					t.Errorf("%s: an event %v after the start", kind, e.Time.Sub(start))
				}
				if string(e.Account) == account && story[i].Label == kind {
					own++
				}
			}
			if own == 0 {
				t.Errorf("%s: no event of %s is part of it", kind, account)
			}
		}
	}
	if _, err := s.Story("burglary", "acct-42", start); err == nil || !strings.Contains(err.Error(), Takeover) {
		t.Errorf("an unknown kind: %v, want the list of kinds", err)
	}
}

// A takeover is what the demonstration shows: it must have the whole course, from a place and device that are not the owner's.
func TestTakeoverHasItsWholeCourse(t *testing.T) {
	s, err := New(Config{Accounts: 80, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	home := check(t, s.Life("acct-000017", start, 20*time.Hour))[0]
	story, err := s.Story(Takeover, "acct-000017", start)
	if err != nil {
		t.Fatal(err)
	}
	var course []event.Type
	for i, e := range check(t, story) {
		if story[i].Label == "" {
			continue
		}
		course = append(course, e.Type)
		if e.Geo.Country == home.Geo.Country || e.Device == home.Device {
			t.Errorf("%s comes from the owner's country or device", e.Type)
		}
		if e.Type == "transaction.requested" && float64(e.Amount) < 0.9*float64(e.BalanceBefore) {
			t.Errorf("the withdrawal takes %d of %d", e.Amount, e.BalanceBefore)
		}
	}
	want := []event.Type{"account.password.reset_requested", "account.password.reset", "login.succeeded", "account.device.added",
		"account.payee.added", "transaction.requested", "transaction.completed"}
	if !slices.Equal(course, want) {
		t.Errorf("course %v, want %v", course, want)
	}
}

func TestLive(t *testing.T) {
	s, err := New(Config{Accounts: 60, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	var all []Generated
	for g := range s.Live(start, 20) {
		if all = append(all, g); len(all) == 3000 {
			break
		}
	}
	check(t, all)
	rate := float64(len(all)) / all[len(all)-1].At.Sub(start).Seconds()
	if rate < 10 || rate > 40 {
		t.Errorf("%.1f events a second, 20 were asked for", rate)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{{Accounts: 0, Days: 1}, {Accounts: 1, Days: 0}, {Accounts: 1, Days: 1, Attacks: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}
