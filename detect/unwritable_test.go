package detect_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"doorward/detect"
	"doorward/rules/window"
	"doorward/store/outbox"
)

// TestUnwritableDeadLetters: while dead letters can't be written the shard says so and takes no more in, and it goes on by itself; while only
// other topics can't be written it says so and goes on.
func TestUnwritableDeadLetters(t *testing.T) {
	t.Parallel()
	db := openStore(t, filepath.Join(t.TempDir(), "s"), true)
	defer db.Close()
	log := &topicLog{records: map[int][]detect.Record{}}
	var refused atomic.Value // of topics
	refused.Store([]string{})
	var dead, findings, refusals atomic.Int32
	s := detect.NewShard(detect.ShardConfig{
		Evaluator: detect.EvaluatorConfig{Rules: builtinSet(t), Board: window.NewBoard(1)}, Store: db, Owner: "test", Pace: detect.NewPace(1),
		DeadLetter: func(r detect.Record, _, _ string) detect.Message {
			return detect.Message{Topic: detect.TopicDead, Partition: -1, Key: r.Key, Value: r.Value}
		},
		Publish: func(_ context.Context, rows []outbox.Row) error {
			for _, r := range rows {
				if slices.Contains(refused.Load().([]string), r.Topic) {
					refusals.Add(1)
					return errors.New("not allowed to write " + r.Topic)
				}
			}
			for _, r := range rows {
				switch r.Topic {
				case detect.TopicDead:
					dead.Add(1)
				case detect.TopicFindings:
					findings.Add(1)
				}
			}
			return nil
		},
		Answer: func(detect.Decision) {}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- s.Run(ctx) }()
	go func() { done <- s.Feed(ctx, &logSource{log: log, batch: 100}) }()
	await := func(what string, is func(detect.Status) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !is(s.Status()); {
			if time.Now().After(deadline) {
				t.Fatalf("not within 20 s: %s: %+v", what, s.Status())
			}
			time.Sleep(2 * time.Millisecond) // a poll
		}
	}
	drained := 0
	drain := func() { // an event that is found
		drained++
		account := fmt.Sprintf("acct-%d", drained)
		log.add(0, fmt.Appendf(nil, `{"specversion":"1.0","id":"t-%d","source":"/w","type":"transaction.requested","subject":%q,"time":"2026-03-01T08:03:10Z","data":{"device":"dev-7","transaction":"tx","kind":"transfer","direction":"out","amount":250000,"currency":"CNY","counterparty":"acct-77","counterparty_kind":"person","balance_before":251000,"balance_after":1000}}`,
			drained, account), account, mustTime(t, "2026-03-01T08:03:11Z"))
	}
	taken := func(n uint64) func(detect.Status) bool {
		return func(st detect.Status) bool { return st.Counts.Events+st.Counts.Dead == n }
	}

	refused.Store([]string{detect.TopicFindings})
	drain()
	await("it says that findings can't be published", func(st detect.Status) bool { return strings.Contains(st.Unpublished, detect.TopicFindings) })
	drain()
	await("it takes in all the same", taken(2))
	refused.Store([]string{})
	await("nothing is wrong any more", func(st detect.Status) bool { return st.Unpublished == "" && findings.Load() >= 2 })

	refused.Store([]string{detect.TopicDead})
	log.add(0, []byte("poison"), "acct-1", mustTime(t, "2026-03-01T08:03:11Z"))
	await("it says that dead letters can't be published, and stands still", func(st detect.Status) bool {
		return strings.Contains(st.Unpublished, detect.TopicDead) && strings.Contains(st.Problem, "goes on by itself")
	})
	for range 3 {
		drain()
	}
	before, tries := s.Status(), refusals.Load()
	await("the relay tries again", func(detect.Status) bool { return refusals.Load() >= tries+2 })
	if got := s.Status(); got.Counts.Events != before.Counts.Events {
		t.Errorf("%d events were taken in while a dead letter could not be written", got.Counts.Events-before.Counts.Events)
	}
	refused.Store([]string{})
	await("it goes on by itself", func(st detect.Status) bool { return st.Problem == "" && st.Unpublished == "" && taken(6)(st) })
	await("everything is published", func(detect.Status) bool { return dead.Load() == 1 && findings.Load() >= 5 })
	stop()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
