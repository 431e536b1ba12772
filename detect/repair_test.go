package detect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/detect"
	"doorward/detect/cases"
	"doorward/detect/kafka"
	"doorward/rules"
	"doorward/rules/window"
	"doorward/store"
	"doorward/store/outbox"
)

func rulesOf(t *testing.T, text string) *rules.Set {
	t.Helper()
	set, err := rules.Load(fstest.MapFS{"r.yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// lone is a configuration of one shard on an engine.
func lone(e store.Engine, set *rules.Set, publish func(context.Context, []outbox.Row) error) detect.ShardConfig {
	return detect.ShardConfig{
		Evaluator: detect.EvaluatorConfig{Rules: set, Board: window.NewBoard(1), HashKey: [16]byte{1}, Budget: 10000},
		Store:     e, Owner: "test", Pace: detect.NewPace(1), Publish: publish,
		DeadLetter: func(r detect.Record, code, problem string) detect.Message {
			return kafka.DeadLetter(r, code, problem, detect.MaxDeadValue)
		},
		Answer: func(detect.Decision) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func publishNothing(context.Context, []outbox.Row) error { return nil }

const failing = `
- id: test.failing
  title: A failed login
  level: low
  status: test
  on: [login.failed]
  per: account
  when: count("login.failed", "1d") >= 1
  again: always
  score: 10
  response: challenge
  recovery: totp
  reason: {code: test, en: "A failed login."}
`

func failed(log *topicLog, id string, at time.Time) {
	line := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"/t","type":"login.failed","subject":"anna","time":%q}`, id, at.Format(time.RFC3339Nano))
	log.add(0, []byte(line), "anna", at)
}

// TestLongPoison: a record whose key, or whose headers' names, are longer than what the store takes does not stop its partition.
func TestLongPoison(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]detect.Record{
		"key":   {Key: bytes.Repeat([]byte{7}, 900<<10), Value: []byte("{")},
		"names": {Key: []byte("anna"), Value: []byte("{"), Headers: []detect.Header{{Key: strings.Repeat("\x01", 200<<10)}}},
		"many": {Key: []byte("anna"), Value: bytes.Repeat([]byte{1}, 900<<10), Headers: func() (hs []detect.Header) {
			for range 32 {
				hs = append(hs, detect.Header{Key: strings.Repeat("\x01", 2<<10), Value: make([]byte, 4<<10)})
			}
			return hs
		}()},
	} {
		t.Run(name, func(t *testing.T) {
			db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
			defer db.Close()
			s := detect.NewShard(lone(db, rulesOf(t, failing), publishNothing))
			r.Topic, r.Time = detect.TopicEvents, mustTime(t, "2026-03-01T08:00:00Z")
			log := &topicLog{records: map[int][]detect.Record{0: {r}}}
			ctx, stop := context.WithCancel(t.Context())
			ended, fed := make(chan error, 1), make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			go func() { fed <- s.Feed(ctx, &logSource{log: log, batch: 10}) }()
			eventually(t, "the partition has moved on", func() bool { return len(s.Status().Positions) > 0 })
			stop()
			<-ended
			<-fed
			if countOf(t, db, store.Key(store.KindDead)) != 1 {
				t.Error("the record is not kept")
			}
		})
	}
}

// TestHeavyActs: acts that together write more than one batch may carry are applied in several.
func TestHeavyActs(t *testing.T) {
	t.Parallel()
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	at := mustTime(t, "2026-03-01T08:00:00Z")
	desk := auth.NewDesk(auth.DeskConfig{Store: db, Home: func(context.Context, auth.AccountID) (int, error) { return 0, nil },
		Wake: func(int) {}, Now: func() time.Time { return at }})
	const n = 40
	for i := range n {
		account := auth.AccountID(fmt.Sprint("acct-", i))
		c := cases.Open(cases.ID(string(account), "x"), account, cases.Ref{ID: "x", Rule: "test", Score: 1, Response: "review", At: at}, at)
		for range cases.MaxNotes - 1 {
			var err error
			if c, err = c.Note("staff:ana", strings.Repeat("n", cases.MaxText), at); err != nil {
				t.Fatal(err)
			}
		}
		put, _, err := cases.Writes(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		if err := desk.Submit(t.Context(), auth.Act{ID: fmt.Sprint("n", i), Kind: auth.ActCaseNote, Account: account, At: at, By: "staff:ana", Case: c.ID, Reason: "seen"},
			&store.Batch{Put: put}); err != nil {
			t.Fatal(err)
		}
	}
	s := detect.NewShard(lone(db, rulesOf(t, failing), publishNothing))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	eventually(t, "all acts are applied", func() bool { return s.Status().Counts.Acts >= n && s.Status().Loaded })
	for i := range n {
		if o, ok, err := auth.LoadOutcome(t.Context(), db, fmt.Sprint("n", i)); err != nil || !ok || !o.Applied {
			t.Errorf("act %d: %+v %v %v", i, o, ok, err)
		}
	}
	stop()
	<-ended
}

// TestForeignAct: an act that waited on the shard where an account would have lived is refused when its first event came on another.
func TestForeignAct(t *testing.T) {
	t.Parallel()
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	at := mustTime(t, "2026-03-01T08:00:00Z")
	record, err := json.Marshal(auth.Account{ID: "anna", Home: 1, State: auth.Open})
	if err != nil {
		t.Fatal(err)
	}
	key := store.Key(store.KindAccount, "anna")
	desk := auth.NewDesk(auth.DeskConfig{Store: db, Home: func(context.Context, auth.AccountID) (int, error) { return 0, nil },
		Wake: func(int) {}, Now: func() time.Time { return at }})
	for _, a := range []auth.Act{
		{ID: "1", Kind: auth.ActLock, Account: "anna", At: at, By: "operator", Reason: "seen"},
		{ID: "2", Kind: auth.ActTrust, Account: "bert", At: at, By: "owner", Device: "d", Saw: 3},
	} {
		if err := desk.Submit(t.Context(), a, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key, Value: record}}}); err != nil {
		t.Fatal(err)
	}
	s := detect.NewShard(lone(db, rulesOf(t, failing), publishNothing))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for id, want := range map[string]string{"1": auth.RefusedUnknown, "2": auth.RefusedVersion} {
		o, err := desk.Await(t.Context(), id)
		if err != nil || o.Refused != want {
			t.Errorf("act %s: %+v %v, want it refused with %q", id, o, err, want)
		}
	}
	stop()
	<-ended
	now, err := db.Get(t.Context(), key)
	if err != nil || !bytes.Equal(now[0], record) {
		t.Errorf("the record of another shard's account was written: %s %v", now[0], err)
	}
}

// TestNoticesInReverse: events that come in reverse order tell the owner of the same cause once, not each time.
func TestNoticesInReverse(t *testing.T) {
	t.Parallel()
	const noting = `
- id: test.noting
  title: A failed login
  level: low
  status: test
  on: [login.failed]
  per: account
  when: count("login.failed", "2d") >= 1
  again: always
  score: 10
  response: notify
  reason: {code: test, en: "A failed login."}
`
	log := &topicLog{records: map[int][]detect.Record{}}
	at := mustTime(t, "2026-03-01T20:00:00Z")
	for i := range 12 {
		failed(log, fmt.Sprint(i), at.Add(-time.Duration(i)*40*time.Minute))
		log.records[0][i].Time = at
	}
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	w := startWith(t, db, rulesOf(t, noting), log, 1, 10, 0)
	w.caughtUp()
	w.end()
	told, findings := 0, 0
	for _, r := range w.published {
		switch r.Topic {
		case detect.TopicNotices:
			var due notice.Due
			if err := json.Unmarshal(r.Value, &due); err != nil || due.Kind != notice.WasThisYou {
				t.Errorf("%+v %v", due, err)
			}
			told++
		case detect.TopicFindings:
			findings++
		}
	}
	if told != 1 || findings != 12 {
		t.Errorf("the owner was told %d times of %d findings in half a day of events behind the first", told, findings)
	}
}

// TestWindowThatComesBack: a window that was left out of the rules for a while missed what came meanwhile: it is unknown again.
func TestWindowThatComesBack(t *testing.T) {
	t.Parallel()
	first := strings.NewReplacer("test.failing", "test.first", `count("login.failed", "1d") >= 1`, `first_seen("device")`, "challenge", "lock").Replace(failing)
	log := &topicLog{records: map[int][]detect.Record{}}
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	n := 0
	run := func(text, day string) {
		at := mustTime(t, day+"T08:00:00Z")
		n++
		line := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/t","type":"login.failed","subject":"anna","time":%q,"data":{"device":"d%d"}}`, n, at.Format(time.RFC3339), n)
		log.add(0, []byte(line), "anna", at)
		w := startWith(t, db, rulesOf(t, text), log, 1, 10, 0)
		w.caughtUp()
		w.end()
	}
	run(failing, "2026-03-01")
	run(failing+first, "2026-03-02")
	run(failing, "2026-04-10")
	run(failing+first, "2026-04-11")
	for _, f := range found(t, db) {
		if f.Rule == "test.first" && (f.Response != "review" || f.Capped != "new_window") {
			t.Errorf("on event %s: %s, capped %q; the window had missed what came meanwhile", f.Event.ID, f.Response, f.Capped)
		}
	}
}
