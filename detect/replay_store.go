package detect

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"doorward/auth"
	"doorward/detect/cases"
	"doorward/rules"
	"doorward/rules/event"
	"doorward/rules/geo"
	"doorward/rules/window"
	"doorward/store"
)

// FollowConfig is what a Follower is made with.
type FollowConfig struct {
	Store   store.Engine // read only; nobody may write to it meanwhile
	Shards  int          // as the store was cut to
	HashKey [16]byte     // the installation's: ids that collide must collide again
	// Records reads again what a shard took from a topic: every record that is left from one offset to another, both included. The records
	// are good until the next call.
	Records func(ctx context.Context, shard int, topic string, from, to int64) ([]Record, error)
	Place   func(*event.Event) geo.Place // where events came from, by this program's databases
	Geo     []string                     // which those are
	Program string                       // this program's version
	Swept   time.Time                    // findings older than this may have left the store
	Found   func(*Finding) error         // called with each finding, in the order of the log; nil: nobody wants them
}

// Follower evaluates what a store's shards took in once more, as their logs tell, in empty memory, and compares what comes of it with what
// the store holds: every finding and every account's record, byte for byte.
//
// It needs the logs from their first lines on. Of what was swept, or was put in from files (backfill), nobody can say any more what came of
// it: Follow says so and compares nothing then.
type Follower struct {
	config  FollowConfig
	board   *window.Board
	shards  []*followed
	sets    map[string]*rules.Set
	cases   map[string]cases.Case
	compare comparison
	notes   []string
}

// followed is a shard on its way through its log.
type followed struct {
	n       int
	log     *logReader
	head    *logLine // the next line; nil: the end
	v       *Evaluator
	decoder event.Decoder
	event   event.Event // its texts lie in the record
	room    []byte
	known   knownFrom
	rules   string          // fingerprint of the set in force
	heard   map[string]bool // findings that were there already, of the line in hand
	last    uint64          // sequence of the last input
}

// NewFollower makes a follower. It has read nothing yet.
func NewFollower(c FollowConfig) *Follower {
	f := &Follower{config: c, board: window.NewBoard(c.Shards), sets: map[string]*rules.Set{}, cases: map[string]cases.Case{}}
	f.compare = comparison{engine: c.Store, swept: c.Swept, same: map[string]bool{}, differ: map[string][]Difference{}}
	for n := range c.Shards {
		f.shards = append(f.shards, &followed{n: n, log: newLogReader(c.Store, n), known: knownFrom{}})
	}
	return f
}

// IncompleteError says that a store can't be replayed: something that decided is not there any more.
type IncompleteError struct {
	Shard    int
	Sequence uint64 // of the input
	Problem  string
	Err      error // may be nil
}

func (e *IncompleteError) Error() string {
	s := fmt.Sprintf("shard %d, sequence %d: %s", e.Shard, e.Sequence, e.Problem)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *IncompleteError) Unwrap() error { return e.Err }

// Follow evaluates the whole log and says what came of it. *IncompleteError: it can't, and nothing is compared. Followed is what was seen
// until then.
func (f *Follower) Follow(ctx context.Context) (Followed, error) {
	for _, s := range f.shards {
		if err := s.advance(ctx); err != nil {
			return f.followed(), err
		}
	}
	for {
		s := f.next()
		if s == nil {
			break
		}
		if err := f.line(ctx, s); err != nil {
			return f.followed(), err
		}
		if err := s.advance(ctx); err != nil {
			return f.followed(), err
		}
	}
	err := f.atEnd(ctx)
	return f.followed(), err
}

// next is the shard whose line was taken in first of those that are left.
func (f *Follower) next() (first *followed) {
	for _, s := range f.shards {
		if s.head != nil && (first == nil || s.head.Turn < first.head.Turn) {
			first = s
		}
	}
	return first
}

// advance reads the shard's next line and holds it to the one before.
func (s *followed) advance(ctx context.Context) (err error) {
	if s.head, err = s.log.line(ctx); err != nil || s.head == nil {
		return err
	}
	l := s.head
	bad := func(problem string) error { return &IncompleteError{s.n, s.last + 1, problem, nil} }
	switch {
	case l.First == s.last+1:
	case s.last == 0:
		return bad(fmt.Sprintf("its log begins at sequence %d: what came before was swept with the findings of its time, and with it what this shard's memory was made of", l.First))
	default:
		return bad(fmt.Sprintf("the log goes on at sequence %d: the lines between are missing", l.First))
	}
	switch {
	case l.Turn == 0:
		return bad("the log was written by a version that did not note in which order the shards took in")
	case l.History > 0:
		return bad(fmt.Sprintf("%d events of history were put in from files, which no log holds", l.History))
	case len(l.Acts) != len(l.inputs):
		return bad(fmt.Sprintf("%d acts were applied and %d of them are in the log", len(l.Acts), len(l.inputs)))
	case s.v == nil && l.Rules == "":
		return bad("the log does not say which rules were in force")
	}
	return nil
}

// line takes in again what a line names.
func (f *Follower) line(ctx context.Context, s *followed) error {
	l := s.head
	if l.Rules != "" {
		if err := f.change(ctx, s); err != nil {
			return err
		}
	}
	if err := f.read(s); err != nil {
		return err
	}
	s.heard = map[string]bool{}
	for _, id := range l.Found {
		s.heard[id] = true
	}
	var err error
	switch {
	case len(l.Acts) > 0:
		err = s.applyAll()
	case len(l.Ranges) > 0:
		err = f.records(ctx, s)
	case l.Advance != 0:
		s.v.sequence++
		s.v.memory.Advance(time.Unix(l.Advance, 0).UTC())
	}
	if err != nil {
		return err
	}
	if s.v.sequence != l.Last {
		return &IncompleteError{s.n, l.First, fmt.Sprintf("the log names %d inputs, and %d are left of them", l.Last+1-l.First, s.v.sequence+1-l.First), nil}
	}
	if at := s.v.memory.Clock(); !at.Equal(l.At) && !at.IsZero() {
		return &IncompleteError{s.n, l.First, fmt.Sprintf("the shard's clock stood at %s and now comes to %s: these are other records",
			l.At.Format(time.RFC3339Nano), at.Format(time.RFC3339Nano)), nil}
	}
	s.last = l.Last
	return f.settle(ctx, s)
}

// read lets the shard see the others as of the slices that it saw.
func (f *Follower) read(s *followed) error {
	asOf := s.head.AsOf
	for i, slice := range asOf {
		if i == s.n || slice == noSlice {
			continue
		}
		if i >= len(f.shards) || f.shards[i].v == nil || f.shards[i].v.memory.Closed() < slice {
			return &IncompleteError{s.n, s.head.First, fmt.Sprintf("it read slice %d of shard %d, which that shard's log has not closed by then", slice, i), nil}
		}
	}
	s.v.memory.Read(asOf)
	return nil
}

// records takes in again the records that a line names.
func (f *Follower) records(ctx context.Context, s *followed) error {
	elsewhere := map[uint64]bool{}
	for _, o := range s.head.Foreign {
		elsewhere[o.Sequence] = true
	}
	for _, r := range s.head.Ranges {
		records, err := f.config.Records(ctx, s.n, r.Topic, r.From, r.To)
		if err != nil {
			return &IncompleteError{s.n, s.v.sequence + 1, fmt.Sprintf("offsets %d to %d of topic %s", r.From, r.To, r.Topic), err}
		}
		if !s.head.Ceiling.IsZero() {
			capArrivals(records, s.head.Ceiling)
		}
		for i := range records {
			if err := s.record(&records[i], elsewhere); err != nil {
				return err
			}
		}
	}
	return nil
}

// record takes in one record again. One that can't be decoded, that the program failed at, or whose account lives elsewhere, went to the
// dead letters: it took a sequence and changed nothing here.
func (s *followed) record(r *Record, elsewhere map[uint64]bool) error {
	if slices.Contains(s.head.Failed, s.v.sequence+1) { // decoding it may be what failed
		s.v.sequence++
		s.v.counts.Dead++
		return nil
	}
	if bad := s.decoder.Record(&s.event, r.Key, r.Value, event.Headers(r.Headers), r.Time); bad != nil || elsewhere[s.v.sequence+1] {
		s.v.sequence++
		s.v.counts.Dead++
		return nil
	}
	_, err := s.v.Handle(&s.event)
	return err
}

// applyAll applies the acts of the line again.
func (s *followed) applyAll() error {
	for _, b := range s.head.inputs {
		act, err := auth.DecodeAct(b)
		if err != nil {
			return fmt.Errorf("read an act of shard %d: %w", s.n, err)
		}
		if slices.ContainsFunc(s.head.Foreign, func(o foreign) bool { return o.Sequence == s.v.sequence+1 }) {
			s.v.sequence++ // it was refused: the account lives elsewhere
			continue
		}
		if err := s.v.Apply(act); err != nil {
			return err
		}
	}
	return nil
}

// change puts a rule set, and the terms, in force. What is remembered goes on in the new layout, as it does when a shard loads.
func (f *Follower) change(ctx context.Context, s *followed) error {
	l := s.head
	set, err := f.set(ctx, l.Rules)
	if err != nil {
		return &IncompleteError{s.n, l.First, "the rules in force from there on", err}
	}
	t, err := f.terms(ctx, s.n, l.Terms)
	if err != nil {
		return &IncompleteError{s.n, l.First, "the terms in force from there on", err}
	}
	if s.v == nil {
		s.v = NewEvaluator(EvaluatorConfig{Shard: s.n, Rules: set, Place: f.config.Place, Board: f.board, HashKey: f.config.HashKey, Budget: t.Budget,
			Reports: t.Reports, Probation: t.Probation, Accounts: nothingStored, Cases: f.caseOf, Found: s.found, repeats: t.Repeats, keepAll: true})
	}
	c := &s.v.config
	if t.Budget != c.Budget || t.Repeats != c.repeats {
		return &IncompleteError{s.n, l.First, "how much is remembered changed there, and this program can't follow that", nil}
	}
	c.Probation, c.Reports = t.Probation, t.Reports
	if s.rules != "" && s.rules != l.Rules {
		before, clock := s.v.memory.Layout(), s.v.memory.Clock()
		if s.v.memory, err = s.v.memory.Relaid(set.Layout()); err != nil {
			return fmt.Errorf("change the rules of shard %d: %w", s.n, err)
		}
		s.known.changed(before, set.Layout(), clock)
		s.known.tell(s.v.memory)
	}
	c.Rules, s.rules = set, l.Rules
	s.v.sequence++
	return nil
}

func (f *Follower) set(ctx context.Context, fingerprint string) (*rules.Set, error) {
	if set := f.sets[fingerprint]; set != nil {
		return set, nil
	}
	set, err := loadRuleSet(ctx, f.config.Store, fingerprint)
	f.sets[fingerprint] = set
	return set, err
}

// terms reads what was in force and notes what is not so here.
func (f *Follower) terms(ctx context.Context, shard int, id string) (t terms, err error) {
	b, err := f.config.Store.Get(ctx, store.Key(store.KindProgress, store.Shard(shard), "terms", id))
	if err != nil {
		return t, err
	}
	if b[0] == nil {
		return t, fmt.Errorf("terms %s are not in the store", id)
	}
	if err := json.Unmarshal(b[0], &t); err != nil {
		return t, fmt.Errorf("terms %s: %w: %w", id, errNotOurs, err)
	}
	if t.Program != f.config.Program {
		f.note("version %q took in some of it, and this is %q: what evaluates otherwise is no fault of the store", t.Program, f.config.Program)
	}
	if !slices.Equal(t.Geo, f.config.Geo) {
		f.note("places were looked up in %q, and here in %q: rules about countries, cities and speed may find otherwise", t.Geo, f.config.Geo)
	}
	return t, nil
}

func (f *Follower) note(format string, args ...any) {
	if n := fmt.Sprintf(format, args...); !slices.Contains(f.notes, n) {
		f.notes = append(f.notes, n)
	}
}

func (f *Follower) caseOf(id string) (cases.Case, bool, error) {
	c, ok := f.cases[id]
	return c, ok, nil
}

// found says which findings there were already, as the shard was told.
func (s *followed) found(ids []string) ([]bool, error) {
	found := make([]bool, len(ids))
	for i, id := range ids {
		found[i] = s.heard[id]
	}
	return found, nil
}

// settle takes what the line came to.
func (f *Follower) settle(ctx context.Context, s *followed) error {
	owed := s.v.owed
	if owed.err != nil {
		return owed.err
	}
	for id, c := range owed.cases {
		f.cases[id] = c.after
	}
	s.v.owed = effects{}
	s.v.seen.fresh = s.v.seen.fresh[:0]
	s.room = s.v.memory.Dirty(s.room[:0]) // notes of what changed pile up until somebody takes them
	s.v.accounts.committed()
	for i := range owed.findings {
		if f.config.Found != nil {
			if err := f.config.Found(&owed.findings[i]); err != nil {
				return err
			}
		}
		if err := f.compare.finding(ctx, &owed.findings[i]); err != nil {
			return err
		}
	}
	return nil
}
