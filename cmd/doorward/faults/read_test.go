//go:build accept

package faults

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"doorward/detect"
	"doorward/detect/kafka"
)

// partitions of every topic that these tests make (kafka.DefaultPartitions).
const partitions = kafka.DefaultPartitions

// read follows the input topic and every topic that Doorward writes, for as long as the world lasts: a compacted topic forgets.
func (w *world) read() {
	ctx, stop := context.WithCancel(context.Background())
	w.reading = stop
	for _, topic := range []string{w.topic, detect.TopicState, detect.TopicFindings, detect.TopicNotices, detect.TopicAudit, detect.TopicDead} {
		from, err := w.client.LastOffsets(w.Context(), topic)
		if err != nil {
			w.Fatal(err)
		}
		for p := range from {
			w.readers.Go(func() { w.follow(ctx, topic, p, from[p]) })
		}
	}
}

func (w *world) stopReading() {
	w.reading()
	w.readers.Wait()
}

// follow reads a partition until ctx ends; when the broker can't be read it tries again where it was.
func (w *world) follow(ctx context.Context, topic string, partition int, next int64) {
	for ctx.Err() == nil {
		err := w.client.Tail(ctx, topic, partition, next, func(records []detect.Record) error {
			for i := range records {
				r := &records[i]
				next = r.Offset + 1
				if topic == w.topic {
					w.input(r)
				} else {
					w.output(r)
				}
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// input keeps the events of the input topic; what is none was put there as poison.
func (w *world) input(r *detect.Record) {
	var e struct {
		ID, Source, Type, Subject string
		Data                      struct{ Amount int64 }
	}
	if json.Unmarshal(r.Value, &e) != nil || e.Source != w.source() {
		return
	}
	w.history.Input(Event{Partition: r.Partition, Offset: r.Offset, Account: e.Subject, Type: e.Type, Name: e.Source + " " + e.ID,
		Drain: e.Type == "transaction.requested" && e.Data.Amount == drainAmount})
}

// output keeps what concerns this world's accounts; the journal is the store's, and kept when it can only be this store's.
func (w *world) output(r *detect.Record) {
	k := Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Key: string(r.Key), Value: string(r.Value)}
	var from [3]string
	for _, h := range r.Headers {
		switch h.Key {
		case "ce_id":
			k.ID = string(h.Value)
		case "__connect.errors.topic":
			from[0] = string(h.Value)
		case "__connect.errors.partition":
			from[1] = string(h.Value)
		case "__connect.errors.offset":
			from[2] = string(h.Value)
		}
	}
	var says Newest
	switch r.Topic {
	case detect.TopicAudit:
		// one world at a time uses a broker
	case detect.TopicDead:
		if from[0] != w.topic {
			return
		}
		k.From = strings.Join(from[:], "/")
	default:
		if !strings.HasPrefix(k.Key, w.prefix) {
			return
		}
		if r.Topic == detect.TopicState {
			var s record
			if json.Unmarshal(r.Value, &s) == nil {
				says = Newest{s.State, s.Version}
			}
		}
	}
	w.history.Read(k, says)
}
