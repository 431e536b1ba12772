package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"doorward/store"
	"doorward/store/outbox"
	"doorward/store/storetest"

	"github.com/google/go-cmp/cmp"
)

const shard = 3

func row(n int) outbox.Row {
	return outbox.Row{
		ID: fmt.Sprintf("id-%d", n), Topic: "doorward.account-state.v1", Partition: -1, Key: fmt.Appendf(nil, "acct-%d", n%5),
		Headers: []outbox.Header{{Key: "ce_id", Value: fmt.Appendf(nil, "id-%d", n)}}, Value: []byte{0, 0xff, byte(n)},
	}
}

// owe commits rows from to below to, three to a sequence.
func owe(t *testing.T, e store.Engine, epoch uint64, from, to int) {
	t.Helper()
	b := store.Batch{Shard: shard, Epoch: epoch}
	for n := from; n < to; n++ {
		p, err := outbox.Pair(shard, uint64(n/3), uint32(n%3), row(n))
		if err != nil {
			t.Fatal(err)
		}
		b.Put = append(b.Put, p)
	}
	if _, err := e.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}

func claim(t *testing.T, e store.Engine) uint64 {
	t.Helper()
	epoch, err := e.Claim(t.Context(), shard, "test")
	if err != nil {
		t.Fatal(err)
	}
	return epoch
}

// outside is where rows arrive.
type outside struct {
	mu   sync.Mutex
	rows []outbox.Row
	most int         // rows in one call
	fail func() bool // whether the next call fails
}

var errDown = errors.New("the broker is down")

func (o *outside) publish(_ context.Context, rows []outbox.Row) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.most = max(o.most, len(rows))
	if o.fail != nil && o.fail() {
		o.rows = append(o.rows, rows[:len(rows)/2]...) // half got through, nobody knows
		return errDown
	}
	o.rows = append(o.rows, rows...)
	return nil
}

func (o *outside) arrived() []outbox.Row {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]outbox.Row(nil), o.rows...)
}

func start(t *testing.T, cfg outbox.Config) (r *outbox.Relay, ended <-chan error, stop func()) {
	t.Helper()
	cfg.Shard, cfg.Log = shard, slog.New(slog.DiscardHandler)
	cfg.Pause.Least, cfg.Pause.Most = time.Millisecond, 4*time.Millisecond
	r, err := outbox.NewRelay(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(cancel)
	return r, done, cancel
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func backlog(t *testing.T, e store.Engine, max int) int {
	t.Helper()
	n, err := outbox.Backlog(t.Context(), e, shard, max)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRelay(t *testing.T) {
	e := storetest.Open(t)
	epoch := claim(t, e)
	owe(t, e, epoch, 0, 600)
	if n := backlog(t, e, 1000); n != 600 {
		t.Errorf("backlog %d, want 600", n)
	}
	if n := backlog(t, e, 10); n != 10 {
		t.Errorf("backlog %d, want no more than asked", n)
	}
	other, err := outbox.Pair(shard+1, 1, 0, row(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{other}}); err != nil {
		t.Fatal(err)
	}
	var o outside
	r, ended, stop := start(t, outbox.Config{Engine: e, Epoch: epoch, Publish: o.publish, Idle: time.Hour})
	until(t, "the backlog is gone", func() bool { return backlog(t, e, 1) == 0 })
	owe(t, e, epoch, 600, 620)
	r.Wake()
	until(t, "the new rows are gone", func() bool { return len(o.arrived()) >= 620 && backlog(t, e, 1) == 0 })
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	var want []outbox.Row
	for n := range 620 {
		want = append(want, row(n))
	}
	if diff := cmp.Diff(want, o.arrived()); diff != "" {
		t.Errorf("what arrived:\n%s", diff)
	}
	if o.most > 300 {
		t.Errorf("%d rows in one call", o.most)
	}
	if n, err := outbox.Backlog(t.Context(), e, shard+1, 10); err != nil || n != 1 {
		t.Errorf("another shard's rows: %d, %v", n, err)
	}
}

// TestRetries: failures of the broker and of the store, in both forms, repeat rows but lose none and never change the order of first
// arrivals.
func TestRetries(t *testing.T) {
	for _, form := range []storetest.Form{storetest.NotStored, storetest.StoredFailed} {
		e := storetest.Open(t)
		epoch := claim(t, e)
		owe(t, e, epoch, 0, 900)
		faulty := storetest.NewFaulty(e)
		for n := 2; n < 12; n += 3 {
			faulty.FailAt(n, form)
		}
		calls := 0
		o := outside{fail: func() bool { calls++; return calls%2 == 1 && calls < 12 }}
		_, ended, stop := start(t, outbox.Config{Engine: faulty, Epoch: epoch, Publish: o.publish, Idle: time.Millisecond})
		until(t, "the backlog is gone", func() bool { return backlog(t, e, 1) == 0 })
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		seen := make(map[string]bool)
		next := 0
		for _, r := range o.arrived() {
			if seen[r.ID] {
				continue
			}
			seen[r.ID] = true
			if r.ID != row(next).ID {
				t.Fatalf("form %d: %s arrives where %s should", form, r.ID, row(next).ID)
			}
			next++
		}
		if next != 900 {
			t.Errorf("form %d: %d of 900 arrived", form, next)
		}
	}
}

// TestFenced: a relay whose shard has a new owner stops and deletes nothing; after an idle time it does not even publish.
func TestFenced(t *testing.T) {
	e := storetest.Open(t)
	old := claim(t, e)
	epoch := claim(t, e)
	owe(t, e, epoch, 0, 5)
	var o outside
	_, ended, _ := start(t, outbox.Config{Engine: e, Epoch: old, Publish: o.publish})
	if err := <-ended; !errors.Is(err, store.ErrFenced) {
		t.Errorf("ended with %v", err)
	}
	if n := len(o.arrived()); n != 0 || backlog(t, e, 10) != 5 {
		t.Errorf("the zombie published %d rows, %d of 5 are left", n, backlog(t, e, 10))
	}

	// It loses the shard while it publishes.
	var stolen outside
	stolen.fail = func() bool { claim(t, e); return false }
	_, ended, _ = start(t, outbox.Config{Engine: e, Epoch: epoch, Publish: stolen.publish})
	if err := <-ended; !errors.Is(err, store.ErrFenced) {
		t.Errorf("ended with %v", err)
	}
	if n := backlog(t, e, 10); n != 5 {
		t.Errorf("%d of 5 rows are left to the new owner", n)
	}
}

func TestIncomplete(t *testing.T) {
	for _, r := range []outbox.Row{{Topic: "t"}, {ID: "i"}} {
		if _, err := outbox.Pair(0, 1, 0, r); err == nil {
			t.Errorf("%+v: taken", r)
		}
	}
	if _, err := outbox.NewRelay(outbox.Config{}); err == nil {
		t.Error("a relay without anything")
	}
}

// TestOffers: offered rows are published once and in order, behind those that only the store knows, and also when there are more of them than
// are kept in memory.
func TestOffers(t *testing.T) {
	e := storetest.Open(t)
	epoch := claim(t, e)
	offer := func(r *outbox.Relay, from, to int) {
		t.Helper()
		owe(t, e, epoch, from, to)
		var parcels []outbox.Parcel
		for n := from; n < to; n++ {
			p, err := outbox.Pair(shard, uint64(n/3), uint32(n%3), row(n))
			if err != nil {
				t.Fatal(err)
			}
			parcels = append(parcels, outbox.Parcel{Pair: p, Rows: []outbox.Row{row(n)}})
		}
		r.Offer(parcels)
	}
	owe(t, e, epoch, 0, 300) // of an earlier process: nobody offers them
	var o outside
	r, _, stop := start(t, outbox.Config{Engine: e, Epoch: epoch, Publish: o.publish, Idle: time.Hour})
	defer stop()
	at := 300
	for _, n := range []int{3, 9, 5001, 3, 300, 4096 + 2, 3} {
		offer(r, at, at+n)
		at += n
	}
	until(t, "all rows are published and gone", func() bool { return len(o.arrived()) >= at && backlog(t, e, 1) == 0 })
	for n, got := range o.arrived() {
		if got.ID != row(n).ID {
			t.Fatalf("row %d published is %s", n, got.ID)
		}
	}
}
