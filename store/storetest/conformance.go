package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"doorward/store"
)

// Run holds an engine to the contract of package store. open opens, or at first makes, the store in dir; Run closes it.
func Run(t *testing.T, open func(t *testing.T, dir string) store.Engine) {
	for _, c := range []struct {
		name string
		test func(*suite)
	}{
		{"get", (*suite).get},
		{"scan order and bounds", (*suite).scan},
		{"a scan sees one moment", (*suite).snapshot},
		{"order within a batch", (*suite).order},
		{"ranges are deleted", (*suite).ranges},
		{"a refused batch leaves nothing", (*suite).atomic},
		{"bulk records are records", (*suite).bulk},
		{"bulk records come and go under readers", (*suite).bulkChurn},
		{"bulk records of a refused batch", (*suite).bulkRefused},
		{"expectations", (*suite).expectations},
		{"one refusal fails no other", (*suite).refusals},
		{"exactly one winner of a thousand", (*suite).oneWinner},
		{"epochs", (*suite).epochs},
		{"a claim fences commits in flight", (*suite).fencing},
		{"logs are chained without gaps", (*suite).logs},
		{"logs under concurrency", (*suite).logsConcurrent},
		{"reopening keeps everything", (*suite).reopen},
		{"limits", (*suite).limits},
		{"a cancelled commit", (*suite).cancelled},
		{"close", (*suite).closed},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := &suite{T: t, dir: dir, open: open, ctx: t.Context()}
			s.e = open(t, dir)
			t.Cleanup(func() {
				if err := s.e.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.test(s)
		})
	}
}

type suite struct {
	*testing.T
	dir  string
	open func(*testing.T, string) store.Engine
	e    store.Engine
	ctx  context.Context
}

func key(format string, args ...any) []byte { return fmt.Appendf(nil, "z"+format, args...) }

func put(pairs ...string) (ps []store.Pair) {
	for i := 0; i < len(pairs); i += 2 {
		ps = append(ps, store.Pair{Key: key("%s", pairs[i]), Value: []byte(pairs[i+1])})
	}
	return ps
}

func (s *suite) commit(b store.Batch) []uint64 {
	s.Helper()
	positions, err := s.e.Commit(s.ctx, &b)
	if err != nil {
		s.Fatalf("commit: %v", err)
	}
	return positions
}

func (s *suite) put(pairs ...string) {
	s.Helper()
	s.commit(store.Batch{Shard: store.NoShard, Put: put(pairs...)})
}

func (s *suite) claim(shard int) uint64 {
	s.Helper()
	epoch, err := s.e.Claim(s.ctx, shard, "test")
	if err != nil {
		s.Fatalf("claim: %v", err)
	}
	return epoch
}

// want checks a key's value; "" with absent set wants no key.
const absent = "\x00absent"

func (s *suite) want(k, value string) {
	s.Helper()
	v, err := s.e.Get(s.ctx, key("%s", k))
	if err != nil {
		s.Fatalf("get %s: %v", k, err)
	}
	got := string(v[0])
	if v[0] == nil {
		got = absent
	}
	if got != value {
		s.Errorf("%s = %q, want %q", k, got, value)
	}
}

func (s *suite) keys(from, to string, reverse bool) (got []string) {
	s.Helper()
	lo, hi := []byte(from), []byte(to)
	if from == "" {
		lo = nil
	}
	if to == "" {
		hi = nil
	}
	err := s.e.Scan(s.ctx, lo, hi, reverse, func(k, v []byte) bool {
		if k[0] == 'z' {
			got = append(got, string(k[1:])+"="+string(v))
		}
		return true
	})
	if err != nil {
		s.Fatalf("scan: %v", err)
	}
	return got
}

func (s *suite) same(what string, got, want any) {
	s.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		s.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func (s *suite) get() {
	s.put("a", "1", "b", "", "c", "3")
	v, err := s.e.Get(s.ctx, key("c"), key("nothing"), key("a"), key("b"))
	if err != nil {
		s.Fatal(err)
	}
	if string(v[0]) != "3" || v[1] != nil || string(v[2]) != "1" {
		s.Errorf("got %q", v)
	}
	if v[3] == nil {
		s.Error("an empty value is not an absent key")
	}
	v[0][0] = 'X' // the caller owns it
	s.want("c", "3")
	if v, err := s.e.Get(s.ctx); err != nil || len(v) != 0 {
		s.Errorf("no keys: %v, %v", v, err)
	}
}

func (s *suite) scan() {
	s.put("b", "2", "a", "1", "b\x00", "2.0", "c", "3", "b\xff", "2.9", "ba", "2.5")
	all := []string{"a=1", "b=2", "b\x00=2.0", "ba=2.5", "b\xff=2.9", "c=3"}
	back := []string{"c=3", "b\xff=2.9", "ba=2.5", "b\x00=2.0", "b=2", "a=1"}
	s.same("all", s.keys("", "", false), all)
	s.same("all, back", s.keys("", "", true), back)
	s.same("prefix", s.keys("zb", string(store.After([]byte("zb"))), false), all[1:5])
	s.same("prefix, back", s.keys("zb", string(store.After([]byte("zb"))), true), back[1:5])
	s.same("upper bound excluded", s.keys("za", "zc", false), all[:5])
	s.same("upper bound excluded, back", s.keys("za", "zc", true), back[1:])
	s.same("bound between keys, back", s.keys("zab", "zbb", true), back[2:5])
	s.same("lower bound included, back", s.keys("zb", "zba", true), back[3:5])
	s.same("open end", s.keys("zba", "", false), all[3:])
	s.same("open start, back", s.keys("", "zb", true), back[5:])
	s.same("empty range", s.keys("zb", "zb", false), []string(nil))
	s.same("range upside down", s.keys("zc", "za", true), []string(nil))

	n := 0
	err := s.e.Scan(s.ctx, []byte("z"), nil, false, func(_, _ []byte) bool { n++; return n < 2 })
	if err != nil || n != 2 {
		s.Errorf("a scan that is stopped: %d calls, %v", n, err)
	}
}

func (s *suite) snapshot() {
	for i := range 50 {
		s.put(fmt.Sprintf("%02d", i), "old")
	}
	n, news := 0, 0
	err := s.e.Scan(s.ctx, key(""), nil, false, func(k, v []byte) bool {
		if n == 0 { // a commit inside a scan: readers never wait for writers, nor the other way round
			s.put("10", "new", "49", "new", "99", "new")
		}
		if n++; string(v) == "new" {
			news++
		}
		return true
	})
	if err != nil || n != 50 || news != 0 {
		s.Errorf("scan saw %d keys, %d of them from after it began, %v", n, news, err)
	}
	s.want("10", "new")
	s.want("99", "new")
}

func (s *suite) order() {
	s.put("a", "0")
	s.commit(store.Batch{Shard: store.NoShard, Put: put("a", "1", "a", "2"), Delete: [][]byte{key("a"), key("never there")}})
	s.want("a", "2")
}

func (s *suite) atomic() {
	s.put("guard", "1")
	b := store.Batch{
		Shard:  store.NoShard,
		Expect: []store.Expect{{Key: key("guard"), Value: []byte("2")}},
		Put:    put("x", "1"),
		Delete: [][]byte{key("guard")},
		Append: []store.Append{{Log: "t", Value: []byte("line")}},
	}
	if _, err := s.e.Commit(s.ctx, &b); err == nil {
		s.Fatal("a failed expectation was applied")
	}
	s.want("x", absent)
	s.want("guard", "1")
	if p := s.commit(store.Batch{Shard: store.NoShard, Append: []store.Append{{Log: "t", Value: []byte("first")}}}); p[0] != 1 {
		s.Errorf("the refused line left position %d to the next", p[0])
	}
}

func (s *suite) expectations() {
	s.put("a", "1", "empty", "")
	for _, c := range []struct {
		name   string
		expect []store.Expect
		index  int // -1: holds
	}{
		{"value", []store.Expect{{Key: key("a"), Value: []byte("1")}}, -1},
		{"absent", []store.Expect{{Key: key("no")}}, -1},
		{"empty", []store.Expect{{Key: key("empty"), Value: []byte{}}}, -1},
		{"other value", []store.Expect{{Key: key("no")}, {Key: key("a"), Value: []byte("2")}}, 1},
		{"absent but there", []store.Expect{{Key: key("a")}}, 0},
		{"empty is not absent", []store.Expect{{Key: key("empty")}}, 0},
		{"absent is not empty", []store.Expect{{Key: key("no"), Value: []byte{}}}, 0},
		{"longer", []store.Expect{{Key: key("a"), Value: []byte("1 ")}}, 0},
	} {
		_, err := s.e.Commit(s.ctx, &store.Batch{Shard: store.NoShard, Expect: c.expect})
		var conflict *store.Conflict
		switch {
		case c.index < 0 && err != nil:
			s.Errorf("%s: %v", c.name, err)
		case c.index >= 0 && !errors.As(err, &conflict):
			s.Errorf("%s: %v, want a conflict", c.name, err)
		case c.index >= 0 && (conflict.Index != c.index || string(conflict.Key) != string(c.expect[c.index].Key)):
			s.Errorf("%s: conflict at %d (%q)", c.name, conflict.Index, conflict.Key)
		}
	}
}

func (s *suite) reopen() {
	epoch := s.claim(3)
	s.commit(store.Batch{Shard: 3, Epoch: epoch, Put: put("a", "1", "b", "2"), Append: []store.Append{{Log: "t", Value: []byte("one")}}})
	s.commit(store.Batch{Shard: 3, Epoch: epoch, Delete: [][]byte{key("a")}})
	if err := s.e.Close(); err != nil {
		s.Fatalf("close: %v", err)
	}
	s.e = s.open(s.T, s.dir)
	s.want("a", absent)
	s.want("b", "2")
	p := s.commit(store.Batch{Shard: 3, Epoch: epoch, Append: []store.Append{{Log: "t", Value: []byte("two")}}})
	s.same("position after reopening", p, []uint64{2})
	s.checkLog("t", 2)
	if again := s.claim(3); again <= epoch {
		s.Errorf("epoch %d after %d", again, epoch)
	}
}

func (s *suite) limits() {
	value := make([]byte, store.MaxValue)
	for i := range value {
		value[i] = byte(i * 7)
	}
	s.commit(store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: key("big"), Value: value}}, Append: []store.Append{{Log: "big", Value: value}}})
	s.want("big", string(value))
	s.checkLog("big", 1)

	most := store.Batch{Shard: store.NoShard}
	each := store.MaxBatch/store.MaxBatchKeys - 8
	for i := range store.MaxBatchKeys {
		most.Put = append(most.Put, store.Pair{Key: key("%06d", i), Value: value[:each]})
	}
	s.commit(most)
	s.want(fmt.Sprintf("%06d", store.MaxBatchKeys-1), string(value[:each]))

	for name, b := range map[string]store.Batch{
		"value too long": {Shard: store.NoShard, Put: []store.Pair{{Key: key("long"), Value: make([]byte, store.MaxValue+1)}}},
		"empty key":      {Shard: store.NoShard, Put: []store.Pair{{Value: []byte("v")}}},
		"no such shard":  {Shard: -7, Put: put("x", "1")},
	} {
		if _, err := s.e.Commit(s.ctx, &b); err == nil {
			s.Errorf("%s: taken", name)
		}
	}
}

func (s *suite) cancelled() {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := s.e.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: put("gone", "1")}); !errors.Is(err, context.Canceled) {
		s.Errorf("commit under a cancelled context: %v", err)
	}
	s.want("gone", absent)
	if _, err := s.e.Get(ctx, key("a")); !errors.Is(err, context.Canceled) {
		s.Errorf("get under a cancelled context: %v", err)
	}
	if err := s.e.Scan(ctx, nil, nil, false, func(_, _ []byte) bool { return true }); !errors.Is(err, context.Canceled) {
		s.Errorf("scan under a cancelled context: %v", err)
	}
}

func (s *suite) closed() {
	s.put("a", "1")
	done := make(chan error, 50)
	for i := range 50 {
		go func() {
			_, err := s.e.Commit(s.ctx, &store.Batch{Shard: store.NoShard, Put: put(fmt.Sprint(i), "1")})
			done <- err
		}()
	}
	if err := s.e.Close(); err != nil {
		s.Errorf("close: %v", err)
	}
	kept := 0
	for range 50 {
		select {
		case err := <-done:
			if err == nil {
				kept++
			} else if !errors.Is(err, store.ErrClosed) {
				s.Errorf("commit while closing: %v", err)
			}
		case <-time.After(10 * time.Second):
			s.Fatal("a commit hangs after close")
		}
	}
	if _, err := s.e.Get(s.ctx, key("a")); !errors.Is(err, store.ErrClosed) {
		s.Errorf("get after close: %v", err)
	}
	if _, err := s.e.Commit(s.ctx, &store.Batch{Shard: store.NoShard, Put: put("b", "1")}); !errors.Is(err, store.ErrClosed) {
		s.Errorf("commit after close: %v", err)
	}
	s.e = s.open(s.T, s.dir)
	if n := len(s.keys("z", "", false)); n != kept+1 {
		s.Errorf("%d keys after reopening, %d were acknowledged", n, kept+1)
	}
}
