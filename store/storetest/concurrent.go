package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"doorward/store"
)

// together runs f n times at once and waits.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-start; f(i) })
	}
	close(start)
	wg.Wait()
}

func (s *suite) refusals() {
	epoch := s.claim(1)
	s.put("guard", "1")
	var applied, fenced, conflicts atomic.Int64
	together(300, func(i int) {
		b := store.Batch{Shard: 1, Epoch: epoch, Put: put(fmt.Sprintf("n%03d", i), "1")}
		switch i % 3 {
		case 1:
			b.Epoch--
		case 2:
			b.Expect = []store.Expect{{Key: key("guard"), Value: []byte("other")}}
		}
		_, err := s.e.Commit(s.ctx, &b)
		var conflict *store.Conflict
		switch {
		case err == nil:
			applied.Add(1)
		case errors.Is(err, store.ErrFenced):
			fenced.Add(1)
		case errors.As(err, &conflict):
			conflicts.Add(1)
		default:
			s.Errorf("batch %d: %v", i, err)
		}
	})
	s.same("applied, fenced, in conflict", []int64{applied.Load(), fenced.Load(), conflicts.Load()}, []int64{100, 100, 100})
	for i := range 300 {
		want := absent
		if i%3 == 0 {
			want = "1"
		}
		s.want(fmt.Sprintf("n%03d", i), want)
	}
}

func (s *suite) oneWinner() {
	var winners atomic.Int64
	together(1000, func(i int) {
		_, err := s.e.Commit(s.ctx, &store.Batch{
			Shard:  store.NoShard,
			Expect: []store.Expect{{Key: key("code")}},
			Put:    put("code", fmt.Sprintf("spent by %d", i), "winner", fmt.Sprintf("spent by %d", i)),
		})
		var conflict *store.Conflict
		if err == nil {
			winners.Add(1)
		} else if !errors.As(err, &conflict) {
			s.Errorf("try %d: %v", i, err)
		}
	})
	s.same("winners", winners.Load(), 1)
	v, err := s.e.Get(s.ctx, key("code"), key("winner"))
	if err != nil || v[0] == nil || string(v[0]) != string(v[1]) {
		s.Errorf("%q, %v", v, err)
	}
}

func (s *suite) epochs() {
	if _, err := s.e.Commit(s.ctx, &store.Batch{Shard: 5, Put: put("a", "0")}); !errors.Is(err, store.ErrFenced) {
		s.Errorf("a commit for a shard that nobody claimed: %v", err)
	}
	first := s.claim(5)
	other := s.claim(6)
	s.commit(store.Batch{Shard: 5, Epoch: first, Put: put("a", "1")})
	second := s.claim(5)
	if second <= first || first == 0 {
		s.Errorf("epochs %d, %d do not grow from 1", first, second)
	}
	for _, wrong := range []uint64{0, first, second + 1} {
		if _, err := s.e.Commit(s.ctx, &store.Batch{Shard: 5, Epoch: wrong, Put: put("a", "zombie")}); !errors.Is(err, store.ErrFenced) {
			s.Errorf("epoch %d instead of %d: %v", wrong, second, err)
		}
	}
	s.want("a", "1")
	s.commit(store.Batch{Shard: 5, Epoch: second, Put: put("a", "2")})
	s.commit(store.Batch{Shard: 6, Epoch: other, Put: put("b", "1")}) // another shard's claims are its own
	s.commit(store.Batch{Shard: store.NoShard, Epoch: 99, Put: put("c", "1")})
}

// fencing lets two owners write a counter each believes to own: what the first wrote after the second's claim must not be there.
func (s *suite) fencing() {
	first := s.claim(2)
	var second, stale atomic.Uint64
	together(40, func(i int) {
		if i == 20 {
			second.Store(s.claim(2))
			s.commit(store.Batch{Shard: 2, Epoch: second.Load(), Put: put("owner", "second")})
			return
		}
		claimed := second.Load() != 0
		_, err := s.e.Commit(s.ctx, &store.Batch{Shard: 2, Epoch: first, Put: put("owner", "first")})
		switch {
		case err == nil && claimed:
			stale.Add(1)
		case err != nil && !errors.Is(err, store.ErrFenced):
			s.Errorf("commit %d: %v", i, err)
		}
	})
	s.same("commits of the zombie after the claim was answered", stale.Load(), 0)
	s.want("owner", "second")
}

func (s *suite) logs() {
	p := s.commit(store.Batch{Shard: store.NoShard, Append: []store.Append{
		{Log: "a", Value: []byte("one")}, {Log: "b", Value: []byte("eins")}, {Log: "a", Value: []byte("two")}, {Log: "a", Value: nil},
	}})
	s.same("positions", p, []uint64{1, 1, 2, 3})
	s.same("positions", s.commit(store.Batch{Shard: store.NoShard, Append: []store.Append{{Log: "b", Value: []byte("zwei")}}}), []uint64{2})
	s.same("log a", s.checkLog("a", 3), []string{"one", "two", ""})
	s.same("log b", s.checkLog("b", 2), []string{"eins", "zwei"})
}

func (s *suite) logsConcurrent() {
	epoch := s.claim(1)
	var mu sync.Mutex
	given := make(map[uint64]string)
	lines := 0
	together(120, func(i int) {
		b := store.Batch{Shard: 1, Epoch: epoch}
		if i%10 == 0 {
			b.Epoch = epoch + 1 // refused, and must leave no hole
		}
		for n := range i%4 + 1 {
			b.Append = append(b.Append, store.Append{Log: "t", Value: fmt.Appendf(nil, "%d/%d", i, n)})
		}
		p, err := s.e.Commit(s.ctx, &b)
		if i%10 == 0 {
			if !errors.Is(err, store.ErrFenced) {
				s.Errorf("batch %d: %v", i, err)
			}
			return
		}
		if err != nil || len(p) != len(b.Append) {
			s.Errorf("batch %d: positions %v, %v", i, p, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for n, at := range p {
			if n > 0 && at != p[n-1]+1 {
				s.Errorf("lines of one batch are apart: %v", p)
			}
			given[at] = string(b.Append[n].Value)
		}
		lines += len(p)
	})
	got := s.checkLog("t", lines)
	for i, v := range got {
		if given[uint64(i+1)] != v {
			s.Errorf("line %d is %q, its maker was told so of %q", i+1, v, given[uint64(i+1)])
		}
	}
}

// checkLog reads a log and follows its chain from the first line to the head.
func (s *suite) checkLog(log store.Log, lines int) (values []string) {
	s.Helper()
	var last store.Head
	err := s.e.Scan(context.Background(), store.LineKey(log, 0), store.After(store.LineKey(log, math.MaxUint64)), false, func(k, line []byte) bool {
		hash, value, err := store.DecodeLine(line)
		at := binary.BigEndian.Uint64(k[len(k)-8:])
		if err != nil || at != last.Position+1 || hash != store.Chain(last.Hash, at, value) {
			s.Errorf("log %s breaks at line %d after %d: %v", log, at, last.Position, err)
			return false
		}
		last = store.Head{Position: at, Hash: hash}
		values = append(values, string(value))
		return true
	})
	if err != nil {
		s.Fatal(err)
	}
	v, err := s.e.Get(s.ctx, store.HeadKey(log))
	if err != nil {
		s.Fatal(err)
	}
	head, err := store.DecodeHead(v[0])
	if err != nil || head != last || last.Position != uint64(lines) {
		s.Errorf("log %s: %d lines, head at %d, want %d (%v)", log, last.Position, head.Position, lines, err)
	}
	return values
}
