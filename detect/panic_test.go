package detect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"reflect"
	"strconv"
	"sync/atomic"
	"testing"

	"doorward/detect"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/store"
)

// lettersOf are the dead letters of a store.
func lettersOf(t *testing.T, e store.Engine) (all []detect.Dead) {
	t.Helper()
	from := store.Key(store.KindDead)
	if err := e.Scan(t.Context(), from, store.After(from), false, func(_, v []byte) bool {
		var d detect.Dead
		if err := json.Unmarshal(v, &d); err != nil {
			t.Error(err)
		}
		all = append(all, d)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// statesOf are the accounts' records without what tells at which input they changed, which an event that was not evaluated takes too.
func statesOf(t *testing.T, e store.Engine) map[string]string {
	t.Helper()
	all := map[string]string{}
	from := store.Key(store.KindAccount)
	if err := e.Scan(t.Context(), from, store.After(from), false, func(k, v []byte) bool {
		var a map[string]any
		if err := json.Unmarshal(v, &a); err != nil {
			t.Error(err)
		}
		delete(a, "sequence")
		b, err := json.Marshal(a)
		if err != nil {
			t.Error(err)
		}
		all[string(k)] = string(b)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPanic: the program fails at one event in the middle of a batch, before or after the windows have it. The event goes to the dead letters
// once, with the reason; every other event, before it in the same batch and after it, is decided as if that one had not come, and a replay of
// the shard's log says the same.
func TestPanic(t *testing.T) {
	t.Parallel()
	log, events := simulated(t, 1, 20, 9)
	bad := len(events) / 2
	run := func(t *testing.T, log *topicLog, change func(*detect.EvaluatorConfig)) (store.Engine, *detect.Shard, string) {
		db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
		t.Cleanup(func() { db.Close() })
		c := lone(db, builtinSet(t), publishNothing)
		var said bytes.Buffer
		c.Log = slog.New(slog.NewTextHandler(&said, nil))
		change(&c.Evaluator)
		w := &world{t: t, engine: db, log: log, n: 1, shards: []*detect.Shard{detect.NewShard(c)}}
		ctx, stop := context.WithCancel(t.Context())
		w.stop = stop
		w.done.Go(func() {
			if err := w.shards[0].Run(ctx); err != nil {
				t.Error(err)
			}
		})
		w.done.Go(func() {
			if err := w.shards[0].Feed(ctx, &logSource{log: log, batch: 50}); err != nil {
				t.Error(err)
			}
		})
		w.caughtUp()
		w.end()
		return db, w.shards[0], said.String()
	}
	// the same without that event
	without := &topicLog{records: map[int][]detect.Record{}}
	for i, r := range log.records[0] {
		if i != bad {
			without.add(0, r.Value, string(r.Key), r.Time)
		}
	}
	want, _, _ := run(t, without, func(*detect.EvaluatorConfig) {})
	id := events[bad].Identity()
	for name, fail := range map[string]func(*detect.EvaluatorConfig, func(*event.Event)){
		"in the windows": func(c *detect.EvaluatorConfig, f func(*event.Event)) { c.Evaluating(f) },
		"at its place": func(c *detect.EvaluatorConfig, f func(*event.Event)) {
			c.Place = func(e *event.Event) geo.Place { f(e); return detect.PlaceOf(e, nil) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int64
			db, s, said := run(t, log, func(c *detect.EvaluatorConfig) {
				fail(c, func(e *event.Event) {
					if e.Identity() == id {
						panic("failed at it for the time " + strconv.FormatInt(tries.Add(1), 10))
					}
				})
			})
			dead := lettersOf(t, db)
			if len(dead) != 1 || dead[0].Code != event.Internal || dead[0].Offset != int64(bad) || !bytes.Equal(dead[0].Value, log.records[0][bad].Value) {
				t.Fatalf("dead letters: %+v", dead)
			}
			if n := s.Status().Counts.Panics; n != 1 || tries.Load() != 1 {
				t.Errorf("%d panics were counted, and it was tried %d times", n, tries.Load())
			}
			if !bytes.Contains([]byte(said), []byte("panic_test.go")) {
				t.Errorf("the log does not say where:\n%s", said)
			}
			sameFindings(t, db, want)
			if got, want := statesOf(t, db), statesOf(t, want); len(got) == 0 || !reflect.DeepEqual(got, want) {
				t.Errorf("%d accounts, and without that event %d, which differ", len(got), len(want))
			}
			if out := sameAsLog(t, db, log, 1); out.Counts.Dead != 1 {
				t.Errorf("the replay put away %d", out.Counts.Dead)
			}
		})
	}
}

func sameFindings(t *testing.T, got, want store.Engine) {
	t.Helper()
	a, b := found(t, got), found(t, want)
	for id, f := range b {
		if g, ok := a[id]; !ok || g.Rule != f.Rule {
			t.Errorf("lost: %s of %s", f.Rule, f.Event.ID)
		}
	}
	if len(a) != len(b) || len(a) == 0 {
		t.Errorf("%d findings, and without that event %d", len(a), len(b))
	}
}

// failsAt panics when an account is read, so many times.
type failsAt struct {
	store.Engine
	key  []byte
	left atomic.Int64
}

func (e *failsAt) Get(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	for _, k := range keys {
		if bytes.Equal(k, e.key) && e.left.Add(-1) >= 0 {
			panic("failed at an account")
		}
	}
	return e.Engine.Get(ctx, keys...)
}

// TestPanicAhead: the program fails while it looks ahead at many records. The next try looks at each alone, and finds which it is.
func TestPanicAhead(t *testing.T) {
	t.Parallel()
	log, events := simulated(t, 1, 20, 9)
	bad := len(events) - 1 // whose account was not read before its first event
	for i := range events {
		if events[i].Account == events[bad].Account {
			bad = i
			break
		}
	}
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	e := &failsAt{Engine: db, key: store.Key(store.KindAccount, string(events[bad].Account))}
	e.left.Store(2)
	w := start(t, e, log, 1, 50)
	w.caughtUp()
	w.end()
	dead := lettersOf(t, db)
	if len(dead) != 1 || dead[0].Code != event.Internal || string(dead[0].Key) != string(events[bad].Account) {
		t.Errorf("dead letters: %+v", dead)
	}
	if n := w.shards[0].Status().Counts.Panics; n != 2 {
		t.Errorf("%d panics were counted", n)
	}
	sameAsLog(t, db, log, 1)
}
