package detect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"doorward/rules/window"
)

// paceModel is a Pace with the slices that each shard has been in since its last commits.
type paceModel struct {
	*Pace
	mu    sync.Mutex
	moves [][]int64
}

// moved notes where a shard's clock is now, and fails when a busy shard reads another as of a slice that is more than window.Ahead behind:
// a jump counts as one slice, as in rules/window.
func (m *paceModel) moved(t *testing.T, shard int, at int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at != noSlice {
		m.moves[shard] = append(m.moves[shard], at)
	}
	m.Pace.mu.Lock()
	defer m.Pace.mu.Unlock()
	for i := range m.shards {
		for j, s := range m.shards[i].asOf {
			if i == j || s == noSlice {
				continue
			}
			behind, slice := int64(1), s+1
			for _, to := range m.moves[j] {
				if d := to - slice; d > window.Ahead/2 {
					behind, slice = behind+1, to
				} else if d > 0 {
					behind, slice = behind+d, to
				}
			}
			if behind > window.Ahead {
				t.Errorf("shard %d reads shard %d as of slice %d while it is at %d, %d on", i, j, s, slice, behind)
			}
		}
	}
}

// failed takes back what a shard has taken in since its last commit.
func (m *paceModel) failed(shard int, clock int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keep := m.moves[shard][:0]
	for _, at := range m.moves[shard] {
		if at <= clock {
			keep = append(keep, at)
		}
	}
	m.moves[shard] = keep
}

// paceRunner is a shard as far as Pace sees it: batches of records in order of arrival, of which some fail and are read again.
func paceRunner(ctx context.Context, t *testing.T, p *paceModel, shard int, r *rand.Rand) {
	at := 1_700_000_000 + r.Int64N(600)
	closed, clock := int64(noSlice), int64(noSlice)
	for range 150 {
		var batch []int64
		next := at
		for range 1 + r.IntN(20) {
			next += []int64{0, 0, 0, 1, 1, 3, 20, 31, 45}[r.IntN(9)]
			batch = append(batch, next)
		}
		for len(batch) > 0 {
			if err := p.enter(ctx, shard, time.Unix(batch[0], 0), closed); err != nil {
				t.Errorf("shard %d waits for ever", shard)
				return
			}
			n := 0
			for n < len(batch) && p.may(shard, time.Unix(batch[n], 0)) {
				p.moved(t, shard, batch[n])
				if n++; r.IntN(4) == 0 {
					runtime.Gosched()
				}
			}
			if n == 0 {
				t.Errorf("shard %d may take nothing in after it has entered", shard)
				n = 1
			}
			if r.IntN(10) == 0 { // the commit fails: the shard loads again and reads the same
				p.leave(shard)
				p.failed(shard, clock)
				continue
			}
			at = max(at, batch[n-1])
			clock, closed = at, at-1
			p.committed(shard, closed, clock)
			p.leave(shard)
			batch = batch[n:]
			if r.IntN(8) == 0 { // quiet for a while: its slices close by the others' clocks
				if to := p.newest(); to.Unix() > clock && p.may(shard, to) {
					p.moved(t, shard, to.Unix())
					at, clock, closed = to.Unix(), to.Unix(), to.Unix()-1
					p.committed(shard, closed, clock)
				}
			}
		}
	}
}

// TestPace: no shard is ever read as of a slice more than window.Ahead behind it, whatever stalls, fails or is idle, and nobody waits for
// ever.
func TestPace(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			n := 2 + int(seed)
			p := &paceModel{Pace: NewPace(n), moves: make([][]int64, n)}
			var all sync.WaitGroup
			for shard := range n {
				all.Go(func() { paceRunner(ctx, t, p, shard, rand.New(rand.NewPCG(seed, uint64(shard)))) })
			}
			all.Wait()
		})
	}
}
