package detect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"doorward/rules/event"
	"doorward/store"
	"doorward/store/outbox"
)

// ShardConfig is what a Shard is made with.
type ShardConfig struct {
	Evaluator  EvaluatorConfig // without Accounts and Cases: the shard reads them from the store
	Store      store.Engine
	Owner      string // who claims, for people
	Pace       *Pace
	DeadLetter func(rec Record, code, problem string) Message
	Publish    func(context.Context, []outbox.Row) error // sends rows of the outbox; any error but store.ErrFenced is tried again
	Answer     func(Decision)                            // called after the commit for every event; fast

	// Before is waited for once the memory is loaded, and before anything is taken in, applied or published: the cross-check of the store
	// with what was published. Acknowledged are records to store when what was published is acknowledged: Marks.Pairs. Both may be nil.
	Before       func(context.Context) error
	Acknowledged func() []store.Pair

	Checkpoint int // bytes of deltas after which the memory is written anew; 0: as checkpoint.go says
	Log        *slog.Logger
	Now        func() time.Time // for the age of acts' garbage and for latency; never for what decides
}

// Shard is one partition's worker: the only writer of its windows and of its accounts' states. Run is its one goroutine; everything
// else talks to it by channels.
type Shard struct {
	// fixed
	config ShardConfig
	n      int

	// owned by Run
	evaluator  *Evaluator
	epoch      uint64
	progress   progress
	checkpoint checkpoint
	taken      taken // what the shard's log will say of the running batch
	relay      *outbox.Relay
	parcels    []outbox.Parcel // of the rows in the running commit

	// room that is used again: of decoding a batch, and of its delta
	decoder event.Decoder
	items   []item
	events  []*event.Event
	delta   []byte

	// what ended in a panic (panic.go); it outlives the memory that is thrown away then
	failed map[recordAt]*event.Error
	alone  int // so many records are looked ahead at one by one, to find which it is

	// from others to Run
	feed  chan delivery
	ask   chan chan<- resume
	sizes chan chan<- Sizes
	wakes chan struct{}
	quiet atomic.Bool // the source had nothing more when it was last asked

	owed      atomic.Int64 // rows of the outbox that wait, roughly: Run adds, the relay takes away
	deadWaits atomic.Bool  // a dead letter is among the rows that the relay can't publish

	// from Run to others
	mu     sync.Mutex
	status Status
}

// Status is how a shard is, for readiness, metrics and people.
type Status struct {
	Shard   int
	Loaded  bool   // the memory is whole and acts are applied
	Fed     bool   // a source is attached
	Problem string // why it stands still; empty: it does not

	Unpublished string // why what it owes can't be published now; empty: it can

	Sequence  uint64
	Epoch     uint64
	Positions []Position
	Arrival   time.Time // of the newest record taken in
	Counts    Counts
	Commits   uint64
	Evicted   uint64        // records of windows that have left for want of room since the shard was loaded
	Delay     time.Duration // from the arrival of the last batch's newest record to its commit
}

// delivery is a batch of records on its way from Feed to Run.
type delivery struct {
	records    []Record
	generation uint64
	done       chan<- error
}

// resume is where a source has to start, and the generation of the memory that says so.
type resume struct {
	positions  []Position
	generation uint64
}

// errReloaded tells Feed that the shard has dropped its memory: read again from where the store says.
var errReloaded = errors.New("the shard has loaded again")

// NewShard makes a shard; nothing happens before Run.
func NewShard(c ShardConfig) *Shard {
	s := &Shard{config: c, n: c.Evaluator.Shard, feed: make(chan delivery), ask: make(chan chan<- resume), sizes: make(chan chan<- Sizes), wakes: make(chan struct{}, 1)}
	c.Evaluator.Accounts, c.Evaluator.Cases, c.Evaluator.Found = s.readAccounts, s.readCase, s.readFound
	s.evaluator = NewEvaluator(c.Evaluator)
	s.status.Shard = s.n
	return s
}

// Wake says that an act is waiting in the shard's inbox.
func (s *Shard) Wake() {
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

// Status is a snapshot.
func (s *Shard) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Shard) say(change func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

// Run claims the shard, loads its memory and takes in records and acts until ctx ends or another process claims it. After a commit that
// failed it drops its memory and loads again: nothing it evaluated since was visible to anybody.
func (s *Shard) Run(ctx context.Context) error {
	for pause := reloadPause; ; pause = min(2*pause, maxReloadPause) {
		err := s.config.Pace.load(ctx, s.load)
		if err == nil && s.config.Before != nil {
			err = s.config.Before(ctx)
		}
		if err == nil {
			pause = reloadPause
			err = s.publishing(ctx, s.serve)
		}
		s.say(func(st *Status) { st.Loaded = false })
		s.config.Pace.leave(s.n)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, store.ErrFenced), errors.Is(err, errNotOurs), errors.Is(err, store.ErrBroken), errors.Is(err, store.ErrClosed):
			s.say(func(st *Status) { st.Problem = err.Error() })
			return fmt.Errorf("shard %d: %w", s.n, err)
		}
		if s.Status().Problem != err.Error() { // said once, not every five seconds of a full disk
			s.config.Log.Error("shard loads again", "shard", s.n, "problem", err)
		}
		s.say(func(st *Status) { st.Problem = err.Error() })
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// relayIdle is how long the relay of a quiet shard waits before it reads the store all the same: it is offered every row, so this only
// notices another owner.
const relayIdle = 5 * time.Second

const (
	reloadPause    = 100 * time.Millisecond
	maxReloadPause = 5 * time.Second
	idleAfter      = time.Second // how long without records until a shard's slices close by the others' clocks
)

// serve is the loop: records, acts and idle moments, one at a time. It returns an error when the memory can't be trusted any more.
func (s *Shard) serve(ctx context.Context) error {
	tick := time.NewTicker(idleAfter)
	defer tick.Stop()
	if err := s.applyInbox(ctx); err != nil { // acts may have waited for us; those that take over what was published come before any record
		return err
	}
	held := false
	for {
		var err error
		feed := s.feed
		if now := s.held(); now != held {
			held = now
			s.sayHeld(held)
		}
		if held {
			feed = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case to := <-s.ask:
			to <- resume{slices.Clone(s.progress.Positions), s.progress.Generation}
		case to := <-s.sizes:
			to <- s.measure()
		case <-s.wakes:
			err = s.applyInbox(ctx)
		case d := <-feed:
			if d.generation != s.progress.Generation {
				d.done <- errReloaded
				continue
			}
			if err = s.take(ctx, d.records); err != nil {
				d.done <- errReloaded
			} else {
				d.done <- nil
			}
		case <-tick.C:
			err = s.idle(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// Feed attaches a source until ctx ends: it opens it where the store says and hands its records to Run, one batch at a time.
func (s *Shard) Feed(ctx context.Context, src Source) error {
	defer s.say(func(st *Status) { st.Fed = false })
	defer s.quiet.Store(false)
	for {
		at, err := s.resume(ctx)
		if err != nil {
			return err
		}
		if err := src.Open(ctx, at.positions); err != nil {
			s.say(func(st *Status) { st.Problem = err.Error() })
			return fmt.Errorf("shard %d: %w", s.n, err)
		}
		s.say(func(st *Status) { st.Fed, st.Problem = true, "" })
		if err := s.pump(ctx, src, at.generation); !errors.Is(err, errReloaded) {
			return err
		}
	}
}

// pump hands batches over until the source or the shard has enough.
func (s *Shard) pump(ctx context.Context, src Source, generation uint64) error {
	for {
		records, err := src.Fetch(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			s.say(func(st *Status) { st.Problem = err.Error() })
			return fmt.Errorf("shard %d: %w", s.n, err)
		}
		s.quiet.Store(len(records) == 0)
		if len(records) == 0 {
			continue
		}
		done := make(chan error, 1)
		select {
		case <-ctx.Done():
			return nil
		case s.feed <- delivery{records, generation, done}:
		}
		if err := <-done; err != nil { // Run answers every delivery it has taken
			return err
		}
	}
}

// resume asks Run where to start; it waits while the memory is being loaded.
func (s *Shard) resume(ctx context.Context) (resume, error) {
	to := make(chan resume, 1)
	select {
	case <-ctx.Done():
		return resume{}, nil
	case s.ask <- to:
		return <-to, nil
	}
}
