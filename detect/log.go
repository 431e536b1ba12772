package detect

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"doorward/store"
)

// A shard's log (store.KindShardLog, shard, sequence of the line's first input) is a line for each commit that took something in: see taken.
// It names what was taken in, in order, so that `replay --store` can take in the same again: records by topic and offset, acts by their bytes
// (which leave the inbox when they are applied), rule sets and terms by their fingerprints, and what was read of other shards.
//
// What a shard reads of the others is named by slice (AsOf), and by what it was told of their records (heard). The turn puts the lines of all
// shards of a process into one order: in that order, a shard has always closed the slices that the others read of it, and never moved on by
// more than they can look back (Pace). Lines of one shard are without a gap, from sequence 1; old ones are swept by At, as findings are.

// heard is what decided in a batch beside the records of its own shard's log: what others' records told, and what could not be evaluated.
type heard struct {
	Foreign []foreign `json:"foreign,omitempty"` // inputs about accounts that live elsewhere
	Failed  []uint64  `json:"failed,omitempty"`  // inputs that the program had failed at: nothing was made of them
	Found   []string  `json:"found,omitempty"`   // ids of findings that there were already, so that they were not found again
}

// foreign is an input about an account that lives on another shard.
type foreign struct {
	Sequence uint64 `json:"sequence"`
	Home     int    `json:"home"`
}

// heardWeight is far more than one thing heard takes in a line, so that a batch ends before its line is longer than a value may be.
const heardWeight = 1024

func (v *Evaluator) foreign(sequence uint64, home int) {
	v.owed.heard.Foreign = append(v.owed.heard.Foreign, foreign{sequence, home})
}

// turn is the next place in the order of batches. It is taken between two commits, after what the batch reads of others is fixed.
func (p *Pace) turn() uint64 { return p.turns.Add(1) }

// takeTurnsAfter lets turns go on behind those of every shard's log: what this process takes in comes after what the one before it took.
func (s *Shard) takeTurnsAfter(ctx context.Context) error {
	keys := make([][]byte, len(s.config.Pace.shards))
	for i := range keys {
		keys[i] = store.Key(store.KindProgress, store.Shard(i))
	}
	values, err := s.config.Store.Get(ctx, keys...)
	if err != nil {
		return fmt.Errorf("read the shards' turns: %w", err)
	}
	for _, b := range values {
		var p progress
		if b == nil {
			continue
		}
		if err := json.Unmarshal(b, &p); err != nil {
			return fmt.Errorf("read the shards' turns: %w: %w", errNotOurs, err)
		}
		for t := &s.config.Pace.turns; ; {
			if now := t.Load(); now >= p.Turn || t.CompareAndSwap(now, p.Turn) {
				break
			}
		}
	}
	return nil
}

// putLog writes the line of what was taken in, and beside it the acts as they stood in the inbox.
func (s *Shard) putLog(b *store.Batch) error {
	if s.taken.Last < s.taken.First {
		return nil
	}
	s.taken.heard = s.evaluator.owed.heard
	if s.taken.At.IsZero() { // nothing has come yet, and a line without a time would be swept at once
		s.taken.At = s.config.Now().UTC()
	}
	line, err := json.Marshal(&s.taken)
	if err != nil {
		return fmt.Errorf("encode the shard's log: %w", err)
	}
	b.Put = append(b.Put, store.Pair{Key: store.Key(store.KindShardLog, store.Shard(s.n), s.taken.First), Value: line})
	for i, act := range s.taken.acts {
		b.Put = append(b.Put, store.Pair{Key: actKey(s.n, s.taken.First, s.taken.Acts[i]), Value: act})
	}
	return nil
}

func actKey(shard int, first, position uint64) []byte {
	return store.Key(store.KindShardLog, store.Shard(shard), first, position)
}

// logReader reads a shard's log, a few hundred lines at a time.
type logReader struct {
	engine store.Engine
	shard  int
	next   []byte // key to go on from; nil: the end
	lines  []logLine
}

// logLine is a line with the acts that belong to it.
type logLine struct {
	taken
	inputs [][]byte // acts
}

func newLogReader(engine store.Engine, shard int) *logReader {
	return &logReader{engine: engine, shard: shard, next: store.Key(store.KindShardLog, store.Shard(shard))}
}

const linesAtOnce = 256

// line is the next line, nil at the end of the log.
func (r *logReader) line(ctx context.Context) (*logLine, error) {
	if len(r.lines) == 0 && r.next != nil {
		if err := r.read(ctx); err != nil {
			return nil, fmt.Errorf("read the log of shard %d: %w", r.shard, err)
		}
	}
	if len(r.lines) == 0 {
		return nil, nil
	}
	l := r.lines[0]
	r.lines = r.lines[1:]
	return &l, nil
}

func (r *logReader) read(ctx context.Context) error {
	all := store.Key(store.KindShardLog, store.Shard(r.shard))
	from, bad := r.next, error(nil)
	r.next, r.lines = nil, nil
	err := r.engine.Scan(ctx, from, store.After(all), false, func(key, value []byte) bool {
		act := len(key) > len(all)+8
		if !act && len(r.lines) == linesAtOnce {
			r.next = bytes.Clone(key)
			return false
		}
		bad = r.add(key[len(all):], value, act)
		return bad == nil
	})
	if err != nil {
		return err
	}
	return bad
}

func (r *logReader) add(key, value []byte, act bool) error {
	if len(key) != 8 && len(key) != 16 {
		return fmt.Errorf("key %x: %w", key, errNotOurs)
	}
	first, n := binary.BigEndian.Uint64(key), len(r.lines)
	if !act {
		l := logLine{}
		if err := json.Unmarshal(value, &l.taken); err != nil {
			return fmt.Errorf("line %d: %w: %w", first, errNotOurs, err)
		}
		r.lines = append(r.lines, l)
		return nil
	}
	if n == 0 || r.lines[n-1].First != first { // its line was swept before it
		return nil
	}
	r.lines[n-1].inputs = append(r.lines[n-1].inputs, bytes.Clone(value))
	return nil
}
