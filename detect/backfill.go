package detect

import (
	"context"
	"errors"
	"fmt"

	"doorward/auth"
	"doorward/rules/event"
)

// ErrServed says that a store has taken in live events already: history can't be put before them.
var ErrServed = errors.New("this store has served already; history goes into a new one")

// BeginBackfill loads a shard that has not served yet, for Backfill. Run must not be called on it.
func (s *Shard) BeginBackfill(ctx context.Context) error {
	if err := s.load(ctx); err != nil {
		return fmt.Errorf("shard %d: %w", s.n, err)
	}
	if len(s.progress.Positions) > 0 {
		return ErrServed
	}
	s.begin()
	return nil
}

// Backfill puts an event of the past into the shard's windows. It decides nothing: no rule is evaluated, nobody is told.
func (s *Shard) Backfill(ctx context.Context, e *event.Event) error {
	v := s.evaluator
	v.sequence++
	s.taken.History++
	a, err := v.accounts.of(e, v.memory)
	if err != nil || v.seen.add(v.seen.of(e)) {
		return err
	}
	v.facts(e, a)
	if kind := auth.TouchOf(string(e.Type)); kind != "" {
		after := remember(a, kind, e)
		after.Sequence = v.sequence
		v.settle(a, after)
	}
	s.weigh()
	if s.taken.bytes += s.checkpoint.recordBytes; s.taken.bytes < maxBatchBytes {
		return nil
	}
	return s.EndBackfill(ctx)
}

// EndBackfill commits what Backfill has put in.
func (s *Shard) EndBackfill(ctx context.Context) error {
	if err := s.commit(ctx); err != nil {
		return fmt.Errorf("shard %d: %w", s.n, err)
	}
	s.begin()
	return nil
}
