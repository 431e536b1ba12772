package detect

import (
	"context"
	"slices"

	"doorward/store/outbox"
)

// publishing runs serve with the relay beside it, under the epoch of this load: what an earlier load owes is published by this one.
func (s *Shard) publishing(parent context.Context, serve func(context.Context) error) error {
	waiting, err := outbox.Backlog(parent, s.config.Store, s.n, maxOwed)
	if err != nil {
		return err
	}
	s.owed.Store(int64(waiting))
	s.unpublished(nil, nil)
	ctx, stop := context.WithCancelCause(parent)
	ended := make(chan struct{})
	go func() { // ends with serve
		defer close(ended)
		if err := s.relay.Run(ctx); err != nil {
			stop(err)
		}
	}()
	err = serve(ctx)
	if parent.Err() == nil && ctx.Err() != nil { // the relay can't go on: whatever serve says of it, a claim by another is not taken back
		err = context.Cause(ctx)
	}
	stop(nil)
	<-ended
	return err
}

func (s *Shard) publish(ctx context.Context, rows []outbox.Row) error {
	err := s.config.Publish(ctx, rows)
	if ctx.Err() == nil {
		s.unpublished(rows, err)
	}
	if err != nil {
		return err
	}
	s.owed.Add(-int64(len(rows)))
	return nil
}

// unpublished says why rows can't be published now, or, with no error, that they can again. Whoever publishes has tried for some seconds.
func (s *Shard) unpublished(rows []outbox.Row, err error) {
	s.deadWaits.Store(err != nil && slices.ContainsFunc(rows, func(r outbox.Row) bool { return r.Topic == TopicDead }))
	why := ""
	if err != nil {
		why = err.Error()
	}
	if s.Status().Unpublished != why {
		s.say(func(st *Status) { st.Unpublished = why })
	}
}

// maxOwed is how many rows of the outbox may wait before a shard takes in no more records: what can't be published is not lost, and must
// not fill the disk either. Acts are still applied.
const maxOwed = 100_000

// problemHeld is what Status says meanwhile.
const problemHeld = "what it owes can't be published, so that no more is taken in; it goes on by itself"

// held reports whether the shard takes in no more records for now: too much waits to be published, or a record that could not be taken
// can't be written to the dead-letter topic (DESIGN, "Events in, states out").
func (s *Shard) held() bool { return s.owed.Load() >= maxOwed || s.deadWaits.Load() }

// sayHeld says that the shard is held, or not any more: the outbox may be drained without another commit.
func (s *Shard) sayHeld(held bool) {
	s.say(func(st *Status) {
		switch {
		case held:
			st.Problem = problemHeld
		case st.Problem == problemHeld:
			st.Problem = ""
		}
	})
}
