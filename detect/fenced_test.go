package detect_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"doorward/detect"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/store"
	"doorward/store/outbox"
)

// TestFencedInsideABatch: a shard that another owner claims while it evaluates stops, does not claim it back, and publishes nothing more.
func TestFencedInsideABatch(t *testing.T) {
	t.Parallel()
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	published := make(chan string, 100)
	c := lone(db, rulesOf(t, failing), func(_ context.Context, rows []outbox.Row) error {
		for _, r := range rows {
			published <- r.ID
		}
		return nil
	})
	inside, goOn := make(chan bool), make(chan bool)
	c.Evaluator.Place = func(*event.Event) geo.Place { inside <- true; <-goOn; return geo.Place{} }
	s := detect.NewShard(c)
	log := &topicLog{records: map[int][]detect.Record{}}
	failed(log, "1", mustTime(t, "2026-03-01T08:00:00Z"))
	ctx, stop := context.WithCancel(t.Context())
	ended, fed := make(chan error, 1), make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	go func() { fed <- s.Feed(ctx, &logSource{log: log, batch: 10}) }()
	<-inside
	epoch, err := db.Claim(t.Context(), 0, "another")
	if err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if err := <-ended; !errors.Is(err, store.ErrFenced) {
		t.Errorf("ended with %v", err)
	}
	stop()
	if err := <-fed; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(published) > 0 || countOf(t, db, store.Key(store.KindFinding)) > 0 {
		t.Error("a shard that is another's published or kept something")
	}
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: 0, Epoch: epoch}); err != nil {
		t.Errorf("the new owner's commit: %v", err)
	}
}

// hanging is an engine on which a shard's batches take until they are given up.
type hanging struct {
	store.Engine
	began chan bool
}

func (h *hanging) Commit(ctx context.Context, b *store.Batch) ([]uint64, error) {
	if b.Shard == store.NoShard || len(b.Put) == 0 || !bytes.Contains(pairKinds(b), []byte{store.KindFinding}) {
		return h.Engine.Commit(ctx, b)
	}
	h.began <- true
	<-ctx.Done()
	return nil, ctx.Err()
}

func pairKinds(b *store.Batch) (kinds []byte) {
	for _, p := range b.Put {
		kinds = append(kinds, p.Key[0])
	}
	return kinds
}

// TestRelayFencedFirst: when the relay is the first to meet the new owner, while a commit hangs, the shard stops all the same.
func TestRelayFencedFirst(t *testing.T) {
	t.Parallel()
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	h := &hanging{db, make(chan bool, 10)}
	s := detect.NewShard(lone(h, rulesOf(t, failing), publishNothing))
	log := &topicLog{records: map[int][]detect.Record{}}
	failed(log, "1", mustTime(t, "2026-03-01T08:00:00Z"))
	ctx, stop := context.WithCancel(t.Context())
	ended, fed := make(chan error, 1), make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	go func() { fed <- s.Feed(ctx, &logSource{log: log, batch: 10}) }()
	<-h.began
	row, err := outbox.Pair(0, 1, 0, outbox.Row{ID: "x", Topic: "t"})
	if err != nil {
		t.Fatal(err)
	}
	epoch, err := db.Claim(t.Context(), 0, "another")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: 0, Epoch: epoch, Put: []store.Pair{row}}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, store.ErrFenced) {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(15 * time.Second):
		t.Error("it goes on")
	}
	if _, err := db.Commit(t.Context(), &store.Batch{Shard: 0, Epoch: epoch}); err != nil {
		t.Errorf("the shard was taken back from its new owner: %v", err)
	}
	stop()
	<-fed
}

// TestStoreClosed: a store that is closed under the relay ends the shard with an error.
func TestStoreClosed(t *testing.T) {
	t.Parallel()
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	s := detect.NewShard(lone(db, rulesOf(t, failing), func(context.Context, []outbox.Row) error { return store.ErrClosed }))
	log := &topicLog{records: map[int][]detect.Record{}}
	failed(log, "1", mustTime(t, "2026-03-01T08:00:00Z"))
	ctx, stop := context.WithCancel(t.Context())
	ended, fed := make(chan error, 1), make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	go func() { fed <- s.Feed(ctx, &logSource{log: log, batch: 10}) }()
	if err := <-ended; !errors.Is(err, store.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
	stop()
	<-fed
}
