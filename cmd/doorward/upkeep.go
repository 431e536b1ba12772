package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/detect/kafka"
	"doorward/rules/event"
	"doorward/store"
	"doorward/store/history"
	"doorward/store/journal"
	"doorward/store/outbox"
)

// every calls f at once and then again after each pause until ctx ends; an error is logged and tried again.
func (s *house) every(ctx context.Context, pause time.Duration, what string, f func(context.Context) error) error {
	t := time.NewTicker(pause)
	defer t.Stop()
	for {
		if err := f(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn(what, "problem", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// tellProgress tells Kafka where the shards stand, for dashboards of lag; what counts is in the store.
func (s *house) tellProgress(ctx context.Context) error {
	return s.every(ctx, time.Second, "tell progress", func(context.Context) error {
		for _, sh := range s.shards {
			if st := sh.Status(); st.Loaded && len(st.Positions) > 0 {
				s.client.SetProgress(st.Shard, st.Positions)
			}
		}
		return nil
	})
}

// watchDeadlines lets states of quiet accounts end: the shard itself does it before the first event at or past the deadline.
func (s *house) watchDeadlines(ctx context.Context) error {
	return s.every(ctx, time.Second, "end states whose time has come", func(ctx context.Context) error {
		now := s.now().UTC()
		var due []auth.AccountID
		from := store.Key(store.KindDeadline)
		to := store.Key(store.KindDeadline, uint64(max(now.UnixMilli(), 0)))
		if err := s.db.Scan(ctx, from, to, false, func(k, _ []byte) bool {
			due = append(due, auth.AccountID(k[9:]))
			return len(due) < 1000
		}); err != nil {
			return err
		}
		for _, id := range due {
			a, _, err := auth.LoadAccount(ctx, s.db, id)
			if err != nil {
				return err
			}
			act := auth.Act{ID: fmt.Sprintf("expire-%s-%d", shortHash(string(id)), a.Version), Kind: auth.ActExpire, Account: id, At: now, By: "deadline", Saw: a.Version}
			if err := s.desk.Submit(ctx, act, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

func shortHash(s string) string { return detect.CauseID("account", s) }

// auditKey is how far the journal has been published.
var auditKey = store.Key(store.KindMeta, "audit")

// publishAudit publishes the journal's entries, each with the hash that chains it, so that what the platform keeps of them shows a journal
// that was cut or written anew (reference: security I-6, anchored outside at least every 60 s; here within a second).
func (s *house) publishAudit(ctx context.Context) error {
	return s.every(ctx, time.Second, "publish the journal", func(ctx context.Context) error {
		for {
			v, err := s.db.Get(ctx, auditKey)
			if err != nil {
				return err
			}
			after := uint64(0)
			if len(v[0]) == 8 {
				after = binary.BigEndian.Uint64(v[0])
			}
			lines, err := journal.Read(ctx, s.db, after+1, 500, false)
			if err != nil || len(lines) == 0 {
				return err
			}
			messages := make([]detect.Message, len(lines))
			for i, l := range lines {
				if messages[i], err = auditMessage(l); err != nil {
					return err
				}
			}
			if err := s.client.Publish(ctx, messages); err != nil {
				return err
			}
			last := binary.BigEndian.AppendUint64(nil, lines[len(lines)-1].Position)
			if _, err := s.db.Commit(ctx, &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: auditKey, Value: v[0]}}, Put: []store.Pair{{Key: auditKey, Value: last}}}); err != nil {
				return err
			}
		}
	})
}

// auditMessage is an entry as doorward.audit.v1 has it. All go to partition 0, so that they stay in order.
func auditMessage(l journal.Line) (detect.Message, error) {
	body, err := json.Marshal(struct {
		Position uint64 `json:"position"`
		Hash     string `json:"hash"`
		journal.Entry
	}{l.Position, hex.EncodeToString(l.Hash[:]), l.Entry})
	if err != nil {
		return detect.Message{}, fmt.Errorf("encode an entry: %w", err)
	}
	id := fmt.Sprintf("entry-%d", l.Position)
	h := func(k, v string) detect.Header { return detect.Header{Key: k, Value: []byte(v)} }
	return detect.Message{Topic: detect.TopicAudit, Partition: 0, Key: []byte(id), Value: body, Headers: []detect.Header{
		h("ce_specversion", "1.0"), h("ce_id", id), h("ce_source", "/doorward"), h("ce_type", detect.TopicAudit),
		h("ce_time", l.Entry.At.UTC().Format(time.RFC3339Nano)), h("content-type", "application/json"),
	}}, nil
}

// sweep deletes what is older than its retention, a little at a time: each sweeper goes on where it stopped, over and over.
func (s *house) sweep(ctx context.Context) error {
	by := func(kind byte) sweeper {
		return func(ctx context.Context, e store.Engine, before time.Time, from []byte, limit int) (store.Swept, error) {
			return store.SweepBy(ctx, e, kind, before, dateOf, from, limit)
		}
	}
	sweepers := []sweeper{store.SweepFindings, store.SweepDead, by(store.KindDecision), by(store.KindOutcome), by(store.KindShardLog)}
	next := make([][]byte, len(sweepers))
	return s.every(ctx, time.Minute, "delete what is past its retention", func(ctx context.Context) error {
		now := s.now().UTC()
		var errs []error
		for i, f := range sweepers {
			swept, err := f(ctx, s.db, now.Add(-time.Duration(s.cfg.Findings)), next[i], 5000)
			next[i] = swept.Next
			errs = append(errs, err)
		}
		if s.db.Full() {
			return errors.Join(errs...) // see tailHistory
		}
		_, err := s.history.Sweep(ctx, s.history.Expired(now))
		return errors.Join(append(errs, err)...)
	})
}

type sweeper func(ctx context.Context, e store.Engine, before time.Time, from []byte, limit int) (store.Swept, error)

// dateOf is the time of a record that says it.
func dateOf(value []byte) (time.Time, error) {
	var d dated
	if err := json.Unmarshal(value, &d); err != nil {
		return time.Time{}, fmt.Errorf("read a record's time: %w", err)
	}
	return d.At, nil
}

// keepHistory reads the input topics into the history, with offsets of its own: never on a verdict's way.
func (s *house) keepHistory(ctx context.Context) error {
	work := newCrew(ctx)
	for _, topic := range s.cfg.Topics {
		for p := range s.shape.Shards {
			work.run(fmt.Sprintf("%s/%d", topic, p), func(ctx context.Context) error {
				return s.every(ctx, 2*time.Second, "read history", func(ctx context.Context) error {
					err := s.tailHistory(ctx, topic, p)
					if _, bad := errors.AsType[*kafka.BatchError](err); bad { // it may be a bomb, which costs much each time
						return errors.Join(err, pause(ctx, time.Minute))
					}
					return err
				})
			})
		}
	}
	return work.wait()
}

// pause ends with ctx's error when that comes first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tailHistory reads a partition until ctx ends or the disk is full: the history's database writes through mapped memory, so that on a disk
// without room the kernel would end the process, and has no guard of its own.
func (s *house) tailHistory(ctx context.Context, topic string, partition int) error {
	if s.db.Full() {
		return nil
	}
	at, err := s.history.Positions(ctx)
	if err != nil {
		return err
	}
	from := int64(0)
	for _, p := range at {
		if p.Topic == topic && p.Partition == partition {
			from = p.Offset
		}
	}
	return s.client.Tail(ctx, topic, partition, from, func(records []detect.Record) error {
		if len(records) == 0 {
			return nil
		}
		if s.db.Full() {
			return store.ErrFull
		}
		lines := make([]history.Line, 0, len(records))
		for _, r := range records {
			if e, bad := decodeRecord(r); bad == nil {
				lines = append(lines, historyLine(e, r))
			}
		}
		next := history.Position{Topic: topic, Partition: partition, Offset: records[len(records)-1].Offset + 1}
		return s.history.Add(ctx, lines, []history.Position{next})
	})
}

func historyLine(e *event.Event, r detect.Record) history.Line {
	return history.Line{Account: string(e.Account), At: e.Time, Arrival: e.Arrival, Source: e.Source, ID: e.ID, Type: string(e.Type),
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Flagged: e.Flagged, Raw: event.Encode(e)}
}

// rememberedEvent is the event of a line of history, as it was when it came.
func rememberedEvent(l history.Line) (*event.Event, *event.Error) {
	return event.DecodeStored(l.Raw)
}

// backlog is how many rows of the outbox wait, over all shards, up to a thousand each.
func (s *house) backlog(ctx context.Context) (n int, err error) {
	for i := range s.shards {
		m, err := outbox.Backlog(ctx, s.db, i, 1000)
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}
