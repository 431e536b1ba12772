package detect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules"
	"doorward/rules/builtin"
	"doorward/store"
	"doorward/store/storetest"
)

// again reads what a shard took from the log once more.
func (l *topicLog) again(_ context.Context, shard int, _ string, from, to int64) ([]detect.Record, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records[shard][from : to+1], nil
}

// follow replays a store by its shards' logs.
func follow(t *testing.T, e store.Engine, log *topicLog, n int) (detect.Followed, *detect.Follower) {
	t.Helper()
	f := detect.NewFollower(detect.FollowConfig{Store: e, Shards: n, HashKey: [16]byte{1}, Records: log.again})
	out, err := f.Follow(t.Context())
	if err != nil {
		t.Fatalf("follow: %v", err)
	}
	return out, f
}

// sameAsLog holds every finding and every account's record of a store to what its shards' logs lead to.
func sameAsLog(t *testing.T, e store.Engine, log *topicLog, n int) detect.Followed {
	t.Helper()
	out, _ := follow(t, e, log, n)
	for i, d := range out.Differences {
		if i == 5 {
			break
		}
		t.Errorf("%s %s (%s %s), %s:\nlive   %s\nreplay %s", d.Kind, d.ID, d.Rule, d.Account, d.Field, d.Stored, d.Replayed)
	}
	if out.Differing > 0 {
		t.Errorf("%d differences between the store and the replay of its log", out.Differing)
	}
	if n := countOf(t, e, store.Key(store.KindFinding)); out.Findings < n || out.Accounts == 0 {
		t.Errorf("the replay found %d and compared %d accounts, the store has %d findings", out.Findings, out.Accounts, n)
	}
	return out
}

// acrossRules look at other accounts too, and are true often.
const acrossRules = `
- id: test.address
  title: Many accounts from one network
  level: low
  status: test
  on: [login.succeeded, login.failed, transaction.requested]
  per: network
  when: distinct(account, "login.*", "10m") >= 2 or count("login.failed", "1h") >= 3
  again: always
  score: 15
  response: challenge
  recovery: totp
  reason: {code: address, en: "Many accounts from one network."}
- id: test.mule
  title: Much money to one payee
  level: low
  status: test
  on: [transaction.requested]
  per: payee
  when: sum("transaction.requested", "6h", "out") >= 5000 and distinct(account, "transaction.requested", "1h") >= 2
  again: 1h
  score: 35
  response: limit
  for: 2h
  recovery: totp
  reason: {code: mule, en: "Much money to one payee."}
`

// ruleSets are the shipped rules, others, and both.
func ruleSets(t *testing.T) []*rules.Set {
	t.Helper()
	both := fstest.MapFS{"more.yaml": {Data: []byte(acrossRules)}}
	names, err := fs.Glob(builtin.FS, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(builtin.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		both[name] = &fstest.MapFile{Data: b}
	}
	all, err := rules.Load(both)
	if err != nil {
		t.Fatal(err)
	}
	return []*rules.Set{builtinSet(t), rulesOf(t, accountRules), all}
}

// stray lets some of a feed's events come on another partition, and some of its records be no events.
func stray(log *topicLog, shards int, random *rand.Rand) {
	for shard, records := range log.records {
		for i := range records {
			switch r := &records[i]; {
			case random.IntN(50) == 0:
				r.Value = []byte(`{"specversion"`)
			case random.IntN(50) == 0 && shards > 1:
				to := (shard + 1) % shards
				log.records[to] = append(log.records[to], detect.Record{Topic: r.Topic, Partition: to, Offset: int64(len(log.records[to])),
					Time: log.records[to][len(log.records[to])-1].Time, Key: r.Key, Value: r.Value})
			}
		}
	}
}

// people do things to the accounts of a feed until ctx ends.
func (c *chaos) people(ctx context.Context, w *world, random *rand.Rand) {
	desk := auth.NewDesk(auth.DeskConfig{Store: c.engine.Engine, Home: func(ctx context.Context, id auth.AccountID) (int, error) {
		a, stored, err := auth.LoadAccount(ctx, c.engine, id)
		if stored != nil || err != nil {
			return a.Home, err
		}
		return random.IntN(c.n), nil // as if the producers' partitioner were another one than ours
	}, Wake: func(shard int) { w.shards[shard].Wake() }, Now: time.Now})
	kinds := []auth.Act{{Kind: auth.ActLock, By: "staff:ana", Reason: "r"}, {Kind: auth.ActUnlock, By: "operator", Reason: "r"}, {Kind: auth.ActRecovered, By: "staff:ana", Reason: "r"},
		{Kind: auth.ActExpire, By: "deadline"}, {Kind: auth.ActDenied, By: "owner"}, {Kind: auth.ActTrust, By: "owner", Device: "d"}, {Kind: auth.ActVerified, By: "platform"}}
	for ctx.Err() == nil {
		shard := random.IntN(c.n)
		r := c.log.records[shard][random.IntN(len(c.log.records[shard]))]
		act := kinds[random.IntN(len(kinds))]
		act.ID, act.Account, act.At = fmt.Sprint("act-", random.Uint64()), auth.AccountID(r.Key), r.Time
		if err := desk.Submit(ctx, act, nil); err != nil && ctx.Err() == nil {
			c.t.Errorf("act: %v", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(random.IntN(20)) * time.Millisecond): // people take their time
		}
	}
}

// roughly runs the shards for so many commits, some of which fail, with people at work.
func (c *chaos) roughly(commits int, finish bool) {
	if !finish {
		for n := 2; n < commits; n += 2 + c.random.IntN(12) {
			c.engine.FailAt(n, storetest.Form(c.random.IntN(2)))
		}
	}
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	w, until := c.start(), c.engine.Commits()+commits
	var at sync.WaitGroup
	random := rand.New(rand.NewPCG(c.random.Uint64(), 1))
	at.Go(func() { c.people(ctx, w, random) })
	for deadline := time.Now().Add(2 * time.Second); c.engine.Commits() < until && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // a poll
	}
	if finish {
		w.caughtUp()
	}
	stop()
	at.Wait()
	w.end()
}

// TestFollow: whatever the batches, the interleaving of the shards, the repeats, what comes on a wrong partition or is no event, what people
// do meanwhile, the restarts, the rule sets that change between them, the checkpoints, evictions and commits that fail: a replay that
// follows the shards' logs finds the same and leaves every account as it is, byte for byte.
func TestFollow(t *testing.T) {
	for seed := range uint64(seeds()) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 7))
			n := 1 + int(seed%4)
			log, _ := feedTwice(t, seed, n)
			stray(log, n, random)
			c := &chaos{t: t, log: log, n: n, random: random, rough: true, pages: 2000 + random.IntN(50_000), dead: true}
			if seed%3 == 0 {
				c.budget = 12 // records per key: most leave before they come again
			}
			c.store()
			sets := ruleSets(t)
			for range 4 {
				c.set = sets[random.IntN(len(sets))]
				c.roughly(5+random.IntN(30), false)
			}
			c.set = sets[2]
			c.roughly(5, true)
			out := sameAsLog(t, c.engine, log, n)
			if out.Findings == 0 || out.Counts.Acts == 0 || out.Counts.Dead == 0 || out.Counts.Repeats == 0 {
				t.Errorf("%d findings, %+v: it proves little", out.Findings, out.Counts)
			}
		})
	}
}

// TestRuleSetChangedUnderLoad: rules are added while events come in, the process is killed in the middle, and a replay finds the same. What
// counts on goes on counting: a rule whose text did not change finds what it would have found, and a `first_seen` that is new locks nobody.
func TestRuleSetChangedUnderLoad(t *testing.T) {
	t.Parallel()
	const added = `
- id: test.added
  title: A payee never seen
  level: low
  status: test
  on: [transaction.requested]
  per: account
  when: first_seen("counterparty", "transaction.completed|transaction.requested")
  again: always
  score: 90
  response: lock
  recovery: totp
  reason: {code: added, en: "A payee never seen."}
`
	log, events := feedTwice(t, 11, 2)
	c := &chaos{t: t, log: &topicLog{records: map[int][]detect.Record{}}, n: 2, random: rand.New(rand.NewPCG(11, 11)), rough: true}
	c.store()
	upTo := func(third int) {
		c.log.mu.Lock()
		defer c.log.mu.Unlock()
		for shard, all := range log.records {
			c.log.records[shard] = all[:len(all)*third/3]
		}
	}
	run := func(set *rules.Set, killed bool) {
		c.set = set
		from := c.engine.Commits()
		c.engine.FailAt(5, storetest.NotStored)
		c.engine.FailAt(9, storetest.StoredFailed)
		w := c.start()
		if !killed {
			w.caughtUp()
		}
		for deadline := time.Now().Add(5 * time.Second); killed && c.engine.Commits() < from+9 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond) // a poll
		}
		w.end()
	}
	upTo(1)
	run(rulesOf(t, accountRules), false)
	upTo(3)
	run(rulesOf(t, accountRules+added), true)
	run(rulesOf(t, accountRules+added), false)
	sameAsLog(t, c.engine, log, 2)

	r := detect.NewReplay(detect.ReplayConfig{Rules: rulesOf(t, accountRules), Shards: 2})
	want := map[string]bool{}
	for _, e := range events {
		fs, err := r.Take(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fs {
			want[f.ID] = true
		}
	}
	news := 0
	for id, f := range found(t, c.engine) {
		if f.Rule == "test.added" {
			news++
			if f.Response != "review" || f.Capped != "new_window" {
				t.Errorf("a window that is new must not lock: %+v", f)
			}
		} else if !want[id] {
			t.Errorf("only with the other rule: %s on %s", f.Rule, f.Event.ID)
		}
		delete(want, id)
	}
	if news == 0 || len(want) > 0 {
		t.Errorf("%d findings of the new rule; %d of the others are missing: their windows lost their history", news, len(want))
	}
}

// TestRulesChangedWhereNothingCame: a shard that has had no event yet takes another rule set too.
func TestRulesChangedWhereNothingCame(t *testing.T) {
	t.Parallel()
	log, _ := simulated(t, 1, 10, 9)
	db := storetest.Open(t)
	for _, text := range []string{accountRules, accountRules + acrossRules} {
		w := startWith(t, db, rulesOf(t, text), log, 2, 100, 0)
		w.caughtUp()
		for deadline := time.Now().Add(20 * time.Second); !w.shards[1].Status().Loaded; {
			if time.Now().After(deadline) {
				t.Fatalf("the quiet shard does not load: %s", w.shards[1].Status().Problem)
			}
			time.Sleep(time.Millisecond) // a poll
		}
		w.end()
	}
	sameAsLog(t, db, log, 2)
}

// TestIncompleteLogs: what is not in the logs any more is said, and nothing is compared then.
func TestIncompleteLogs(t *testing.T) {
	t.Parallel()
	log, _ := simulated(t, 2, 20, 9)
	db := storetest.Open(t)
	w := startWith(t, db, builtinSet(t), log, 2, 20, 0)
	w.caughtUp()
	w.end()
	whole := sameAsLog(t, db, log, 2)
	lines := store.Key(store.KindShardLog)
	if err := db.Scan(t.Context(), lines, store.After(lines), false, func(_, v []byte) bool {
		var line struct{ At time.Time }
		if err := json.Unmarshal(v, &line); err != nil || line.At.Year() < 2026 {
			t.Errorf("a line without a time is swept at once: %s", v)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	incomplete := func(what string, shard int, sequence uint64, l *topicLog) {
		t.Helper()
		f := detect.NewFollower(detect.FollowConfig{Store: db, Shards: 2, HashKey: [16]byte{1}, Records: l.again})
		out, err := f.Follow(t.Context())
		in, ok := errors.AsType[*detect.IncompleteError](err)
		if !ok || in.Shard != shard || sequence != 0 && in.Sequence != sequence || out.Differing != 0 || out.Accounts != 0 {
			t.Errorf("%s: %v, %d differences, %d accounts compared", what, err, out.Differing, out.Accounts)
		}
	}
	other := &topicLog{records: map[int][]detect.Record{0: log.records[0], 1: slices.Clone(log.records[1])}}
	other.records[1][3].Time = other.records[1][3].Time.Add(time.Hour)
	incomplete("a topic with another record", 1, 0, other)

	account := string(log.records[0][0].Key) // what the store holds is changed behind the engine's back
	a, b, err := auth.LoadAccount(t.Context(), db, auth.AccountID(account))
	if err != nil {
		t.Fatal(err)
	}
	a.Version++
	changed, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	key := store.Key(store.KindAccount, account)
	write(t, db, &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: changed}}})
	out, _ := follow(t, db, log, 2)
	if out.Differing != 1 || out.Differences[0].Kind != "account" || out.Differences[0].ID != account || out.Differences[0].Field != "version" {
		t.Errorf("an altered account: %+v", out.Differences)
	}
	write(t, db, &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: b}}})
	for id := range found(t, db) {
		write(t, db, &store.Batch{Shard: store.NoShard, Delete: [][]byte{store.Key(store.KindFinding, id)}})
		if out, _ := follow(t, db, log, 2); out.Differing != 1 || out.Differences[0].ID != id || out.Findings != whole.Findings {
			t.Errorf("a finding that is gone: %+v", out.Differences)
		}
		break
	}
	first := store.Key(store.KindShardLog, store.Shard(0), uint64(1))
	write(t, db, &store.Batch{Shard: store.NoShard, Delete: [][]byte{first}})
	incomplete("a log whose first line was swept", 0, 1, log)
}

func write(t *testing.T, e store.Engine, b *store.Batch) {
	t.Helper()
	if _, err := e.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}
