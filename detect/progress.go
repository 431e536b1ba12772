package detect

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"doorward/auth"
	"doorward/detect/cases"
	"doorward/rules/window"
	"doorward/store"
	"doorward/store/outbox"
)

// progress is what a shard has taken in, stored with every commit at store.KindProgress, shard. Names are added, never changed.
type progress struct {
	Sequence  uint64     `json:"sequence"`
	Positions []Position `json:"positions"`
	Clock     time.Time  `json:"clock,omitzero"`  // the running maximum of arrival
	Inbox     uint64     `json:"inbox"`           // position of the newest act applied
	Rules     string     `json:"rules"`           // fingerprint of the rule set in force
	Layout    string     `json:"layout"`          // of the windows that deltas hold
	Terms     string     `json:"terms,omitempty"` // fingerprint of what else decides
	Turn      uint64     `json:"turn,omitempty"`  // of the newest line of the log

	Checkpoint uint64 `json:"checkpoint"` // the sequence at which the newest whole checkpoint began: deltas after it complete it; 0: none

	Generation uint64 `json:"-"` // counts loads of the memory in this process
}

var errNotOurs = errors.New("the stored memory of this shard does not fit this program; a newer version wrote it, or it is damaged")

func (s *Shard) progressKey(parts ...any) []byte {
	return store.Key(store.KindProgress, append([]any{store.Shard(s.n)}, parts...)...)
}

// layoutID names a layout by its content.
func layoutID(l *window.Layout) string {
	h := fnv.New64a()
	h.Write(l.Marshal())
	return hex.EncodeToString(h.Sum(nil))
}

// A delta is the windows and the identities that a commit changed, in pieces of at most pieceSize; a page is a piece of a checkpoint. Both
// begin with what they hold and the id of the layout they were written under.
const (
	pieceSize    = 512 << 10
	pieceWindows = 'w'
	pieceSeen    = 's'
	layoutIDSize = 16
)

func piece(kind byte, layout string, content []byte) []byte {
	return append(append([]byte{kind}, layout...), content...)
}

// load claims the shard and brings its memory back: the newest whole checkpoint, then every delta after it began.
func (s *Shard) load(ctx context.Context) error {
	epoch, err := s.config.Store.Claim(ctx, s.n, s.config.Owner)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	s.relay, err = outbox.NewRelay(outbox.Config{Engine: s.config.Store, Shard: s.n, Epoch: epoch, Log: s.config.Log, Publish: s.publish,
		Acknowledged: s.config.Acknowledged, Idle: relayIdle})
	if err != nil {
		return fmt.Errorf("make the relay: %w", err)
	}
	generation := s.progress.Generation + 1
	s.epoch, s.progress, s.taken, s.checkpoint, s.parcels = epoch, progress{}, taken{}, checkpoint{}, nil
	v := s.evaluator
	v.forget()
	b, err := s.config.Store.Get(ctx, s.progressKey())
	if err != nil {
		return fmt.Errorf("read progress: %w", err)
	}
	if b[0] != nil {
		if err := json.Unmarshal(b[0], &s.progress); err != nil {
			return fmt.Errorf("read progress: %w: %w", errNotOurs, err)
		}
		if err := s.restore(ctx); err != nil {
			return err
		}
	}
	s.progress.Generation = generation
	if err := s.takeTurnsAfter(ctx); err != nil {
		return err
	}
	if err := s.findUseless(); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	s.config.Pace.committed(s.n, v.memory.Closed(), unixOf(v.memory.Clock()))
	s.say(func(st *Status) {
		st.Loaded, st.Problem, st.Epoch, st.Sequence, st.Positions = true, "", epoch, s.progress.Sequence, slices.Clone(s.progress.Positions)
	})
	return nil
}

func unixOf(t time.Time) int64 {
	if t.IsZero() {
		return noSlice
	}
	return t.Unix()
}

// restore reads pages and deltas into the empty memory.
func (s *Shard) restore(ctx context.Context) error {
	v := s.evaluator
	begun, err := s.readBegun(ctx)
	if err != nil {
		return err
	}
	r := restoring{shard: s, ctx: ctx, layouts: map[string]*window.Layout{}, begun: begun, seen: seenLoad{kept: v.seen.kept}}
	pages := store.Key(store.KindCheckpoint, store.Shard(s.n), s.progress.Checkpoint)
	deltas := store.Key(store.KindDelta, store.Shard(s.n))
	for _, part := range []struct{ from, to []byte }{
		{pages, store.After(pages)},
		{store.Key(store.KindDelta, store.Shard(s.n), s.progress.Checkpoint+1), store.After(deltas)},
	} {
		if err := s.config.Store.Scan(ctx, part.from, part.to, false, r.piece); err != nil {
			return fmt.Errorf("read checkpoint: %w", err)
		}
		if r.err != nil {
			return fmt.Errorf("read checkpoint: %w", r.err)
		}
		if err := r.flush(); err != nil {
			return fmt.Errorf("read checkpoint: %w", err)
		}
	}
	r.seen.into(v.seen)
	v.sequence = s.progress.Sequence
	if !s.progress.Clock.IsZero() {
		v.memory.SetClock(s.progress.Clock)
	}
	return nil
}

// restoring gathers pieces: those of one delta belong together.
type restoring struct {
	shard   *Shard
	ctx     context.Context
	layouts map[string]*window.Layout
	begun   begun
	seen    seenLoad
	content []byte // of the windows of the pieces gathered
	layout  string
	of      string // the key without its piece number
	err     error
}

// pieceNumberSize is the number of a piece or page at the end of its key.
const pieceNumberSize = 4

// sequenceAt is where the sequence of a piece or page begins in its key: behind kind and shard.
const sequenceAt = 3

func (r *restoring) piece(key, value []byte) bool {
	if len(value) < 1+layoutIDSize || len(key) != sequenceAt+8+pieceNumberSize {
		r.err = errNotOurs
		return false
	}
	if key[0] == store.KindDelta {
		r.shard.checkpoint.since += len(value)
	} else {
		r.shard.checkpoint.last += len(value)
	}
	kind, layout, content := value[0], string(value[1:1+layoutIDSize]), value[1+layoutIDSize:]
	if of := string(key[:len(key)-pieceNumberSize]); of != r.of || key[0] == store.KindCheckpoint || layout != r.layout {
		if r.err = r.flush(); r.err != nil {
			return false
		}
		r.of, r.layout = of, layout
	}
	switch kind {
	case pieceWindows:
		r.content = append(r.content, content...)
	case pieceSeen:
		r.err = r.seen.take(content)
	default:
		r.err = errNotOurs
	}
	return r.err == nil
}

func (r *restoring) flush() error {
	if len(r.content) == 0 {
		return nil
	}
	l := r.layouts[r.layout]
	if l == nil {
		b, err := r.shard.config.Store.Get(r.ctx, r.shard.progressKey("layout", r.layout))
		if err != nil {
			return err
		}
		if b[0] == nil {
			return fmt.Errorf("layout %s: %w", r.layout, errNotOurs)
		}
		if l, err = window.UnmarshalLayout(b[0]); err != nil {
			return fmt.Errorf("layout %s: %w: %w", r.layout, errNotOurs, err)
		}
		r.layouts[r.layout] = l
	}
	err := r.shard.evaluator.memory.Restore(r.content, l.Without(r.begun.after(binary.BigEndian.Uint64([]byte(r.of)[sequenceAt:]))))
	r.content = r.content[:0]
	return err
}

// readAccounts reads records of accounts, nil for those nobody has seen.
func (s *Shard) readAccounts(ids []auth.AccountID) ([]*auth.Account, error) {
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = store.Key(store.KindAccount, string(id))
	}
	values, err := s.config.Store.Get(context.Background(), keys...)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	records := make([]*auth.Account, len(ids))
	for i, b := range values {
		if b == nil {
			continue
		}
		records[i] = new(auth.Account)
		if err := json.Unmarshal(b, records[i]); err != nil {
			return nil, fmt.Errorf("read account: %w", err)
		}
	}
	return records, nil
}

// readFound says which findings are in the store.
func (s *Shard) readFound(ids []string) ([]bool, error) {
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = store.Key(store.KindFinding, id)
	}
	values, err := s.config.Store.Get(context.Background(), keys...)
	if err != nil {
		return nil, fmt.Errorf("look for findings: %w", err)
	}
	found := make([]bool, len(ids))
	for i, b := range values {
		found[i] = b != nil
	}
	return found, nil
}

func (s *Shard) readCase(id string) (cases.Case, bool, error) {
	return cases.Load(context.Background(), s.config.Store, id)
}

// knownFrom are the windows that were added to a rule set later: canonical text -> since when (DESIGN, "A changed rule set").
type knownFrom map[string]time.Time

// prepare makes the memory ready for the rule set in force: a first one is known from the start, a changed one is logged, and its new
// windows are unknown until they are older than their span.
func (s *Shard) prepare(ctx context.Context) error {
	v := s.evaluator
	l := v.config.Rules.Layout()
	id := layoutID(l)
	s.checkpoint.recordBytes = 0
	for _, k := range window.Keys {
		s.checkpoint.recordBytes += l.RecordSize(k)
	}
	known := knownFrom{}
	b, err := s.config.Store.Get(ctx, s.progressKey("known"), s.progressKey("layout", s.progress.Layout))
	if err != nil {
		return fmt.Errorf("read windows' ages: %w", err)
	}
	if b[0] != nil {
		if err := json.Unmarshal(b[0], &known); err != nil {
			return fmt.Errorf("read windows' ages: %w: %w", errNotOurs, err)
		}
	}
	changed := s.progress.Rules != v.config.Rules.Fingerprint()
	if changed && s.progress.Rules != "" && b[1] != nil {
		old, err := window.UnmarshalLayout(b[1])
		if err != nil {
			return fmt.Errorf("read layout: %w: %w", errNotOurs, err)
		}
		known.changed(old, l, s.progress.Clock)
	}
	known.tell(v.memory)
	if terms := v.terms(); !changed && id == s.progress.Layout && terms.id() == s.progress.Terms {
		return nil
	}
	return s.changeRules(ctx, l, id, known)
}

// changeRules commits a rule set: the layout its deltas are written under, the ages of new windows, the line of the shard's log.
func (s *Shard) changeRules(ctx context.Context, l *window.Layout, id string, known knownFrom) error {
	v := s.evaluator
	s.begin()
	v.sequence++
	terms := v.terms()
	s.taken.Rules, s.taken.Terms = v.config.Rules.Fingerprint(), terms.id()
	if s.progress.Rules != "" && s.progress.Rules != s.taken.Rules {
		v.owed.entries = append(v.owed.entries, s.rulesChanged(s.progress.Rules, s.taken.Rules))
	}
	ages, err := json.Marshal(known)
	if err != nil {
		return fmt.Errorf("encode windows' ages: %w", err)
	}
	begun, err := s.readBegun(ctx)
	if err != nil {
		return err
	}
	stored, err := ruleSetPairs(v.config.Rules)
	if err != nil {
		return err
	}
	v.owed.put = append(append(v.owed.put, stored...), store.Pair{Key: s.progressKey("layout", id), Value: l.Marshal()},
		store.Pair{Key: s.progressKey("known"), Value: ages}, store.Pair{Key: s.progressKey("begun"), Value: begun.encode()},
		store.Pair{Key: s.progressKey("terms", terms.id()), Value: terms.encode()})
	s.progress.Rules, s.progress.Layout, s.progress.Terms = s.taken.Rules, id, s.taken.Terms
	return s.commit(ctx)
}

func pieceKey(kind byte, shard int, of uint64, n uint32) []byte {
	return binary.BigEndian.AppendUint32(store.Key(kind, store.Shard(shard), of), n)
}
