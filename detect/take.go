package detect

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/store"
	"doorward/store/journal"
	"doorward/store/outbox"
)

// taken is what a shard takes in between two commits: the lines of its log (DESIGN, "What determinism means").
type taken struct {
	First   uint64    `json:"first"` // sequence of the first input
	Last    uint64    `json:"last"`
	Ranges  []span    `json:"ranges,omitempty"`  // records, in the order they were taken in
	Acts    []uint64  `json:"acts,omitempty"`    // positions in the inbox
	AsOf    []int64   `json:"as_of,omitempty"`   // the last closed slice of each shard that was read
	Advance int64     `json:"advance,omitempty"` // an idle shard's slices closed up to this second
	Rules   string    `json:"rules,omitempty"`   // the rule set from here on
	Terms   string    `json:"terms,omitempty"`   // what else decides from here on
	History uint64    `json:"history,omitempty"` // events that were put in from files
	Turn    uint64    `json:"turn,omitempty"`    // its place among the batches of all shards of the process
	At      time.Time `json:"at,omitzero"`       // the shard's clock, by which old lines are swept
	Ceiling time.Time `json:"ceiling,omitzero"`  // records with timestamps later than maxEarly after this arrived at this (capArrivals)
	heard

	acts    [][]byte           // as they stood in the inbox
	paced   int64              // the second up to which the pace lets this batch go
	bytes   int                // of what the batch will write, roughly
	weighed weighed            // what of it is in bytes
	last    map[string]*Record // of each topic, whose fingerprint the position gets
}

// span is a run of offsets of one topic, both ends included.
type span struct {
	Topic string `json:"topic"`
	From  int64  `json:"from"`
	To    int64  `json:"to"`
}

// maxBatchBytes is when a batch is committed although there is more to take: half of what the store takes, as the count is rough.
const maxBatchBytes = store.MaxBatch / 2

// take evaluates records and commits, in as many batches as their size and the other shards' pace ask for.
func (s *Shard) take(ctx context.Context, records []Record) error {
	now := s.config.Now().UTC().Truncate(time.Millisecond)
	early := capArrivals(records, now)
	for len(records) > 0 {
		if err := s.config.Pace.enter(ctx, s.n, records[0].Time, s.evaluator.memory.Closed()); err != nil {
			return err
		}
		s.begin()
		if early {
			s.taken.Ceiling = now
		}
		n, err := s.takeBatch(records)
		if err != nil {
			return err
		}
		newest := records[n-1].Time
		for topic, r := range s.taken.last {
			s.position(topic).Fingerprint = r.Fingerprint()
		}
		err = s.commit(ctx)
		s.config.Pace.leave(s.n)
		if err != nil {
			return err
		}
		s.say(func(st *Status) { st.Delay = s.config.Now().Sub(newest) })
		records = records[n:]
	}
	return nil
}

// takeBatch takes in what fits into one commit, at least one record, and says how many those are.
func (s *Shard) takeBatch(records []Record) (n int, err error) {
	var inHand []Record
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(inHand, n, p, debug.Stack())
		}
	}()
	for n < len(records) {
		next := records[n:min(n+s.ahead(), len(records))]
		inHand = next
		items, err := s.lookAhead(next)
		if err != nil {
			return n, err
		}
		for i := range items {
			inHand = records[n : n+1]
			if n > 0 && (s.taken.bytes >= maxBatchBytes || !s.may(items[i].record.Time)) {
				return n, nil
			}
			if err := s.takeOne(&items[i]); err != nil {
				return n, err
			}
			s.weigh()
			n++
		}
	}
	return n, nil
}

// may asks the pace, once for each second.
func (s *Shard) may(t time.Time) bool {
	second := t.Unix()
	if second > s.taken.paced {
		if !s.config.Pace.may(s.n, t) {
			return false
		}
		s.taken.paced = second
	}
	return true
}

// item is a record with what came of decoding it.
type item struct {
	record *Record
	event  event.Event // its texts lie in the record
	poison *event.Error
	answer bool // an API call waits for the decision
}

// DecideHeader marks an event that POST /v1/decide wrote: its decision is kept, so that a repeat of the call gets the same answer.
const DecideHeader = "doorward-decide"

// aheadRecords is how many records are decoded, and what they will need brought near, before the first of them is evaluated: enough that
// the processor waits for many of them at once, few enough that the first is still near when the last has come (reference: performance 3).
const aheadRecords = 256

// lookAhead decodes records and gets ready what they need: their windows, their identities, and in one request their accounts.
func (s *Shard) lookAhead(records []Record) ([]item, error) {
	if s.items == nil {
		s.items = make([]item, aheadRecords)
	}
	items, events, v := s.items[:len(records)], s.events[:0], s.evaluator
	for i := range records {
		r, it := &records[i], &items[i]
		it.record, it.answer = r, false
		if it.poison = s.failedAt(r); it.poison != nil {
			continue
		}
		if it.poison = s.decoder.Record(&it.event, r.Key, r.Value, event.Headers(r.Headers), r.Time); it.poison == nil {
			events = append(events, &it.event)
		}
		for _, h := range r.Headers {
			it.answer = it.answer || h.Key == DecideHeader
		}
	}
	s.events = events
	return items, v.lookAhead(events)
}

// begin starts a batch: the windows across accounts read the other shards as of what they have closed by now.
func (s *Shard) begin() {
	s.taken = taken{First: s.evaluator.sequence + 1, AsOf: s.config.Pace.asOf(s.n), Turn: s.config.Pace.turn(), last: map[string]*Record{}, paced: noSlice}
	s.taken.weighed.evicted = s.evaluator.memory.Evicted()
	s.evaluator.memory.Read(s.taken.AsOf)
}

// takeOne takes one record in: along the path of an event, or into the dead-letter topic with its reason.
func (s *Shard) takeOne(it *item) error {
	s.moved(it.record)
	if it.poison == nil {
		home, err := s.evaluator.homeOf(&it.event)
		if err != nil {
			return err
		}
		if home != s.n {
			s.evaluator.foreign(s.evaluator.sequence+1, home)
			it.poison = &event.Error{Code: event.WrongHome, Field: "subject", Problem: fmt.Sprintf(
				"the account's events have come on partition %d and this one on partition %d; all producers have to use the same partitioner, and topics the same number of partitions", home, s.n)}
		}
	}
	if it.poison != nil {
		if it.poison.Code == event.Internal {
			s.evaluator.owed.heard.Failed = append(s.evaluator.owed.heard.Failed, s.evaluator.sequence+1)
		}
		return s.bury(it)
	}
	h, err := s.evaluator.Handle(&it.event)
	if err != nil {
		return err
	}
	if it.answer {
		d := h.decision(&it.event)
		if !h.Repeat {
			s.evaluator.owed.decisions = append(s.evaluator.owed.decisions, storedDecision{it.event.Time, d})
		}
		s.evaluator.owed.answers = append(s.evaluator.owed.answers, d)
		s.taken.bytes += 4096
	}
	s.taken.bytes += eventBytes + 4096*len(h.Findings)
	return nil
}

// moved notes that a record's offset is behind us, whatever became of it. Its fingerprint is taken when the batch ends: only the last
// record's counts.
func (s *Shard) moved(r *Record) {
	if n := len(s.taken.Ranges); n > 0 && s.taken.Ranges[n-1].Topic == r.Topic {
		s.taken.Ranges[n-1].To = r.Offset
	} else {
		s.taken.Ranges = append(s.taken.Ranges, span{r.Topic, r.Offset, r.Offset})
	}
	p := s.position(r.Topic)
	p.Offset, s.taken.last[p.Topic] = r.Offset+1, r
}

// position is where the shard stands in a topic.
func (s *Shard) position(topic string) *Position {
	for i := range s.progress.Positions {
		if s.progress.Positions[i].Topic == topic {
			return &s.progress.Positions[i]
		}
	}
	s.progress.Positions = append(s.progress.Positions, Position{Topic: topic})
	return &s.progress.Positions[len(s.progress.Positions)-1]
}

// applyInbox applies the acts that wait, in order.
func (s *Shard) applyInbox(ctx context.Context) error {
	for {
		lines, err := outbox.ReadInbox(ctx, s.config.Store, s.n, s.progress.Inbox, maxActs)
		if err != nil || len(lines) == 0 {
			return err
		}
		s.begin()
		for _, l := range lines {
			if s.taken.bytes >= maxBatchBytes {
				break // the others are read again, for the next batch
			}
			act, err := auth.DecodeAct(l.Value)
			if err != nil { // the desk wrote it: a damaged line is damage of the store
				return fmt.Errorf("read act %d of the inbox: %w", l.Position, err)
			}
			if err := s.evaluator.Apply(act); err != nil {
				return err
			}
			s.weigh()
			s.taken.bytes += s.checkpoint.recordBytes // what it makes of the account's windows is written whole
			s.taken.bytes += len(l.Value)
			s.taken.Acts, s.taken.acts = append(s.taken.Acts, l.Position), append(s.taken.acts, l.Value)
			s.progress.Inbox = l.Position
		}
		if err := s.commit(ctx); err != nil {
			return err
		}
	}
}

// eventBytes is more than an event adds to a delta and to the repeats (rules/window, durable.go); what leaves because of it is weighed apart.
const eventBytes = 768

// maxActs is how many acts are applied in one commit at most.
const maxActs = 256

// idle closes slices by the other shards' clocks when nothing has come for a while, and moves a checkpoint on.
func (s *Shard) idle(ctx context.Context) error {
	if err := s.applyInbox(ctx); err != nil {
		return err
	}
	to := s.config.Pace.newest()
	// only a shard that has read all there is may close slices by the others' clocks: what it has yet to read belongs into its own
	behind := s.quiet.Load() && to.Unix() > s.evaluator.memory.Clock().Unix() && s.config.Pace.may(s.n, to)
	if !behind && !s.checkpoint.running {
		return nil
	}
	s.begin()
	s.checkpoint.due = max(s.checkpoint.due, idlePages)
	if behind {
		s.evaluator.sequence++
		s.taken.Advance = to.Unix()
		s.evaluator.memory.Advance(time.Unix(to.Unix(), 0).UTC())
	}
	return s.commit(ctx)
}

// rulesChanged is the line of the journal for another rule set.
func (s *Shard) rulesChanged(from, to string) journal.Entry {
	at := s.evaluator.memory.Clock()
	if at.IsZero() { // nothing has come here yet, and an entry has a time
		at = s.config.Now().UTC()
	}
	return journal.Entry{At: at, Kind: journal.RulesChanged, By: "doorward", Cause: to, Shard: s.n,
		Sequence: s.evaluator.sequence, Detail: map[string]string{"from": from, "to": to}}
}
