package detect

import (
	"context"

	"doorward/store/outbox"
)

// publishing runs serve with the relay beside it, under the epoch of this load: what an earlier load owes is published by this one.
func (s *Shard) publishing(parent context.Context, serve func(context.Context) error) error {
	waiting, err := outbox.Backlog(parent, s.config.Store, s.n, maxOwed)
	if err != nil {
		return err
	}
	s.owed.Store(int64(waiting))
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
	if err := s.config.Publish(ctx, rows); err != nil {
		return err
	}
	s.owed.Add(-int64(len(rows)))
	return nil
}

// maxOwed is how many rows of the outbox may wait before a shard takes in no more records: what can't be published is not lost, and must
// not fill the disk either. Acts are still applied.
const maxOwed = 100_000

// problemFull is what Status says meanwhile.
const problemFull = "the outbox is full: records can't be published"

// sayFull says that the outbox is full, or not any more: it may be drained without another commit.
func (s *Shard) sayFull(full bool) {
	s.say(func(st *Status) {
		switch {
		case full:
			st.Problem = problemFull
		case st.Problem == problemFull:
			st.Problem = ""
		}
	})
}
