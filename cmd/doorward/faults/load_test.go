//go:build accept

package faults

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"doorward/detect"
)

// drainAmount is what rule faults.drain locks for.
const drainAmount = 66601

// faultRules are what the model knows by heart: faults.tally puts the exact numbers of an account's events into its evidence, so that one
// that was lost, or counted twice, or came out of order shows; faults.drain locks; faults.pause limits, and the clock ends it.
const faultRules = `
- id: faults.tally
  title: Every event is counted once
  level: low
  status: stable
  on: [session.ended]
  when: |
    count("login.succeeded", "30d") < 1000000 and count("login.failed", "30d") < 1000000 and count("transaction.requested", "30d") < 1000000
    and count("session.seen", "30d") < 1000000 and count("account.profile.changed", "30d") < 1000000 and count("session.ended", "30d") >= 1
  again: always
  score: 1
  response: notify
  reason: {code: tally, en: "Counted."}
- id: faults.drain
  title: Everything is gone
  level: high
  status: stable
  on: [transaction.requested]
  when: amount == 66601
  again: always
  score: 90
  response: lock
  reason: {code: gone, en: "Gone."}
- id: faults.pause
  title: A limit that ends by itself
  level: medium
  status: stable
  on: [account.profile.changed]
  when: field == "paused"
  again: always
  score: 50
  response: limit
  for: 10s
  reason: {code: paused, en: "Paused."}
- id: faults.ask
  title: A challenge
  level: medium
  status: stable
  on: [account.profile.changed]
  when: field == "asked"
  again: always
  score: 40
  response: challenge
  reason: {code: asked, en: "Asked."}
`

// load is what a platform does.
type load struct {
	rate     int // events a second
	accounts int
	copies   int // how often each record is written
}

// source names the world's platform.
func (w *world) source() string { return "/" + w.prefix }

// account is the name of the n-th.
func (w *world) account(n int) string { return w.prefix + "-" + strconv.Itoa(n) }

var events atomicCounter

// event makes one; what is a field of it that the rules know.
func (w *world) event(account, kind string, at time.Time, what string) (name string, line []byte) {
	id := strconv.FormatUint(events.next(), 10)
	data := map[string]any{"ip": "10." + strconv.Itoa(int(account[len(account)-1])) + ".0.1", "device": "dev-" + account}
	switch {
	case kind == "transaction.requested":
		amount := 1200
		if what == "drain" {
			amount = drainAmount
		}
		data["transaction"], data["kind"], data["direction"], data["amount"], data["currency"] = "tx-"+id, "payment", "out", amount, "EUR"
		data["counterparty"], data["counterparty_kind"], data["balance_before"], data["balance_after"] = "shop-1", "merchant", 900000, 900000-amount
	case kind == "account.profile.changed":
		data["field"] = "nickname"
		if what != "" {
			data["field"] = what
		}
	case kind == "login.failed":
		data["method"], data["reason"] = "password", "bad_password"
	case kind == "login.succeeded":
		data["method"] = "password"
	}
	b, err := json.Marshal(map[string]any{"specversion": "1.0", "id": id, "source": w.source(), "type": kind, "subject": account,
		"time": at.UTC().Format(time.RFC3339Nano), "data": data})
	if err != nil {
		panic("maps of strings and numbers always encode: " + err.Error())
	}
	return w.source() + " " + id, b
}

// roll is the kind of an account's next event.
func roll(r *rand.Rand) (kind, what string) {
	switch n := r.IntN(1000); {
	case n < 3:
		return "transaction.requested", "drain"
	case n < 5:
		return "account.profile.changed", "paused"
	case n < 8:
		return "account.profile.changed", "asked"
	case n < 60:
		return "account.profile.changed", ""
	case n < 80:
		return "login.failed", ""
	case n < 350:
		return "login.succeeded", ""
	case n < 600:
		return "transaction.requested", ""
	case n < 880:
		return "session.seen", ""
	}
	return "session.ended", ""
}

// startLoad begins to send, to act and to look, until stopLoad. What is sent is told by the seed; when, by the clock.
func (w *world) startLoad(l load) {
	w.Helper()
	ctx, stop := context.WithCancel(context.Background())
	w.loading = stop
	w.idle.Go(func() { w.send(ctx, l) })
	w.idle.Go(func() { w.act(ctx, l) })
	w.idle.Go(func() { w.look(ctx, l) })
}

func (w *world) stopLoad() {
	if w.loading != nil {
		w.loading()
	}
	w.idle.Wait()
}

// send writes what is due every few milliseconds.
func (w *world) send(ctx context.Context, l load) {
	r := rand.New(rand.NewPCG(w.seed, 2))
	zipf := rand.NewZipf(r, 1.1, 20, uint64(l.accounts-1))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	sent := 0
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := min(int(float64(l.rate)*time.Since(began).Seconds())-sent, l.rate) // after a stop of the broker: not all at once
		var messages []detect.Message
		for range due {
			account := w.account(int(zipf.Uint64()))
			kind, what := roll(r)
			name, value := w.event(account, kind, time.Now(), what)
			w.history.Send(name)
			for range max(l.copies, 1) {
				messages = append(messages, detect.Message{Topic: w.topic, Partition: -1, Key: []byte(account), Value: value, Headers: []detect.Header{{Key: "doorward-faults", Value: []byte(name)}}})
			}
		}
		sent += due
		w.publish(messages)
	}
}

// publish writes messages and keeps what became of them. It is not cut short by the end of the load.
func (w *world) publish(messages []detect.Message) {
	if len(messages) == 0 {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := w.client.Publish(ctx, messages); err != nil {
		w.Logf("a batch of %d was not acknowledged: %v", len(messages), err)
		return
	}
	names := make([]string, len(messages))
	for i, m := range messages {
		names[i] = string(m.Headers[0].Value)
	}
	w.history.Acknowledge(names)
}

// forever is how many-th account nobody lets in, so that there is always one that must stay locked.
const forever = 5

// act does what staff and owners do, to accounts that were told to be restricted and to others.
func (w *world) act(ctx context.Context, l load) {
	r := rand.New(rand.NewPCG(w.seed, 3))
	w.every(ctx, 100*time.Millisecond, func() {
		n := r.IntN(l.accounts)
		a := Act{Account: w.account(n), Kind: "lock"}
		if r.IntN(4) > 0 && n%forever > 0 {
			a.Kind = "unlock"
			a.Account = w.restricted(r, a.Account)
		}
		w.do(ctx, a)
	})
}

// every does f at each tick at which an engine runs, until ctx ends.
func (w *world) every(ctx context.Context, d time.Duration, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if e := w.running(); e != nil && !e.ended() {
			f()
		}
	}
}

// do does one act and keeps what was answered.
func (w *world) do(ctx context.Context, a Act) {
	var got record
	err := w.administer(ctx, "account.act", map[string]string{"id": a.Account, "kind": a.Kind, "reason": "the load"}, &got)
	if err == nil {
		a.Done, a.State, a.Version = true, got.State, got.Version
	}
	w.history.Did(a)
}

// restricted is an account whose newest record restricts it, or else the one given.
func (w *world) restricted(r *rand.Rand, or string) string {
	newest := w.history.Newest()
	var all []string
	for a, s := range newest {
		n, err := strconv.Atoi(a[strings.LastIndexByte(a, '-')+1:])
		if err == nil && n%forever > 0 && (s.State == "locked" || s.State == "limited" || s.State == "challenged") {
			all = append(all, a)
		}
	}
	if len(all) == 0 {
		return or
	}
	slices.Sort(all)
	return all[r.IntN(len(all))]
}

// lockedNow are the accounts whose newest published record locks them, with its version.
func (w *world) lockedNow() map[string]uint64 {
	locked := map[string]uint64{}
	for a, s := range w.history.Newest() {
		if s.State == "locked" {
			locked[a] = s.Version
		}
	}
	return locked
}

// look asks the API about accounts again and again.
func (w *world) look(ctx context.Context, l load) {
	r := rand.New(rand.NewPCG(w.seed, 4))
	w.every(ctx, 20*time.Millisecond, func() { w.lookAt(ctx, w.account(r.IntN(l.accounts))) })
}

// lookAt asks about one account; nothing is kept when nobody answers.
func (w *world) lookAt(ctx context.Context, account string) (got record, status int) {
	known := w.history.Published(account)
	status, _ = w.call(ctx, "GET", "/v1/accounts/"+account, nil, &got)
	if status == 200 {
		w.history.Looked(Look{Account: account, State: got.State, Version: got.Version, Known: known, Unknown: got.Unknown})
	}
	return got, status
}

// atomicCounter numbers events.
type atomicCounter struct{ n atomic.Uint64 }

func (c *atomicCounter) next() uint64 { return c.n.Add(1) }
