package detect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sort"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/detect/simulate"
	"doorward/rules"
	"doorward/rules/builtin"
	"doorward/rules/event"
	"doorward/rules/window"
	"doorward/store"
	"doorward/store/badger"
	"doorward/store/outbox"
)

// log is a topic in memory: what a broker would give a shard.
type topicLog struct {
	mu      sync.Mutex
	records map[int][]detect.Record
}

func (l *topicLog) add(shard int, value []byte, key string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records[shard] = append(l.records[shard], detect.Record{Topic: detect.TopicEvents, Partition: shard,
		Offset: int64(len(l.records[shard])), Time: at, Key: []byte(key), Value: value})
}

// source reads a shard of the log from an offset.
type logSource struct {
	log   *topicLog
	shard int
	at    int64
	batch int
}

func (s *logSource) Open(_ context.Context, at []detect.Position) error {
	s.at = 0
	for _, p := range at {
		s.at = p.Offset
	}
	return nil
}

func (s *logSource) Fetch(ctx context.Context) ([]detect.Record, error) {
	s.log.mu.Lock()
	all := s.log.records[s.shard]
	s.log.mu.Unlock()
	if int(s.at) >= len(all) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
			return nil, nil
		}
	}
	records := all[s.at:min(int(s.at)+s.batch, len(all))]
	s.at += int64(len(records))
	return records, nil
}

// world is a store, its shards and what they published.
type world struct {
	t      *testing.T
	engine store.Engine
	set    *rules.Set
	log    *topicLog
	n      int
	shards []*detect.Shard
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu        sync.Mutex
	published []outbox.Row
}

func openStore(t *testing.T, dir string, create bool) *badger.DB {
	t.Helper()
	open := badger.Open
	if create {
		open = badger.Create
	}
	db, err := open(badger.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func builtinSet(t testing.TB) *rules.Set {
	t.Helper()
	set, err := rules.Load(builtin.FS)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func decode(r detect.Record) (*event.Event, *event.Error) {
	return event.DecodeRecord(r.Key, r.Value, r.Headers, r.Time)
}

// start runs the shards of a world on an engine.
func start(t *testing.T, engine store.Engine, log *topicLog, n, batch int) *world {
	t.Helper()
	return startWith(t, engine, builtinSet(t), log, n, batch, 0)
}

// startWith also chooses the rules, and after how many bytes of deltas a checkpoint is written.
func startWith(t *testing.T, engine store.Engine, set *rules.Set, log *topicLog, n, batch, checkpoint int) *world {
	t.Helper()
	w := &world{t: t, engine: engine, set: set, log: log, n: n}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	pace := detect.NewPace(n)
	board := window.NewBoard(n)
	for i := range n {
		s := detect.NewShard(detect.ShardConfig{
			Evaluator: detect.EvaluatorConfig{Shard: i, Rules: w.set, Board: board, HashKey: [16]byte{1}, Budget: 10000},
			Store:     engine, Owner: "test", Checkpoint: checkpoint, Pace: pace,
			DeadLetter: func(r detect.Record, code, problem string) detect.Message {
				return detect.Message{Topic: detect.TopicDead, Partition: -1, Key: r.Key, Value: r.Value}
			},
			Publish: func(_ context.Context, rows []outbox.Row) error {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.published = append(w.published, rows...)
				return nil
			},
			Answer: func(detect.Decision) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		})
		w.shards = append(w.shards, s)
		w.done.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Errorf("shard %d: %v", i, err)
			}
		})
		w.done.Go(func() {
			if err := s.Feed(ctx, &logSource{log: log, shard: i, batch: batch}); err != nil {
				t.Errorf("feed %d: %v", i, err)
			}
		})
	}
	return w
}

func (w *world) end() {
	w.stop()
	w.done.Wait()
}

// caughtUp waits until every record is taken in and published.
func (w *world) caughtUp() {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		behind := 0
		for i, s := range w.shards {
			st := s.Status()
			at := int64(0)
			for _, p := range st.Positions {
				at = p.Offset
			}
			w.log.mu.Lock()
			behind += len(w.log.records[i]) - int(at)
			w.log.mu.Unlock()
			n, err := outbox.Backlog(context.Background(), w.engine, i, 1)
			if err != nil {
				w.t.Fatal(err)
			}
			behind += n
		}
		if behind == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, s := range w.shards {
				w.t.Logf("%+v", s.Status())
			}
			w.stop()
			w.done.Wait()
			w.t.Fatalf("%d records or rows are still waiting", behind)
		}
		time.Sleep(5 * time.Millisecond) // a poll, not a wait for luck
	}
}

// simulated is a feed of simulated people and attacks, per shard as a broker would have it.
func simulated(t *testing.T, shards, accounts, attacks int) (*topicLog, []*event.Event) {
	t.Helper()
	s, err := simulate.New(simulate.Config{Accounts: accounts, Days: 2, Attacks: attacks, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	log := &topicLog{records: map[int][]detect.Record{}}
	var events []*event.Event
	for g := range s.Events() {
		e, bad := event.DecodeLine(g.Event)
		if bad != nil {
			t.Fatal(bad)
		}
		events = append(events, e)
		log.add(int(detect.Murmur2([]byte(g.Account))&0x7fffffff)%shards, g.Event, g.Account, g.At)
	}
	return log, events
}

// found are the findings of a store, by id.
func found(t *testing.T, e store.Engine) map[string]detect.Finding {
	t.Helper()
	all := map[string]detect.Finding{}
	from := store.Key(store.KindFinding)
	if err := e.Scan(context.Background(), from, store.After(from), false, func(_, v []byte) bool {
		var f detect.Finding
		if err := json.Unmarshal(v, &f); err != nil {
			t.Error(err)
			return false
		}
		all[f.ID] = f
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// within reports whether a finding rests on one account alone: none of its evidence was read across accounts.
func within(f detect.Finding) bool {
	for _, e := range f.Evidence {
		if e.AsOf != "" {
			return false
		}
	}
	return true
}

// sameAsReplay compares the findings of rules within an account, and the states they lead to, with a replay of the same events.
func sameAsReplay(t *testing.T, w *world, events []*event.Event) {
	t.Helper()
	r := detect.NewReplay(detect.ReplayConfig{Rules: w.set, Shards: w.n})
	want := map[string]detect.Finding{}
	for _, e := range events {
		fs, err := r.Take(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fs {
			want[f.ID] = f
		}
	}
	got := found(t, w.engine)
	var differ []string
	for id, f := range want {
		if !within(f) {
			continue
		}
		if g, ok := got[id]; !ok || g.Response != f.Response || fmt.Sprint(g.Evidence) != fmt.Sprint(f.Evidence) {
			differ = append(differ, fmt.Sprintf("%s on %s: live %v, replay %v", f.Rule, f.Event.ID, g.Evidence, f.Evidence))
		}
	}
	for id, f := range got {
		if _, ok := want[id]; !ok && within(f) {
			differ = append(differ, fmt.Sprintf("%s on %s: live only", f.Rule, f.Event.ID))
		}
	}
	sort.Strings(differ)
	if len(differ) > 0 {
		t.Errorf("%d findings differ, the first: %s", len(differ), differ[0])
	}
	if len(want) == 0 {
		t.Error("the feed has no findings: it proves nothing")
	}
}

func TestLiveEqualsReplay(t *testing.T) {
	for _, batch := range []int{1, 500} {
		t.Run(fmt.Sprint(batch), func(t *testing.T) {
			accounts := 60
			if batch == 1 {
				accounts = 12
			}
			log, events := simulated(t, 4, accounts, 12)
			db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
			defer db.Close()
			w := start(t, db, log, 4, batch)
			w.caughtUp()
			w.end()
			sameAsReplay(t, w, events)
		})
	}
}

// TestRestart stops and starts the shards over and over in the middle of the feed: nothing is lost, nothing is doubled.
func TestRestart(t *testing.T) {
	whole, events := simulated(t, 4, 60, 12)
	dir := filepath.Join(t.TempDir(), "s")
	db := openStore(t, dir, true)
	part := &topicLog{records: map[int][]detect.Record{}}
	published := map[string]int{}
	var w *world
	for step := 1; step <= 6; step++ {
		for s, all := range whole.records {
			part.mu.Lock()
			part.records[s] = all[:len(all)*step/6]
			part.mu.Unlock()
		}
		w = start(t, db, part, 4, 100)
		w.caughtUp()
		w.end()
		for _, r := range w.published {
			published[r.ID]++
		}
		if step < 6 {
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openStore(t, dir, false)
		}
	}
	defer db.Close()
	sameAsReplay(t, w, events)
	for id, n := range published {
		if n != 1 {
			t.Errorf("%s was published %d times without a crash", id, n)
		}
	}
}

// TestActs: staff lock and unlock, an owner recovers, and the next event does not lock again.
func TestActs(t *testing.T) {
	log := &topicLog{records: map[int][]detect.Record{}}
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	w := start(t, db, log, 1, 100)
	defer w.end()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	desk := auth.NewDesk(auth.DeskConfig{Store: db, Home: func(context.Context, auth.AccountID) (int, error) { return 0, nil },
		Wake: func(int) { w.shards[0].Wake() }, Now: func() time.Time { return now }})
	do := func(a auth.Act) auth.Outcome {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		a.Account, a.At = "anna", now
		if err := desk.Submit(ctx, a, nil); err != nil {
			t.Fatal(err)
		}
		o, err := desk.Await(ctx, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := do(auth.Act{ID: "1", Kind: auth.ActLock, By: "staff:ana", Reason: "seen"}); o.Record.State != auth.Locked || o.Record.Recovery == "" {
		t.Fatalf("after a lock: %+v", o)
	}
	if o := do(auth.Act{ID: "2", Kind: auth.ActUnlock, By: "staff:ana", Reason: "wrong", Saw: 7}); o.Refused != auth.RefusedVersion {
		t.Fatalf("an act that saw another version: %+v", o)
	}
	if o := do(auth.Act{ID: "3", Kind: auth.ActUnlock, By: "staff:ana", Reason: "talked to her", Saw: 1}); o.Record.State != auth.Open {
		t.Fatalf("after an unlock: %+v", o)
	}
	rec, _, err := auth.LoadAccount(context.Background(), db, "anna")
	if err != nil || rec.Version != 2 || rec.Home != 0 {
		t.Fatalf("%+v %v", rec, err)
	}
}

func mustTime(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
