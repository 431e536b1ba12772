package detect_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"doorward/detect"
	"doorward/rules"
	"doorward/store"
	"doorward/store/journal"
	"doorward/store/storetest"
)

// countOf counts a store's keys of a kind.
func countOf(t *testing.T, e store.Engine, prefix []byte) int {
	t.Helper()
	n := 0
	if err := e.Scan(context.Background(), prefix, store.After(prefix), false, func(_, _ []byte) bool { n++; return true }); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFailedCommits: the n-th commit fails, for every n up to a few dozen, once before it was stored and once after; the shard drops its
// memory, loads again, and nothing is lost or doubled.
func TestFailedCommits(t *testing.T) {
	for form, name := range map[storetest.Form]string{storetest.NotStored: "not stored", storetest.StoredFailed: "stored, reported failed"} {
		t.Run(name, func(t *testing.T) {
			log, events := simulated(t, 2, 12, 9)
			db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
			defer db.Close()
			faulty := storetest.NewFaulty(db)
			for n := 1; n < 60; n += 3 {
				faulty.FailAt(n, form)
			}
			w := start(t, faulty, log, 2, 5)
			w.caughtUp()
			w.end()
			if faulty.Commits() < 60 {
				t.Fatalf("only %d commits: not every fault was met", faulty.Commits())
			}
			sameAsReplay(t, w, events)
			report, err := journal.Verify(context.Background(), db, nil)
			if err != nil || !report.OK {
				t.Errorf("journal: %+v %v", report, err)
			}
			states := map[string]bool{} // one entry for each version of each account: nothing applied twice
			lines, err := journal.Read(context.Background(), db, 1, 10000, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range lines {
				if l.Entry.Kind != journal.StateChanged {
					continue
				}
				key := fmt.Sprint(l.Entry.Account, " ", l.Entry.Version)
				if states[key] {
					t.Errorf("version journaled twice: %s", key)
				}
				states[key] = true
			}
			if len(states) == 0 {
				t.Error("no state changed: the feed proves nothing")
			}
		})
	}
}

// TestCheckpoints: with tiny checkpoints running all the time and restarts in the middle of them, the memory comes back exactly, and the
// store holds one checkpoint and the deltas after it.
func TestCheckpoints(t *testing.T) {
	whole, events := simulated(t, 2, 40, 9)
	dir := filepath.Join(t.TempDir(), "s")
	db := openStore(t, dir, true)
	part := &topicLog{records: map[int][]detect.Record{}}
	var w *world
	const steps = 8
	for step := 1; step <= steps; step++ {
		for s, all := range whole.records {
			part.mu.Lock()
			part.records[s] = all[:len(all)*step/steps]
			part.mu.Unlock()
		}
		w = startWith(t, db, builtinSet(t), part, 2, 10, 10_000)
		w.caughtUp()
		w.end()
		if step < steps {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openStore(t, dir, false)
		}
	}
	defer db.Close()
	sameAsReplay(t, w, events)
	if countOf(t, db, store.Key(store.KindCheckpoint)) == 0 {
		t.Error("no checkpoint was written")
	}
}

// TestRulesChanged: a rule set that changes between two runs is logged in each shard; a window whose text did not change keeps its history,
// and one that is new does not lock anybody before it is old enough.
func TestRulesChanged(t *testing.T) {
	const counting = `
- id: test.count
  title: Three payments in a day
  level: low
  status: test
  on: [transaction.requested]
  per: account
  when: count("transaction.requested", "1d") >= 3
  score: 10
  response: challenge
  recovery: totp
  reason: {code: test, en: "Three payments in a day."}
`
	const first = `
- id: test.first
  title: A payee never seen
  level: low
  status: test
  on: [transaction.requested]
  per: account
  when: first_seen("counterparty")
  again: always
  score: 90
  response: lock
  recovery: totp
  reason: {code: test, en: "A payee never seen."}
`
	load := func(text string) *rules.Set {
		set, err := rules.Load(fstest.MapFS{"r.yaml": {Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	log := &topicLog{records: map[int][]detect.Record{}}
	pay := func(n int) {
		at := fmt.Sprintf("2026-03-01T08:%02d:00Z", n)
		line := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/t","type":"transaction.requested","subject":"anna","time":"%s","data":{"transaction":"t%d","direction":"out","amount":100,"currency":"EUR","counterparty":"p%d"}}`, n, at, n, n)
		log.add(0, []byte(line), "anna", mustTime(t, at))
	}
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	run := func(set *rules.Set) {
		w := startWith(t, db, set, log, 1, 10, 0)
		w.caughtUp()
		w.end()
	}
	pay(1)
	pay(2)
	run(load(counting))
	if len(found(t, db)) != 0 {
		t.Fatal("a finding before the third payment")
	}
	pay(3)
	run(load(counting + first))
	got := map[string]detect.Finding{}
	for _, f := range found(t, db) {
		got[f.Rule] = f
	}
	if got["test.count"].Response != "challenge" {
		t.Errorf("the window that did not change lost its history: %+v", got["test.count"])
	}
	if f := got["test.first"]; f.Response != "review" || f.Capped != "new_window" {
		t.Errorf("a new first_seen must not lock: %+v", f)
	}
	sameAsLog(t, db, log, 1)
	lines, err := journal.Read(context.Background(), db, 1, 100, false)
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, l := range lines {
		if l.Entry.Kind == journal.RulesChanged {
			changed++
		}
	}
	if changed != 1 {
		t.Errorf("%d entries say that the rules changed, want 1", changed)
	}
}

// TestPoison: what can't be decoded, or comes on two partitions, goes to the dead-letter topic with its reason, and the partition goes on.
func TestPoison(t *testing.T) {
	log := &topicLog{records: map[int][]detect.Record{}}
	at := mustTime(t, "2026-03-01T08:00:00Z")
	line := func(id, account string) []byte {
		return []byte(fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/t","type":"login.succeeded","subject":%q,"time":"2026-03-01T08:00:00Z"}`, id, account))
	}
	log.add(0, line("1", "anna"), "anna", at)
	log.add(0, []byte(strings.Repeat("[", 80_000)), "anna", at)
	log.add(0, line("2", "anna"), "", at)
	log.add(0, line("3", "bert"), "bert", at)
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	w := start(t, db, log, 2, 10)
	w.caughtUp()
	log.add(1, line("4", "bert"), "bert", at)
	log.add(1, line("5", "cleo"), "cleo", at)
	w.caughtUp()
	w.end()
	dead := 0
	for _, r := range w.published {
		if r.Topic == detect.TopicDead {
			dead++
		}
	}
	if dead != 3 || countOf(t, db, store.Key(store.KindDead)) != 3 {
		t.Errorf("%d dead letters published, %d kept, want 3", dead, countOf(t, db, store.Key(store.KindDead)))
	}
	if n := w.shards[0].Status().Counts.Events + w.shards[1].Status().Counts.Events; n != 3 {
		t.Errorf("%d events were evaluated, want 3", n)
	}
}
