package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"doorward/store"
)

func (s *suite) ranges() {
	all := []string{"a=1", "b=2", "ba=2.5", "bb=2.6", "c=3"}
	s.put("a", "1", "b", "2", "ba", "2.5", "bb", "2.6", "c", "3")
	del := func(from, to string, most int, more store.Batch) {
		s.Helper()
		more.Shard = store.NoShard
		more.DeleteRange = []store.Range{{From: key("%s", from), To: key("%s", to), Most: most}}
		s.commit(more)
	}
	del("bc", "c", 10, store.Batch{})
	del("c", "a", 10, store.Batch{})
	del("b", "b", 10, store.Batch{})
	s.same("empty ranges", s.keys("", "", false), all)

	del("b", "c", 2, store.Batch{})
	s.same("the first two", s.keys("", "", false), []string{"a=1", "bb=2.6", "c=3"})

	// Deletes first, then ranges, then puts; a range does not count what is gone already.
	s.put("b", "2", "ba", "2.5")
	del("b", "c", 1, store.Batch{Delete: [][]byte{key("b")}, Put: put("b", "new", "b0", "new")})
	s.same("order within a batch", s.keys("", "", false), []string{"a=1", "b=new", "b0=new", "bb=2.6", "c=3"})

	s.commit(store.Batch{Shard: store.NoShard, DeleteRange: []store.Range{
		{From: key("a"), To: key("b"), Most: 5}, {From: key("b"), To: key("bb"), Most: 5}, {From: key("a"), To: key("bb"), Most: 5},
	}})
	s.same("several", s.keys("", "", false), []string{"bb=2.6", "c=3"})

	refused := &store.Batch{
		Shard: store.NoShard, Expect: []store.Expect{{Key: key("c"), Value: []byte("4")}},
		DeleteRange: []store.Range{{From: key("a"), To: key("z"), Most: 5}},
	}
	if _, err := s.e.Commit(s.ctx, refused); !errors.As(err, new(*store.Conflict)) {
		s.Errorf("a failed expectation: %v", err)
	}
	for _, most := range []int{0, -1, store.MaxBatchKeys + 1} {
		b := &store.Batch{Shard: store.NoShard, DeleteRange: []store.Range{{From: key("a"), To: key("z"), Most: most}}}
		if _, err := s.e.Commit(s.ctx, b); err == nil {
			s.Errorf("a range of at most %d keys was taken", most)
		}
	}
	s.same("nothing of what was refused", s.keys("", "", false), []string{"bb=2.6", "c=3"})
}

// large is a value of n bytes that only its name has.
func large(name string, n int) []byte {
	seed := [32]byte{}
	copy(seed[:], name)
	value := make([]byte, n)
	r := rand.NewChaCha8(seed)
	if _, err := r.Read(value); err != nil {
		panic(err) // it never fails
	}
	return value
}

// bulkKeys are keys of both bulk kinds; Key(kind, shard, sequence, piece) as the engine's rooms make them.
func bulkKey(kind byte, shard, sequence int) []byte {
	return store.Key(kind, store.Shard(shard), uint64(sequence), uint32(0))
}

func (s *suite) wantBulk(k, value []byte) {
	s.Helper()
	v, err := s.e.Get(s.ctx, k)
	if err != nil {
		s.Fatalf("get: %v", err)
	}
	if !bytes.Equal(v[0], value) || (v[0] == nil) != (value == nil) {
		s.Errorf("%x: %d bytes, want %d, or others of the same length", k, len(v[0]), len(value))
	}
}

// bulk: records of the bulk kinds, of any size, beside the others in one batch.
func (s *suite) bulk() {
	sizes := []int{0, 1, 100, 4 << 10, 40 << 10, 110 << 10, 256 << 10, store.MaxValue}
	epoch := s.claim(1)
	for i, n := range sizes {
		for _, kind := range []byte{store.KindDelta, store.KindCheckpoint} {
			k := bulkKey(kind, 1, i)
			s.commit(store.Batch{Shard: 1, Epoch: epoch, Put: append(put(fmt.Sprint(i), "1"), store.Pair{Key: k, Value: large(string(k), n)})})
		}
	}
	check := func() {
		s.Helper()
		for i, n := range sizes {
			for _, kind := range []byte{store.KindDelta, store.KindCheckpoint} {
				k := bulkKey(kind, 1, i)
				s.wantBulk(k, large(string(k), n))
			}
			s.want(fmt.Sprint(i), "1")
		}
		for _, reverse := range []bool{false, true} {
			i := 0
			err := s.e.Scan(s.ctx, store.Key(store.KindDelta), store.After(store.Key(store.KindDelta)), reverse, func(k, v []byte) bool {
				want := i
				if reverse {
					want = len(sizes) - 1 - i
				}
				if i++; !bytes.Equal(k, bulkKey(store.KindDelta, 1, want)) || !bytes.Equal(v, large(string(k), sizes[want])) {
					s.Errorf("scan, reverse %v: %x with %d bytes at %d", reverse, k, len(v), want)
				}
				return true
			})
			if err != nil || i != len(sizes) {
				s.Errorf("scan, reverse %v: %d records, %v", reverse, i, err)
			}
		}
	}
	check()
	if err := s.e.Close(); err != nil {
		s.Fatal(err)
	}
	s.e = s.open(s.T, s.dir)
	check()

	// Expectations, overwriting, deleting: as for any record.
	k := bulkKey(store.KindDelta, 1, 5)
	other := large("other", 50<<10)
	_, err := s.e.Commit(s.ctx, &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: k, Value: other}}, Put: []store.Pair{{Key: k, Value: other}}})
	if !errors.As(err, new(*store.Conflict)) {
		s.Errorf("expecting another value: %v", err)
	}
	s.commit(store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: k, Value: large(string(k), sizes[5])}}, Put: []store.Pair{{Key: k, Value: other}}})
	s.wantBulk(k, other)
	s.commit(store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: k, Value: []byte("short")}}})
	s.wantBulk(k, []byte("short"))
	last := large("last", 20<<10)
	s.commit(store.Batch{Shard: store.NoShard, Delete: [][]byte{k}, Put: []store.Pair{{Key: k, Value: other}, {Key: k, Value: last}}})
	s.wantBulk(k, last)
	s.commit(store.Batch{Shard: store.NoShard, Delete: [][]byte{k}})
	s.wantBulk(k, nil)
	s.commit(store.Batch{Shard: store.NoShard, DeleteRange: []store.Range{
		{From: store.Key(store.KindDelta), To: store.After(store.Key(store.KindDelta)), Most: 100},
	}})
	for i := range sizes {
		s.wantBulk(bulkKey(store.KindDelta, 1, i), nil)
	}
	k = bulkKey(store.KindCheckpoint, 1, 7)
	s.wantBulk(k, large(string(k), sizes[7]))
}

// bulkRefused: what a refused batch carried is nowhere, and what it would have deleted or overwritten is still there.
func (s *suite) bulkRefused() {
	epoch := s.claim(2)
	old, young := bulkKey(store.KindDelta, 2, 1), bulkKey(store.KindDelta, 2, 2)
	s.commit(store.Batch{Shard: 2, Epoch: epoch, Put: []store.Pair{{Key: old, Value: large("old", 30<<10)}}})
	b := store.Batch{
		Shard: 2, Epoch: epoch + 1,
		Put:    []store.Pair{{Key: young, Value: large("young", 30<<10)}, {Key: old, Value: large("x", 30<<10)}},
		Delete: [][]byte{old},
	}
	for range 5 {
		if _, err := s.e.Commit(s.ctx, &b); !errors.Is(err, store.ErrFenced) {
			s.Errorf("a wrong epoch: %v", err)
		}
	}
	s.wantBulk(old, large("old", 30<<10))
	s.wantBulk(young, nil)
}

// bulkChurn writes and deletes bulk records of several shards at once while readers look: each finds the records between two marks whole
// and right, or, when it began before they went, none it may complain of.
func (s *suite) bulkChurn() {
	const shards, rounds, keep, size = 4, 60, 8, 24 << 10
	var writing atomic.Int32
	writing.Store(shards)
	together(shards+2, func(i int) {
		if i >= shards {
			for writing.Load() > 0 {
				s.readChurn(i-shards, size)
			}
			return
		}
		defer writing.Add(-1)
		epoch := s.claim(i)
		for n := range rounds {
			k := bulkKey(store.KindDelta, i, n)
			b := store.Batch{Shard: i, Epoch: epoch, Put: []store.Pair{
				{Key: k, Value: large(string(k), size)},
				{Key: key("newest%d", i), Value: binary.BigEndian.AppendUint64(nil, uint64(n))},
			}}
			if n >= keep {
				b.DeleteRange = []store.Range{{From: bulkKey(store.KindDelta, i, 0), To: bulkKey(store.KindDelta, i, n-keep+1), Most: 100}}
			}
			if _, err := s.e.Commit(s.ctx, &b); err != nil {
				s.Errorf("shard %d: %v", i, err)
				return
			}
		}
	})
	for i := range shards {
		s.readChurn(i, size)
		s.wantBulk(bulkKey(store.KindDelta, i, rounds-keep), large(string(bulkKey(store.KindDelta, i, rounds-keep)), size))
		s.wantBulk(bulkKey(store.KindDelta, i, rounds-keep-1), nil)
	}
}

// readChurn scans a shard's records: in one moment they are consecutive, and each has the value that its key names.
func (s *suite) readChurn(shard, size int) {
	last := -1
	from := bulkKey(store.KindDelta, shard, 0)
	err := s.e.Scan(s.ctx, from, bulkKey(store.KindDelta, shard+1, 0), false, func(k, v []byte) bool {
		n := int(binary.BigEndian.Uint64(k[3:]))
		if last >= 0 && n != last+1 || !bytes.Equal(v, large(string(k), size)) {
			s.Errorf("shard %d: record %d after %d, or not its value", shard, n, last)
			return false
		}
		last = n
		return true
	})
	if err != nil {
		s.Errorf("shard %d: %v", shard, err)
	}
}
