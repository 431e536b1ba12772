package detect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/store"
	"doorward/store/storetest"
)

// actsAmong takes a feed in a few records at a time, with acts between them, and returns what became of the acts.
func (c *chaos) actsAmong() (outcomes []string) {
	whole := c.log.records[0]
	c.log = &topicLog{records: map[int][]detect.Record{}}
	script := rand.New(rand.NewPCG(9, 9)) // the same for both runs
	var w *world
	begin := func() {
		w = c.start()
	}
	begin()
	now := time.Time{}
	desk := auth.NewDesk(auth.DeskConfig{Store: c.engine.Engine, Home: func(context.Context, auth.AccountID) (int, error) { return 0, nil },
		Wake: func(int) { w.shards[0].Wake() }, Now: func() time.Time { return now }})
	kinds := []auth.Act{{Kind: auth.ActLock, By: "staff:ana", Reason: "r"}, {Kind: auth.ActUnlock, By: "operator", Reason: "r"}, {Kind: auth.ActRecovered, By: "staff:ana", Reason: "r"},
		{Kind: auth.ActExpire, By: "deadline"}, {Kind: auth.ActDenied, By: "owner"}, {Kind: auth.ActTrust, By: "owner", Device: "d"}, {Kind: auth.ActVerified, By: "platform"}}
	const parts = 24
	for part := 1; part <= parts; part++ {
		c.log.mu.Lock()
		c.log.records[0] = whole[:len(whole)*part/parts]
		r := c.log.records[0][len(c.log.records[0])-1]
		c.log.mu.Unlock()
		w.caughtUp()
		if c.rough {
			c.engine.FailAt(1+c.random.IntN(4), storetest.Form(c.random.IntN(2)))
			if c.random.IntN(4) == 0 {
				w.end()
				begin()
			}
		}
		now = r.Time
		act := kinds[script.IntN(len(kinds))]
		act.ID, act.Account, act.At = fmt.Sprint("act-", part), auth.AccountID(r.Key), now
		if act.Kind == auth.ActExpire {
			act.At = now.Add(100 * time.Hour)
		}
		if script.IntN(4) == 0 {
			act.Saw = 1
		}
		if err := desk.Submit(c.t.Context(), act, nil); err != nil {
			c.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
		o, err := desk.Await(ctx, act.ID)
		cancel()
		if err != nil {
			c.t.Fatal(err)
		}
		o.Sequence = 0
		b, err := json.Marshal(o)
		if err != nil {
			c.t.Fatal(err)
		}
		outcomes = append(outcomes, string(act.Kind)+" "+string(b))
	}
	w.caughtUp()
	w.end()
	sameAsLog(c.t, c.engine, c.log, 1)
	return outcomes
}

// TestActsAnyWay: acts among events, with restarts and failed commits between and around them, leave what they leave on a smooth way in
// the same order: each applied once, each published once by its id.
func TestActsAnyWay(t *testing.T) {
	t.Parallel()
	log, _ := feedTwice(t, 3, 1)
	run := func(rough bool) (*chaos, string) {
		c := &chaos{t: t, set: rulesOf(t, accountRules), log: log, n: 1, random: rand.New(rand.NewPCG(1, 1)), rough: rough}
		c.store()
		return c, strings.Join(c.actsAmong(), "\n")
	}
	smooth, want := run(false)
	rough, got := run(true)
	if got != want {
		t.Errorf("outcomes:\n%s\nwant:\n%s", got, want)
	}
	for _, refused := range []string{auth.RefusedState, auth.RefusedVersion} {
		if !strings.Contains(want, `"refused":"`+refused) {
			t.Errorf("no act was refused with %q: the script proves little", refused)
		}
	}
	a, b := accountsOf(t, rough.engine), accountsOf(t, smooth.engine)
	for id := range b {
		if !sameAccount(a[id], b[id]) {
			t.Errorf("%s differs:\n%+v\n%+v", id, a[id], b[id])
		}
	}
	for _, kind := range []byte{store.KindRecovery, store.KindCase, store.KindDeadline, store.KindCaseOpen} {
		if x, y := countOf(t, rough.engine, store.Key(kind)), countOf(t, smooth.engine, store.Key(kind)); x != y || kind == store.KindRecovery && y == 0 {
			t.Errorf("%d records of kind %c, want %d", x, kind, y)
		}
	}
	for id := range smooth.known {
		if !rough.known[id] {
			t.Errorf("%s was not published", id)
		}
	}
	if len(rough.known) != len(smooth.known) {
		t.Errorf("%d ids were published, want %d", len(rough.known), len(smooth.known))
	}
	rough.inOrder(a)
}

// TestRulesChangeDuringCheckpoints: rule sets that change while a checkpoint is under way, and back, with commits that fail, take nothing
// from the windows that stay.
func TestRulesChangeDuringCheckpoints(t *testing.T) {
	t.Parallel()
	const more = `
- id: test.more
  title: Many payees
  level: low
  status: test
  on: [transaction.requested]
  per: account
  when: distinct(counterparty, "transaction.requested", "1d") >= 400
  score: 10
  response: notify
  reason: {code: more, en: "Many payees."}
`
	log, events := feedTwice(t, 5, 2)
	c := &chaos{t: t, log: log, n: 2, random: rand.New(rand.NewPCG(6, 6)), pages: 500}
	c.store()
	under := 0
	for i := range 12 {
		c.set = rulesOf(t, accountRules+strings.Repeat(more, i%2))
		for n := 3; n < 20; n += 5 + c.random.IntN(5) {
			c.engine.FailAt(n, storetest.Form(c.random.IntN(2)))
		}
		w, until := c.start(), c.engine.Commits()+6+c.random.IntN(12)
		for deadline := time.Now().Add(2 * time.Second); c.engine.Commits() < until && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond) // a poll
		}
		w.end()
		under += c.halfCheckpoints()
	}
	c.set = rulesOf(t, accountRules)
	w := c.start()
	w.caughtUp()
	w.end()
	sameAsReplay(t, w, events)
	sameAsLog(t, c.engine, log, 2)
	if under == 0 {
		t.Error("no checkpoint was under way when the rules changed")
	}
}

// halfCheckpoints counts the shards with pages of another checkpoint than the newest whole one.
func (c *chaos) halfCheckpoints() (n int) {
	for shard := range c.n {
		v, err := c.engine.Get(c.t.Context(), store.Key(store.KindProgress, store.Shard(shard)))
		if err != nil {
			c.t.Fatal(err)
		}
		if v[0] == nil {
			continue // its first commit failed
		}
		var p struct {
			Checkpoint uint64 `json:"checkpoint"`
		}
		if err := json.Unmarshal(v[0], &p); err != nil {
			c.t.Fatal(err)
		}
		newest := store.Key(store.KindCheckpoint, store.Shard(shard), p.Checkpoint)
		if countOf(c.t, c.engine, store.Key(store.KindCheckpoint, store.Shard(shard))) > countOf(c.t, c.engine, newest) {
			n++
		}
	}
	return n
}
