package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"doorward/store"
)

// Backlog counts the rows of a shard that wait, up to max.
func Backlog(ctx context.Context, engine store.Engine, shard, max int) (int, error) {
	from := store.Key(store.KindOutbox, store.Shard(shard))
	n := 0
	if max <= 0 {
		return 0, nil
	}
	var bad error
	err := engine.Scan(ctx, from, store.After(from), false, func(_, value []byte) bool {
		rows, err := count(value)
		if err != nil {
			bad = err
			return false
		}
		n += rows
		return n < max
	})
	if err := errors.Join(err, bad); err != nil {
		return 0, fmt.Errorf("counting the outbox of shard %d: %w", shard, err)
	}
	return min(n, max), nil
}

// Config says what a Relay publishes and how.
type Config struct {
	Engine store.Engine
	Shard  int
	Epoch  uint64 // as Claim returned it
	// Publish returns nil once the outside has acknowledged all rows, in their order. Any error is taken as transient: the same rows
	// are given again, so Publish may repeat some that went through. An error that wraps store.ErrFenced ends the relay.
	Publish func(context.Context, []Row) error
	// Acknowledged are records to store with the commit that deletes what was published; nil: none. What is not stored because that commit
	// fails need not be given again.
	Acknowledged func() []store.Pair
	Log          *slog.Logger // nil: slog.Default()
	// Pause bounds the wait after a failure, which doubles each time; zero values are 100 ms and 30 s.
	Pause struct{ Least, Most time.Duration }
	// Anyhow says that rows may be written before ones that were published already: many write them, by their clocks. Each look then begins
	// at the start; without it such a row would wait for the next process.
	Anyhow bool
	// Idle is how long to wait for Wake before looking anyway; zero is 1 s.
	Idle time.Duration
}

const (
	// atOnce bounds the rows of a parcel, and what is published at once besides the parcel that reaches it: with rows of a few KiB that is
	// about a Kafka request of 1 MiB.
	atOnce = 256
	// bytesAtOnce bounds their size in the same way, so that one call stays within what a broker takes.
	bytesAtOnce = 768 << 10
	// proofGood is how long a commit proves that the shard is still ours. After an idle time the relay asks before it publishes.
	proofGood = time.Second
)

// Relay publishes one shard's rows. It is used by one goroutine; Wake may be called by any.
type Relay struct {
	cfg    Config
	wake   chan struct{}
	next   []byte    // where the first row that may wait is
	proved time.Time // when the epoch was last seen to hold

	sweeper sweeper // deletes what has been published

	mu      sync.Mutex
	offered []Parcel  // committed since, in order; what is before next has been published
	room    int       // rows in them
	look    bool      // rows may wait that were not offered: the store is read
	begun   time.Time // when the commit began whose rows are offered next
	held    time.Time // the epoch held in a commit that began then
}

// maxOffered is how many rows are kept in memory for the relay; when it falls further behind it reads them from the store.
const maxOffered = 4096

// NewRelay checks the configuration.
func NewRelay(cfg Config) (*Relay, error) {
	if cfg.Engine == nil || cfg.Publish == nil || cfg.Epoch == 0 || cfg.Shard < 0 {
		return nil, errors.New("outbox: a relay needs an engine, a shard with its epoch, and where to publish")
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Pause.Least <= 0 {
		cfg.Pause.Least = 100 * time.Millisecond
	}
	if cfg.Pause.Most < cfg.Pause.Least {
		cfg.Pause.Most = max(30*time.Second, cfg.Pause.Least)
	}
	if cfg.Idle <= 0 {
		cfg.Idle = time.Second
	}
	return &Relay{cfg: cfg, wake: make(chan struct{}, 1), next: store.Key(store.KindOutbox, store.Shard(cfg.Shard)), look: true,
		sweeper: sweeper{swept: make(chan swept, 1)}}, nil
}

// Committing says that the commit of what will be offered next begins now: once it has gone well, the shard was ours until then.
func (r *Relay) Committing() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun = time.Now()
}

// Offer hands over the parcels of a commit, once they are in the store, so that they need not be read back: reading goes over the marks that
// deleted ones leave in the database, which costs more than everything else. Offers come in the order of their keys, from the shard's one
// writer; they belong to the relay.
func (r *Relay) Offer(parcels []Parcel) {
	if len(parcels) == 0 {
		return
	}
	rows := 0
	for i := range parcels {
		rows += len(parcels[i].Rows)
	}
	r.mu.Lock()
	r.held, r.begun = r.begun, time.Time{}
	if r.room+rows > maxOffered {
		r.offered, r.room, r.look = nil, 0, true
	} else {
		r.offered, r.room = append(r.offered, parcels...), r.room+rows
	}
	r.mu.Unlock()
	r.stir()
}

// Wake tells the relay that rows were committed by somebody who does not offer them.
func (r *Relay) Wake() {
	r.mu.Lock()
	r.look = true
	r.mu.Unlock()
	r.stir()
}

func (r *Relay) stir() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run publishes until ctx ends, whose error it returns, or until the shard has another owner: then the error wraps store.ErrFenced.
// Everything else is retried.
func (r *Relay) Run(ctx context.Context) error {
	defer r.finish(ctx)
	pause := r.cfg.Pause.Least
	for {
		n, err := r.step(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrFenced), errors.Is(err, store.ErrClosed):
			return fmt.Errorf("publishing the outbox of shard %d: %w", r.cfg.Shard, err)
		case err != nil:
			r.cfg.Log.Warn("publishing the outbox failed, trying again", "shard", r.cfg.Shard, "in", pause, "err", err)
			if _, err := r.wait(ctx, pause, nil); err != nil {
				return err
			}
			pause = min(2*pause, r.cfg.Pause.Most)
		case n == 0:
			pause = r.cfg.Pause.Least
			stirred, err := r.wait(ctx, r.cfg.Idle, r.wake)
			if err != nil {
				return err
			}
			if !stirred { // after an idle time the store is read all the same
				r.mu.Lock()
				r.look = true
				r.mu.Unlock()
			}
		default:
			pause = r.cfg.Pause.Least
		}
	}
}

// wait reports whether it was woken before the time was over.
func (r *Relay) wait(ctx context.Context, d time.Duration, wake <-chan struct{}) (woken bool, err error) {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return false, nil
		case <-wake:
			return true, nil
		case s := <-r.sweeper.swept:
			if err := r.sweptUp(s); err != nil {
				r.sweeper.failed = err // the next step says so
				return true, nil
			}
			r.sweep(ctx)
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// step publishes the next rows; they are deleted while those after them are published. A crash between the two publishes them again, under
// the same ids.
func (r *Relay) step(ctx context.Context) (int, error) {
	if err := r.lookAtSweep(ctx); err != nil {
		return 0, err
	}
	keys, rows, err := r.waiting(ctx)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	if time.Since(r.proved) > proofGood {
		if err := r.commit(ctx, nil); err != nil {
			return 0, err
		}
	}
	if err := r.cfg.Publish(ctx, rows); err != nil {
		return 0, fmt.Errorf("publishing %d rows: %w", len(rows), err)
	}
	if r.cfg.Anyhow { // the next look begins at the start
		return len(rows), r.commit(ctx, keys)
	}
	// Rows of a shard are written in the order of their keys, by itself: nothing will come before this. Starting here saves reading over the
	// marks that deleted keys leave in the database.
	r.next = append(bytes.Clone(keys[len(keys)-1]), 0)
	r.sweeper.published = append(r.sweeper.published, keys...)
	r.sweep(ctx)
	return len(rows), nil
}

func (r *Relay) commit(ctx context.Context, deletes [][]byte) error {
	begun := time.Now()
	if err := r.delete(ctx, deletes); err != nil {
		return err
	}
	r.proved = begun
	return nil
}

func (r *Relay) delete(ctx context.Context, keys [][]byte) error {
	b := &store.Batch{Shard: r.cfg.Shard, Epoch: r.cfg.Epoch, Delete: keys}
	if r.cfg.Acknowledged != nil && len(keys) > 0 {
		b.Put = r.cfg.Acknowledged()
	}
	_, err := r.cfg.Engine.Commit(ctx, b)
	if err != nil {
		return fmt.Errorf("deleting published rows: %w", err)
	}
	return nil
}

// waiting are the next rows to publish: from the store until it has no more that were not offered, then those that were.
func (r *Relay) waiting(ctx context.Context) (keys [][]byte, rows []Row, err error) {
	r.mu.Lock()
	look := r.look
	r.look = r.cfg.Anyhow // an offer that has to be dropped from here on sets it again
	r.mu.Unlock()
	if look {
		keys, rows, err = r.read(ctx)
		if err != nil || len(rows) > 0 {
			r.mu.Lock()
			r.look = true
			r.mu.Unlock()
			return keys, rows, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held.After(r.proved) {
		r.proved = r.held
	}
	for len(r.offered) > 0 && bytes.Compare(r.offered[0].Key, r.next) < 0 {
		r.room -= len(r.offered[0].Rows)
		r.offered = r.offered[1:]
	}
	size := 0
	for i := 0; i < len(r.offered) && len(rows) < atOnce && (i == 0 || size <= bytesAtOnce); i++ {
		keys, rows = append(keys, r.offered[i].Key), append(rows, r.offered[i].Rows...)
		size += len(r.offered[i].Value)
	}
	return keys, rows, nil
}

func (r *Relay) read(ctx context.Context) (keys [][]byte, rows []Row, err error) {
	var bad error
	size := 0
	end := store.After(store.Key(store.KindOutbox, store.Shard(r.cfg.Shard)))
	err = r.cfg.Engine.Scan(ctx, r.next, end, false, func(key, value []byte) bool {
		if size += len(value); size > bytesAtOnce && len(rows) > 0 {
			return false
		}
		some, err := Unpack(value)
		if err != nil {
			bad = fmt.Errorf("record %x: %w", key, err)
			return false
		}
		keys, rows = append(keys, bytes.Clone(key)), append(rows, some...)
		return len(rows) < atOnce
	})
	if err := errors.Join(err, bad); err != nil {
		return nil, nil, fmt.Errorf("reading the outbox: %w", err)
	}
	return keys, rows, nil
}
