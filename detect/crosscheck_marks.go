package detect

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"doorward/store"
)

// Marks remember, for each partition of the topic of states, how far what stands there is known to be in the store: the records below a
// mark were compared with the store at a start, or published by this process after their commit. A mark is stored with the commit that
// acknowledges what moved it. A batch's commit comes before its publication and before every later commit, so that whoever finds the mark in
// a store, a copy or a backup finds the states below it there too.
type Marks struct {
	mu   sync.Mutex
	part map[int]*marked
}

// mark is the stored form (store.KindMeta "published" partition2). Names are added, never changed.
type mark struct {
	Next int64  `json:"next"`         // the first offset that is not known
	ID   string `json:"id,omitempty"` // ce_id of the record before it, by which the topic is known again; empty: not known
}

// marked is a partition's mark and what was acknowledged beyond it. A hole is a record of another maker, or one of ours whose
// acknowledgement is still on its way or was lost; the mark stays below it, and the next start reads it.
type marked struct {
	mark
	moved  bool
	beyond []acked // by their beginnings, apart from one another
}

type acked struct {
	from, to int64
	id       string
}

// maxBeyond bounds what is remembered beyond a hole: later acknowledgements move no mark then, and the next start reads a little more.
const maxBeyond = 64

// NewMarks makes marks for a topic of which nothing is known.
func NewMarks() *Marks { return &Marks{part: map[int]*marked{}} }

// Acked notes that count records from base on were acknowledged, the last of them being last: kafka.Config.Acked.
func (m *Marks) Acked(topic string, partition int, base int64, count int, last *Message) {
	if topic != TopicState || count <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.part[partition]
	if p == nil { // not compared yet: nothing below is known
		return
	}
	p.ack(acked{base, base + int64(count), headerOf(last.Headers, "ce_id")})
}

func (p *marked) ack(a acked) {
	if a.from < p.Next || len(p.beyond) >= maxBeyond {
		return
	}
	at, _ := slices.BinarySearchFunc(p.beyond, a.from, func(b acked, from int64) int { return int(b.from - from) })
	p.beyond = slices.Insert(p.beyond, at, a)
	for len(p.beyond) > 0 && p.beyond[0].from <= p.Next {
		p.mark, p.moved = mark{p.beyond[0].to, p.beyond[0].id}, true
		p.beyond = p.beyond[1:]
	}
}

// set begins a partition at what was compared.
func (m *Marks) set(partition int, to mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.part[partition] = &marked{mark: to, moved: true}
}

// Pairs are the marks that moved since they were last asked for, for the commit that comes next. Should it fail, the next one that moves
// makes up for it.
func (m *Marks) Pairs() []store.Pair {
	m.mu.Lock()
	defer m.mu.Unlock()
	var pairs []store.Pair
	for n, p := range m.part {
		if !p.moved {
			continue
		}
		p.moved = false
		value, err := json.Marshal(p.mark)
		if err != nil {
			panic("detect: a number and a text always encode: " + err.Error())
		}
		pairs = append(pairs, store.Pair{Key: markKey(n), Value: value})
	}
	return pairs
}

func markKey(partition int) []byte { return store.Key(store.KindMeta, "published", uint16(partition)) }

// loadMarks reads the stored marks of n partitions; one that is not there is zero.
func loadMarks(ctx context.Context, engine store.Engine, n int) ([]mark, error) {
	keys := make([][]byte, n)
	for p := range keys {
		keys[p] = markKey(p)
	}
	values, err := engine.Get(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("read how far states were published: %w", err)
	}
	marks := make([]mark, n)
	for p, v := range values {
		if v == nil {
			continue
		}
		if err := json.Unmarshal(v, &marks[p]); err != nil || marks[p].Next < 0 {
			return nil, fmt.Errorf("read how far states were published: partition %d: %w", p, errNotOurs)
		}
	}
	return marks, nil
}

func headerOf(hs []Header, key string) string {
	for _, h := range hs {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
