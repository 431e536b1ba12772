package detect

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"doorward/auth"
	"doorward/detect/cases"
	"doorward/store"
	"doorward/store/journal"
	"doorward/store/outbox"
)

// commit puts everything since begin into the store in one transaction: the windows' delta, where the shard stands, the accounts, what
// was found, the journal's entries and what is owed to the world. A crash before it: nothing of the batch has happened, its records are
// read again. A crash after it: all of it has happened, and the outbox goes on publishing. An error: nobody knows which of the two, so
// the caller drops the memory and loads what the store says.
func (s *Shard) commit(ctx context.Context) error {
	v := s.evaluator
	if v.owed.err != nil {
		return v.owed.err
	}
	s.taken.Last, s.taken.At = v.sequence, v.memory.Clock()
	s.progress.Sequence, s.progress.Clock = v.sequence, v.memory.Clock()
	b := &store.Batch{Shard: s.n, Epoch: s.epoch, Put: v.owed.put}
	stored := s.putPages(b, s.putDelta(b))
	for _, put := range []func(*store.Batch) error{s.putProgress, s.putAccounts, s.putFindings, s.putCases, s.putRows, s.putOutcomes, s.putEntries} {
		if err := put(b); err != nil {
			return err
		}
	}
	s.relay.Committing()
	if _, err := s.config.Store.Commit(ctx, b); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := stored(); err != nil {
		return err
	}
	s.owed.Add(int64(len(v.owed.rows)))
	s.relay.Offer(s.parcels)
	s.parcels = nil
	s.committed()
	return nil
}

// committed forgets what is in the store now and tells those who wait.
func (s *Shard) committed() {
	v := s.evaluator
	answers := v.owed.answers
	v.cases.committed(v.owed.cases)
	v.owed = effects{}
	v.accounts.committed()
	s.passed()
	s.config.Pace.committed(s.n, v.memory.Closed(), unixOf(v.memory.Clock()))
	positions := append([]Position(nil), s.progress.Positions...)
	counts := v.counts.clone()
	s.say(func(st *Status) {
		st.Sequence, st.Positions, st.Arrival, st.Counts = v.sequence, positions, v.memory.Clock(), counts
		if st.Problem != problemHeld { // acts are applied meanwhile
			st.Problem = ""
		}
		st.Commits++
		st.Evicted = v.memory.Evicted()
	})
	for _, d := range answers {
		s.config.Answer(d)
	}
}

// putDelta writes what changed in the windows and in the identities, in pieces, and says how many bytes that is.
func (s *Shard) putDelta(b *store.Batch) (size int) {
	n := uint32(0)
	put := func(kind byte, content []byte) {
		b.Put = append(b.Put, store.Pair{Key: pieceKey(store.KindDelta, s.n, s.progress.Sequence, n), Value: piece(kind, s.progress.Layout, content)})
		n++
		size += len(content)
	}
	s.delta = s.evaluator.memory.Dirty(s.delta[:0])
	for w := s.delta; len(w) > 0; {
		cut := min(len(w), pieceSize)
		put(pieceWindows, w[:cut])
		w = w[cut:]
	}
	if len(s.evaluator.seen.fresh) > 0 {
		put(pieceSeen, s.evaluator.seen.dirty(nil))
	}
	s.checkpoint.since += size
	return size
}

func (s *Shard) putProgress(b *store.Batch) error {
	s.progress.Turn = s.taken.Turn
	p, err := json.Marshal(s.progress)
	if err != nil {
		return fmt.Errorf("encode progress: %w", err)
	}
	b.Put = append(b.Put, store.Pair{Key: s.progressKey(), Value: p})
	return s.putLog(b)
}

// putAccounts writes changed records. One that is new here must be new everywhere: another shard may be its home.
func (s *Shard) putAccounts(b *store.Batch) error {
	a := s.evaluator.accounts
	for _, c := range a.change {
		key := store.Key(store.KindAccount, string(c.record.ID))
		value, err := json.Marshal(c.record)
		if err != nil {
			return fmt.Errorf("encode account: %w", err)
		}
		if c.fresh {
			b.Expect = append(b.Expect, store.Expect{Key: key})
		}
		b.Put = append(b.Put, store.Pair{Key: key, Value: value})
	}
	for id, was := range s.evaluator.owed.deadlines { // order does not matter: each is a key of its own
		if !was.IsZero() {
			b.Delete = append(b.Delete, deadlineKey(was, id))
		}
		if now := a.batch[id].record.Until; !now.IsZero() {
			b.Put = append(b.Put, store.Pair{Key: deadlineKey(now, id), Value: []byte{1}})
		}
	}
	return nil
}

func deadlineKey(at time.Time, id auth.AccountID) []byte {
	return store.Key(store.KindDeadline, uint64(max(at.UnixMilli(), 0)), string(id))
}

func (s *Shard) putFindings(b *store.Batch) error {
	for i := range s.evaluator.owed.findings {
		f := &s.evaluator.owed.findings[i]
		value, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("encode finding: %w", err)
		}
		b.Put = append(b.Put, store.Pair{Key: store.Key(store.KindFinding, f.ID), Value: value},
			store.Pair{Key: store.Key(store.KindFindingOf, string(f.Account), uint64(max(f.At.UnixMilli(), 0)), f.ID), Value: []byte{1}})
	}
	return nil
}

func (s *Shard) putCases(b *store.Batch) error {
	for _, id := range s.evaluator.owed.caseOrder {
		c := s.evaluator.owed.cases[id]
		put, del, err := cases.Writes(c.before, c.after)
		if err != nil {
			return err
		}
		b.Put, b.Delete = append(b.Put, put...), append(b.Delete, del...)
	}
	return nil
}

func (s *Shard) putRows(b *store.Batch) error {
	parcels, err := outbox.Parcels(s.n, s.progress.Sequence, s.evaluator.owed.rows)
	for i := range parcels {
		b.Put = append(b.Put, parcels[i].Pair)
	}
	s.parcels = parcels
	return err
}

func (s *Shard) putOutcomes(b *store.Batch) error {
	for _, o := range s.evaluator.owed.outcomes {
		value, err := json.Marshal(o.outcome)
		if err != nil {
			return fmt.Errorf("encode outcome: %w", err)
		}
		b.Put = append(b.Put, store.Pair{Key: store.Key(store.KindOutcome, o.act), Value: value})
	}
	for _, d := range s.evaluator.owed.decisions {
		value, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("encode decision: %w", err)
		}
		b.Put = append(b.Put, store.Pair{Key: DecisionKey(d.Decision.Event), Value: value})
	}
	return nil
}

// DecisionKey is where the answer to POST /v1/decide for an event is kept.
func DecisionKey(e EventRef) []byte {
	return store.Key(store.KindDecision, CauseID("decision", e.Source, e.ID))
}

func (s *Shard) putEntries(b *store.Batch) error {
	for _, e := range s.evaluator.owed.entries {
		a, err := journal.Append(e)
		if err != nil {
			return err
		}
		b.Append = append(b.Append, a)
	}
	for _, position := range s.taken.Acts { // applied: the shard's log and the journal say so
		b.Delete = append(b.Delete, store.LineKey(store.Inbox(s.n), position))
	}
	return nil
}
