package detect_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"doorward/detect"
	"doorward/rules/window"
	"doorward/store/outbox"
)

// reused is a source as a broker's client is one: the bytes of a batch are written again by the next.
type reused struct {
	batches [][]byte
	buffer  []byte
	at      int
	read    atomic.Int32
	idle    int // polls that find nothing before the second batch: the relay has nothing to read from the store by then
}

func (r *reused) Open(context.Context, []detect.Position) error { return nil }

func (r *reused) Fetch(ctx context.Context) ([]detect.Record, error) {
	if r.at == 1 {
		r.idle++
	}
	if r.at == len(r.batches) || r.at == 1 && r.idle < 60 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
			return nil, nil
		}
	}
	clear(r.buffer)
	value := r.buffer[:copy(r.buffer, r.batches[r.at])]
	r.at++
	r.read.Add(1)
	return []detect.Record{{Topic: detect.TopicEvents, Offset: int64(r.at - 1), Time: time.Unix(1.7e9, 0), Key: value[:4], Value: value,
		Headers: []detect.Header{{Key: "h", Value: value[:4]}}}}, nil
}

// TestDeadLettersOutliveTheirBytes: a dead letter that waits for the broker is published as it came, whatever its source has read since.
func TestDeadLettersOutliveTheirBytes(t *testing.T) {
	t.Parallel()
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	src := &reused{batches: [][]byte{[]byte("poison one"), []byte("other bytes, longer"), []byte("third")}, buffer: make([]byte, 64)}
	got := make(chan []outbox.Row, 10)
	s := detect.NewShard(detect.ShardConfig{
		Evaluator: detect.EvaluatorConfig{Rules: builtinSet(t), Board: window.NewBoard(1)}, Store: db, Owner: "test", Pace: detect.NewPace(1),
		DeadLetter: func(r detect.Record, _, _ string) detect.Message {
			return detect.Message{Topic: detect.TopicDead, Partition: -1, Key: r.Key, Value: r.Value, Headers: r.Headers}
		},
		Publish: func(_ context.Context, rows []outbox.Row) error {
			if src.read.Load() == 2 {
				return errors.New("the broker is away")
			}
			got <- rows
			return nil
		},
		Answer: func(detect.Decision) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- s.Run(ctx) }()
	go func() { done <- s.Feed(ctx, src) }()
	var rows []outbox.Row
	for len(rows) < 3 {
		select {
		case more := <-got:
			rows = append(rows, more...)
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of 3 dead letters published", len(rows))
		}
	}
	stop()
	<-done
	<-done
	for i, want := range src.batches {
		if r := rows[i]; string(r.Value) != string(want) || string(r.Key) != string(want[:4]) || string(r.Headers[0].Value) != string(want[:4]) {
			t.Errorf("dead letter %d is %q, key %q, header %q; it came as %q", i, r.Value, r.Key, r.Headers[0].Value, want)
		}
	}
}
