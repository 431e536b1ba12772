package detect_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/detect/simulate"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/rules/window"
	"doorward/store"
	"doorward/store/outbox"
	"doorward/store/storetest"
)

// accountRules rest on one account alone, so that what they do is the same whatever the shards' order is.
const accountRules = `
- id: test.guess
  title: Failed logins
  level: low
  status: test
  on: [login.failed, login.succeeded]
  per: account
  when: count("login.failed", "10m") >= 2
  score: 10
  response: challenge
  recovery: totp
  reason: {code: guess, en: "Failed logins."}
- id: test.spend
  title: Much money
  level: low
  status: test
  on: [transaction.requested]
  per: account
  when: sum("transaction.requested", "1d") >= 20000
  score: 20
  response: limit
  for: 2h
  recovery: totp
  reason: {code: spend, en: "Much money."}
- id: test.payee
  title: A new payee after a new device
  level: low
  status: test
  on: [transaction.requested]
  per: account
  when: first_seen("counterparty") and count("login.failed", "1d") >= 3
  again: 1h
  score: 30
  response: lock
  recovery: totp
  reason: {code: payee, en: "A new payee."}
- id: test.device
  title: A new device
  level: low
  status: test
  on: [login.succeeded]
  per: account
  when: first_seen("device")
  again: always
  score: 5
  response: review
  reason: {code: device, en: "A new device."}
`

// scribbling is a source of batches of any size that writes over what it gave, as the contract of Record allows it to.
type scribbling struct {
	logSource
	random *rand.Rand
	gave   []detect.Record
}

func (s *scribbling) Fetch(ctx context.Context) ([]detect.Record, error) {
	for _, r := range s.gave {
		for _, b := range [][]byte{r.Key, r.Value} {
			for i := range b {
				b[i] = 0xff
			}
		}
	}
	s.batch = []int{1, 2, 7, 30, 200, 1000}[s.random.IntN(6)]
	records, err := s.logSource.Fetch(ctx)
	s.gave = nil
	for _, r := range records {
		r.Key, r.Value = append([]byte(nil), r.Key...), append([]byte(nil), r.Value...)
		s.gave = append(s.gave, r)
	}
	return s.gave, err
}

// chaos is what a store sees of one feed, however rough the way.
type chaos struct {
	t         *testing.T
	set       *rules.Set
	log       *topicLog
	n         int
	random    *rand.Rand
	engine    *storetest.Faulty
	rough     bool
	budget    int  // records of windows; 0: 10,000
	dead      bool // records that are no events are expected
	pages     int  // bytes of deltas after which a checkpoint begins; 0: 20,000
	mu        sync.Mutex
	published []outbox.Row // in the order of their first arrival
	known     map[string]bool
}

func (c *chaos) publish(_ context.Context, rows []outbox.Row) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fails := c.rough && c.random.IntN(5) == 0
	if fails {
		rows = rows[:c.random.IntN(len(rows)+1)]
	}
	for _, r := range rows {
		if !c.known[r.ID] {
			c.known[r.ID] = true
			c.published = append(c.published, r)
		}
	}
	if fails {
		return errors.New("the broker is down")
	}
	return nil
}

// start runs the shards until the world ends.
func (c *chaos) start() *world {
	w := &world{t: c.t, engine: c.engine, set: c.set, log: c.log, n: c.n}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	pace, board := detect.NewPace(c.n), window.NewBoard(c.n)
	if c.budget == 0 {
		c.budget = 10_000
	}
	if c.pages == 0 {
		c.pages = 20_000
	}
	for i := range c.n {
		e := detect.EvaluatorConfig{Shard: i, Rules: c.set, Board: board, HashKey: [16]byte{1}, Budget: c.budget}
		e.KeepRepeats(45)
		s := detect.NewShard(detect.ShardConfig{Evaluator: e, Store: c.engine, Owner: "test", Checkpoint: c.pages, Pace: pace,
			DeadLetter: func(detect.Record, string, string) detect.Message {
				if !c.dead {
					c.t.Error("a record was not taken")
				}
				return detect.Message{Topic: detect.TopicDead}
			},
			Publish: c.publish, Answer: func(detect.Decision) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		w.shards = append(w.shards, s)
		src := &scribbling{logSource: logSource{log: c.log, shard: i}, random: rand.New(rand.NewPCG(c.random.Uint64(), 1))}
		w.done.Go(func() {
			if err := s.Run(ctx); err != nil {
				c.t.Errorf("shard %d: %v", i, err)
			}
		})
		w.done.Go(func() {
			if err := s.Feed(ctx, src); err != nil {
				c.t.Errorf("feed %d: %v", i, err)
			}
		})
	}
	return w
}

// run takes the whole feed in: when it is rough, commits fail in both forms and the shards are stopped and started in the middle.
func (c *chaos) run() *world {
	if c.rough {
		for range 4 {
			from := c.engine.Commits()
			for n := 2; n < 30; n += 2 + c.random.IntN(12) {
				c.engine.FailAt(n, storetest.Form(c.random.IntN(2)))
			}
			w := c.start()
			until := from + 3 + c.random.IntN(25)
			deadline := time.Now().Add(2 * time.Second)
			for c.engine.Commits() < until && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond) // a poll
			}
			w.end()
		}
	}
	w := c.start()
	w.caughtUp()
	w.end()
	return w
}

// feedTwice is a feed in which every event comes twice, the second time up to 40 records later.
func feedTwice(t *testing.T, seed uint64, shards int) (*topicLog, []*event.Event) {
	t.Helper()
	s, err := simulate.New(simulate.Config{Accounts: 20, Days: 2, Attacks: 12, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed, 2))
	log, late := &topicLog{records: map[int][]detect.Record{}}, map[int][]detect.Record{}
	var events []*event.Event
	for g := range s.Events() {
		e, bad := event.DecodeLine(g.Event)
		if bad != nil {
			t.Fatal(bad)
		}
		events = append(events, e)
		shard := int(detect.Murmur2([]byte(g.Account))&0x7fffffff) % shards
		log.add(shard, g.Event, g.Account, g.At)
		late[shard] = append(late[shard], detect.Record{Value: g.Event, Key: []byte(g.Account)})
		for len(late[shard]) > 0 && (len(late[shard]) > 40 || random.IntN(40) == 0) {
			log.add(shard, late[shard][0].Value, string(late[shard][0].Key), g.At)
			late[shard] = late[shard][1:]
		}
	}
	return log, events
}

func accountsOf(t *testing.T, e store.Engine) map[auth.AccountID]auth.Account {
	t.Helper()
	all := map[auth.AccountID]auth.Account{}
	from := store.Key(store.KindAccount)
	if err := e.Scan(t.Context(), from, store.After(from), false, func(_, v []byte) bool {
		var a auth.Account
		if err := json.Unmarshal(v, &a); err != nil {
			t.Error(err)
			return false
		}
		a.Sequence, a.FloorSequence = 0, 0 // repeats and rule sets take a sequence too
		all[a.ID] = a
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// inOrder holds the published states to: every version of every account, each after the one before it.
func (c *chaos) inOrder(accounts map[auth.AccountID]auth.Account) {
	newest := map[auth.AccountID]uint64{}
	for _, r := range c.published {
		if r.Topic != detect.TopicState {
			continue
		}
		var s auth.Record
		if err := json.Unmarshal(r.Value, &s); err != nil {
			c.t.Fatal(err)
		}
		if s.Version != newest[s.Account]+1 || s.PreviousVersion != newest[s.Account] {
			c.t.Errorf("%s: version %d, before it %d, is published after %d", s.Account, s.Version, s.PreviousVersion, newest[s.Account])
		}
		newest[s.Account] = s.Version
	}
	for id, a := range accounts {
		if a.Version != newest[id] {
			c.t.Errorf("%s is at version %d, published up to %d", id, a.Version, newest[id])
		}
	}
}

// seeds is how many ways are tried: DOORWARD_LONG names another number.
func seeds() int {
	if n, err := strconv.Atoi(os.Getenv("DOORWARD_LONG")); err == nil && n > 0 {
		return n
	}
	return 6
}

func (c *chaos) store() {
	db := openStore(c.t, filepath.Join(c.t.TempDir(), "s"), true)
	c.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			c.t.Error(err)
		}
	})
	c.engine, c.known = storetest.NewFaulty(db), map[string]bool{}
}
