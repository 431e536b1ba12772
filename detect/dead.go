package detect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"doorward/rules/event"
	"doorward/store"
	"doorward/store/outbox"
)

// Dead is a record that could not be taken, as `doorward dlq` shows it (store.KindDead).
type Dead struct {
	ID        string          `json:"id"`
	At        time.Time       `json:"at"`
	Code      event.Code      `json:"code"`
	Problem   string          `json:"problem"`
	Topic     string          `json:"topic"`
	Partition int             `json:"partition"`
	Offset    int64           `json:"offset"`
	Size      int             `json:"size"` // bytes of the value as it came
	Key       []byte          `json:"key,omitempty"`
	Value     []byte          `json:"value,omitempty"` // at most MaxDeadValue bytes of it
	Headers   []outbox.Header `json:"headers,omitempty"`
	Replayed  *time.Time      `json:"replayed,omitempty"`
}

// MaxDeadValue is how many bytes of a record that could not be taken are kept.
const MaxDeadValue = 256 << 10

// What else is kept of such a record, in bytes: less than store.MaxValue with the value, in base64 and with every byte of a header's name
// escaped. A partition must not stop at a record because its key is long.
const (
	maxDeadKey     = 64 << 10
	maxDeadHeader  = 2 << 10 // name and value
	maxDeadHeaders = 32
	maxDeadProblem = 1000
)

// bury puts a record into the dead-letter topic and into the store, in the same commit as its offset: nothing is dropped.
func (s *Shard) bury(it *item) error {
	r := it.record
	s.evaluator.counts.Dead++
	s.evaluator.sequence++
	id := CauseID("dead", r.Topic, strconv.Itoa(r.Partition), strconv.FormatInt(r.Offset, 10))
	problem := it.poison.Error()
	if len(problem) > maxDeadProblem {
		problem = strings.ToValidUTF8(problem[:maxDeadProblem], "")
	}
	row, err := s.deadRow(id, r, string(it.poison.Code), problem)
	if err != nil {
		return err
	}
	d := Dead{ID: id, At: r.Time, Code: it.poison.Code, Problem: problem, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Size: len(r.Value), Key: r.Key[:min(len(r.Key), maxDeadKey)], Value: r.Value[:min(len(r.Value), MaxDeadValue)]}
	for _, h := range r.Headers {
		if len(h.Key)+len(h.Value) <= maxDeadHeader && len(d.Headers) < maxDeadHeaders {
			d.Headers = append(d.Headers, outbox.Header(h))
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode a dead letter: %w", err)
	}
	key := store.Key(store.KindDead, uint64(max(r.Time.UnixMilli(), 0)), id)
	s.evaluator.owed.put = append(s.evaluator.owed.put, store.Pair{Key: key, Value: b})
	s.evaluator.owed.rows = append(s.evaluator.owed.rows, row)
	return nil
}

// deadRow is what the dead-letter topic gets of a record; it outlives the record's bytes, as it waits in memory for the relay. Names of headers are text: those whose stored form is longer than what a value may
// have are left out, and their number is told.
func (s *Shard) deadRow(id string, r *Record, code, problem string) (outbox.Row, error) {
	for rec, cut := *r, 0; ; rec.Headers, cut = nil, len(r.Headers) {
		m := s.config.DeadLetter(rec, code, problem)
		row := outbox.Row{ID: id, Topic: m.Topic, Partition: m.Partition, Key: bytes.Clone(m.Key), Value: bytes.Clone(m.Value)}
		for _, h := range m.Headers {
			row.Headers = append(row.Headers, outbox.Header{Key: strings.Clone(h.Key), Value: bytes.Clone(h.Value)})
		}
		if cut > 0 {
			row.Headers = append(row.Headers, headers("doorward.headers.cut", strconv.Itoa(cut))...)
		}
		b, err := json.Marshal(row)
		if err != nil {
			return row, fmt.Errorf("encode a dead letter: %w", err)
		}
		if len(b) <= store.MaxValue || len(rec.Headers) == 0 {
			return row, nil
		}
	}
}
