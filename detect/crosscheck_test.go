package detect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules/window"
	"doorward/store"
	"doorward/store/badger"
	"doorward/store/outbox"
	"doorward/store/storetest"
)

// stateLog is the topic of states in memory: what a broker would give a cross-check.
type stateLog struct {
	mu    sync.Mutex
	parts [][]detect.Record // nil values: taken by a cleaner
	first []int64
}

func newStateLog(n int) *stateLog {
	return &stateLog{parts: make([][]detect.Record, n), first: make([]int64, n)}
}

func (l *stateLog) Bounds(context.Context, string) ([]detect.Bounds, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]detect.Bounds, len(l.parts))
	for p := range l.parts {
		all[p] = detect.Bounds{First: l.first[p], End: int64(len(l.parts[p]))}
	}
	return all, nil
}

func (l *stateLog) ReadRange(_ context.Context, _ string, part int, from, end int64, f func(detect.Record) error) error {
	l.mu.Lock()
	records := append([]detect.Record(nil), l.parts[part]...)
	l.mu.Unlock()
	for _, r := range records {
		if r.Offset >= from && r.Offset < end && r.Value != nil {
			if err := f(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// add publishes a row and says at which offset.
func (l *stateLog) add(part int, row outbox.Row) (int64, *detect.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := &detect.Message{Topic: row.Topic, Key: row.Key, Value: row.Value}
	for _, h := range row.Headers {
		m.Headers = append(m.Headers, detect.Header(h))
	}
	at := int64(len(l.parts[part]))
	l.parts[part] = append(l.parts[part], detect.Record{Topic: row.Topic, Partition: part, Offset: at, Key: m.Key, Value: m.Value, Headers: m.Headers})
	return at, m
}

// newest is the last version of every account, and the state that it said; it fails when a version was ever published over a higher one
// from offset `from` of each partition on.
func (l *stateLog) newest(t *testing.T, from []int64) map[auth.AccountID]auth.Record {
	t.Helper()
	all := map[auth.AccountID]auth.Record{}
	for p := range l.parts {
		for _, r := range l.parts[p] {
			rec, err := auth.ReadRecord(r.Value)
			if err != nil {
				continue
			}
			if old, known := all[rec.Account]; known && rec.Version < old.Version && from != nil && r.Offset >= from[p] {
				t.Errorf("%s: version %d was published over version %d", rec.Account, rec.Version, old.Version)
			}
			if all[rec.Account].Version <= rec.Version {
				all[rec.Account] = rec
			}
		}
	}
	return all
}

func (l *stateLog) ends() (all []int64) {
	for p := range l.parts {
		all = append(all, int64(len(l.parts[p])))
	}
	return all
}

// door is a store that publishes, with its cross-check before everything.
type door struct {
	*world
	db    *badger.DB
	found detect.Compared
	desk  *auth.Desk
}

// openDoor starts on a directory; hold, when not nil, is waited for before the store is compared.
func openDoor(t *testing.T, dir string, states *stateLog, log *topicLog, hold chan struct{}) *door {
	t.Helper()
	open := badger.Open
	if _, err := os.Stat(dir); err != nil {
		open = badger.Create
	}
	db, err := open(storetest.Config(dir))
	if err != nil {
		t.Fatal(err)
	}
	n := len(log.records)
	w := &world{t: t, engine: db, set: builtinSet(t), log: log, n: n}
	d := &door{world: w, db: db}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	pace, board, marks := detect.NewPace(n), window.NewBoard(n), detect.NewMarks()
	d.desk = auth.NewDesk(auth.DeskConfig{Store: db, Home: log.homeOf, Wake: func(i int) {
		if i < len(w.shards) {
			w.shards[i].Wake()
		}
	}, Now: time.Now})
	compared := make(chan struct{})
	w.done.Go(func() {
		if hold != nil {
			<-hold
		}
		check := detect.CrossCheck{Store: db, Log: states, Marks: marks, Submit: d.desk.SubmitAll, Now: time.Now}
		var err error
		if d.found, err = check.Run(ctx); err != nil {
			t.Errorf("compare: %v", err)
		}
		close(compared)
	})
	for i := range n {
		s := detect.NewShard(detect.ShardConfig{
			Evaluator: detect.EvaluatorConfig{Shard: i, Rules: w.set, Board: board, HashKey: [16]byte{1}, Budget: 10000},
			Store:     db, Owner: "test", Pace: pace,
			DeadLetter: func(detect.Record, string, string) detect.Message { return detect.Message{Topic: detect.TopicDead} },
			Publish: func(_ context.Context, rows []outbox.Row) error {
				for _, r := range rows {
					if r.Topic == detect.TopicState {
						at, m := states.add(i, r)
						marks.Acked(r.Topic, i, at, 1, m)
					}
				}
				return nil
			},
			Answer: func(detect.Decision) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
			Before: func(ctx context.Context) error {
				select {
				case <-compared:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			},
			Acknowledged: marks.Pairs,
		})
		w.shards = append(w.shards, s)
	}
	for i, s := range w.shards {
		w.done.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Errorf("shard %d: %v", i, err)
			}
		})
		w.done.Go(func() {
			if err := s.Feed(ctx, &logSource{log: log, shard: i, batch: 100}); err != nil {
				t.Errorf("feed %d: %v", i, err)
			}
		})
	}
	return d
}

func (l *topicLog) homeOf(_ context.Context, id auth.AccountID) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, records := range l.records {
		for _, r := range records {
			if string(r.Key) == string(id) {
				return p, nil
			}
		}
	}
	return 0, nil
}

func (d *door) shut() {
	d.t.Helper()
	d.end()
	if err := d.db.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// act puts an operator's act in and waits for it.
func (d *door) act(kind auth.ActKind, id auth.AccountID, name string) {
	d.t.Helper()
	a := auth.Act{ID: name, Kind: kind, Account: id, At: time.Now().UTC(), By: "operator", Reason: "test"}
	if err := d.desk.Submit(d.t.Context(), a, nil); err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), 20*time.Second)
	defer cancel()
	if o, err := d.desk.Await(ctx, name); err != nil || !o.Applied {
		d.t.Fatalf("%s %s: %+v %v", kind, id, o, err)
	}
}

func (d *door) account(id auth.AccountID) auth.Account {
	d.t.Helper()
	a, _, err := auth.LoadAccount(d.t.Context(), d.db, id)
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// halves is a small feed on two shards, and its first half.
func halves(t *testing.T) (first, whole *topicLog) {
	t.Helper()
	whole, _ = simulated(t, 2, 40, 8)
	first = &topicLog{records: map[int][]detect.Record{}}
	for p, records := range whole.records {
		first.records[p] = records[:len(records)/2]
	}
	return first, whole
}

// TestStoreThatLostItsTail: an old copy of a store, or an empty one, in place of the one that published. For no account does it say less
// than was published, and it publishes no version over a higher one.
func TestStoreThatLostItsTail(t *testing.T) {
	for _, c := range []string{"an old copy", "an empty store"} {
		t.Run(c, func(t *testing.T) {
			t.Parallel()
			first, whole := halves(t)
			states := newStateLog(2)
			dir := filepath.Join(t.TempDir(), "store")
			d := openDoor(t, dir, states, first, nil)
			d.caughtUp()
			quiet := auth.AccountID(whole.records[0][0].Key)
			d.act(auth.ActLock, quiet, "lock-0")
			d.act(auth.ActUnlock, quiet, "unlock-0")
			d.caughtUp()
			d.shut()
			old := dir + ".old"
			if c == "an old copy" {
				copyTree(t, dir, old)
			}
			d = openDoor(t, dir, states, whole, nil)
			d.caughtUp()
			if d.found.Read != 0 || d.found.Behind != 0 {
				t.Errorf("a store that is as it was: %+v", d.found)
			}
			for i, id := range []auth.AccountID{quiet, "never-seen-1", "never-seen-2"} {
				d.act(auth.ActLock, id, fmt.Sprint("lock-a", i))
			}
			d.act(auth.ActUnlock, "never-seen-2", "unlock-b")
			d.caughtUp()
			d.shut()
			published, from := states.newest(t, nil), states.ends()

			hold := make(chan struct{})
			d = openDoor(t, old, states, whole, hold)
			if s := d.shards[0].Status(); s.Sequence != 0 && s.Commits != 0 {
				t.Error("a shard went on before the store was compared")
			}
			close(hold)
			d.caughtUp()
			defer d.shut()
			if d.found.Behind == 0 {
				t.Fatalf("nothing was found missing: %+v", d.found)
			}
			states.newest(t, from)
			locked := 0
			for id, p := range published {
				a := d.account(id)
				if auth.Behind(&a, &p) {
					t.Errorf("%s: published %s version %d, the store says %s version %d", id, p.State, p.Version, a.State, a.Version)
				}
				if len(p.Refuse) > 0 {
					locked++
				}
				for _, refused := range p.Refuse {
					if r := a.Record(); a.Version == p.Version && !contains(r.Refuse, refused) {
						t.Errorf("%s: %s was refused and is not any more", id, refused)
					}
				}
			}
			if a := d.account(quiet); a.State != auth.Locked {
				t.Errorf("the staff's lock became %s", a.State)
			}
			if a := d.account("never-seen-2"); a.State != auth.Open || a.Version != 2 || a.Floor.IsZero() {
				t.Errorf("what staff had opened became %+v", a)
			}
			if locked == 0 {
				t.Error("nothing was locked: the test shows nothing")
			}
		})
	}
}

func contains(all []auth.Refusal, r auth.Refusal) bool {
	for _, x := range all {
		if x == r {
			return true
		}
	}
	return false
}

// TestStatesThatWait: a state that the outbox of an old copy still owes is not published over a newer one.
func TestStatesThatWait(t *testing.T) {
	db := storetest.Open(t)
	states := newStateLog(1)
	row := func(version uint64, s auth.State) outbox.Row {
		a := auth.Account{ID: "acct-1", State: s, Version: version}
		value := mustEncode(t, a.Record())
		return outbox.Row{ID: fmt.Sprint("v", version), Topic: detect.TopicState, Key: []byte("acct-1"), Value: value,
			Headers: []outbox.Header{{Key: "ce_id", Value: fmt.Append(nil, "v", version)}}}
	}
	owed, err := outbox.Pair(0, 7, 0, row(1, auth.Challenged))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{owed}}); err != nil {
		t.Fatal(err)
	}
	states.add(0, row(1, auth.Challenged))
	states.add(0, row(2, auth.Locked))
	var acts []auth.Act
	check := detect.CrossCheck{Store: db, Log: states, Marks: detect.NewMarks(), Now: time.Now,
		Submit: func(_ context.Context, a []auth.Act) error { acts = append(acts, a...); return nil }}
	found, err := check.Run(t.Context())
	if err != nil || found.Stale != 1 || len(acts) != 1 || acts[0].Published.Version != 2 {
		t.Errorf("%+v %v, acts %+v", found, err, acts)
	}
	if n, err := outbox.Backlog(t.Context(), db, 0, 10); n != 0 || err != nil {
		t.Errorf("%d rows still wait: %v", n, err)
	}
}

// TestMarks: what is read at the next start begins where nobody else has written and no acknowledgement is missing.
func TestMarks(t *testing.T) {
	for name, c := range map[string]struct {
		acks [][2]int64 // from, count
		want int64
	}{
		"in order":                      {[][2]int64{{10, 2}, {12, 1}}, 13},
		"the other way round":           {[][2]int64{{12, 1}, {10, 2}}, 13},
		"somebody else's at 11":         {[][2]int64{{10, 1}, {12, 5}}, 11},
		"an acknowledgement that waits": {[][2]int64{{13, 1}, {11, 2}}, 10},
		"again":                         {[][2]int64{{10, 2}, {10, 2}}, 12},
		"a topic that began anew":       {[][2]int64{{0, 1}, {1, 1}}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			db := storetest.Open(t)
			states := newStateLog(1)
			for range 10 {
				states.add(0, outbox.Row{Topic: detect.TopicState, Key: []byte("x"), Value: []byte("somebody's")})
			}
			marks := detect.NewMarks()
			marks.Acked(detect.TopicState, 0, 3, 1, &detect.Message{}) // before the comparison: says nothing
			check := detect.CrossCheck{Store: db, Log: states, Marks: marks, Now: time.Now}
			if found, err := check.Run(t.Context()); err != nil || found.Foreign != 10 || !found.Whole {
				t.Fatalf("%+v %v", found, err)
			}
			for _, a := range c.acks {
				marks.Acked(detect.TopicState, 0, a[0], int(a[1]), &detect.Message{})
				marks.Acked(detect.TopicFindings, 0, 100, 1, &detect.Message{})
			}
			if pairs := marks.Pairs(); len(pairs) > 0 {
				if _, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: pairs}); err != nil {
					t.Fatal(err)
				}
			}
			for range 40 {
				states.add(0, outbox.Row{Topic: detect.TopicState, Key: []byte("x"), Value: []byte("somebody's")})
			}
			check.Marks = detect.NewMarks()
			found, err := check.Run(t.Context())
			if err != nil || int64(found.Read) != 50-c.want || found.Whole {
				t.Errorf("read %d, want %d: %+v %v", found.Read, 50-c.want, found, err)
			}
		})
	}
}

// TestRecreatedTopic: a topic of states that was deleted, made anew, or replaced is known to be another one, and gets every state again.
func TestRecreatedTopic(t *testing.T) {
	first, _ := halves(t)
	dir := filepath.Join(t.TempDir(), "store")
	states := newStateLog(2)
	d := openDoor(t, dir, states, first, nil)
	d.caughtUp()
	d.act(auth.ActLock, "locked", "lock-0")
	d.caughtUp()
	d.shut()
	published := states.newest(t, nil)
	again := newStateLog(2)
	again.add(0, outbox.Row{Topic: detect.TopicState, Key: []byte("x"), Value: []byte("somebody's")}) // grown already
	for name, now := range map[string]*stateLog{"empty": newStateLog(2), "grown": again} {
		t.Run(name, func(t *testing.T) {
			there := filepath.Join(t.TempDir(), "store")
			copyTree(t, dir, there)
			d := openDoor(t, there, now, first, nil)
			d.caughtUp()
			defer d.shut()
			if d.found.Recreated == 0 || d.found.Behind != 0 || d.found.Again != len(published) {
				t.Errorf("%d states were published: %+v", len(published), d.found)
			}
			for id, p := range now.newest(t, nil) {
				if was := published[id]; string(mustEncode(t, was)) != string(mustEncode(t, p)) {
					t.Errorf("%s: published again as %+v, was %+v", id, p, was)
				}
			}
			if n := len(now.newest(t, nil)); n != len(published) {
				t.Errorf("%d of %d states are on the new topic", n, len(published))
			}
		})
	}
}

func mustEncode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
