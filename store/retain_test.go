package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"doorward/store"
	"doorward/store/storetest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func millis(day int) uint64 { return uint64(noon.AddDate(0, 0, day).UnixMilli()) }

func put(t *testing.T, e store.Engine, pairs []store.Pair) {
	t.Helper()
	if _, err := e.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: pairs}); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, e store.Engine, kind byte) int {
	t.Helper()
	n := 0
	if err := e.Scan(t.Context(), store.Key(kind), store.After(store.Key(kind)), false, func(_, _ []byte) bool { n++; return true }); err != nil {
		t.Fatal(err)
	}
	return n
}

// drain calls a sweep until it reaches the end and holds every call to its limit.
func drain(t *testing.T, most int, sweep func(from []byte) (store.Swept, error)) (deleted, calls int) {
	t.Helper()
	for from := []byte(nil); ; calls++ {
		s, err := sweep(from)
		if err != nil {
			t.Fatal(err)
		}
		if s.Deleted > most {
			t.Errorf("one call deleted %d, %d are the most", s.Deleted, most)
		}
		deleted += s.Deleted
		if from = s.Next; from == nil {
			return deleted, calls + 1
		}
	}
}

func TestSweepFindings(t *testing.T) {
	e := storetest.Open(t)
	var pairs []store.Pair
	for n := range 100 {
		id := fmt.Sprintf("finding-%d", n)
		pairs = append(pairs,
			store.Pair{Key: store.Key(store.KindFindingOf, fmt.Sprintf("acct-%d", n%7), millis(n), id), Value: []byte{}},
			store.Pair{Key: store.Key(store.KindFinding, id), Value: []byte("evidence")})
	}
	put(t, e, append(pairs, store.Pair{Key: []byte("Gafter"), Value: []byte("1")}))
	before := noon.AddDate(0, 0, 40)
	deleted, calls := drain(t, 9, func(from []byte) (store.Swept, error) {
		return store.SweepFindings(t.Context(), e, before, from, 9)
	})
	if deleted != 40 || calls < 11 {
		t.Errorf("%d deleted in %d calls, want 40 in more than 11", deleted, calls)
	}
	for n := range 100 {
		v, err := e.Get(t.Context(), pairs[2*n].Key, pairs[2*n+1].Key)
		if err != nil {
			t.Fatal(err)
		}
		if gone := n < 40; (v[0] == nil) != gone || (v[1] == nil) != gone {
			t.Errorf("finding %d: listed %v, kept %v", n, v[0] != nil, v[1] != nil)
		}
	}
	if n := count(t, e, 'G'); n != 1 {
		t.Error("a record of another kind is gone")
	}
}

func TestSweepDead(t *testing.T) {
	e := storetest.Open(t)
	var pairs []store.Pair
	for n := range 50 {
		pairs = append(pairs, store.Pair{Key: store.Key(store.KindDead, millis(n), fmt.Sprint(n)), Value: []byte("bytes")})
	}
	put(t, e, pairs)
	deleted, _ := drain(t, 8, func(from []byte) (store.Swept, error) {
		return store.SweepDead(t.Context(), e, noon.AddDate(0, 0, 20), from, 8)
	})
	if left := count(t, e, store.KindDead); deleted != 20 || left != 30 {
		t.Errorf("%d deleted, %d left", deleted, left)
	}
}

func TestSweepBy(t *testing.T) {
	e := storetest.Open(t)
	var pairs []store.Pair
	for n := range 50 {
		pairs = append(pairs, store.Pair{Key: store.Key(store.KindDecision, fmt.Sprintf("hash-%02d", n)), Value: binary.BigEndian.AppendUint64(nil, millis(n*37%50))})
	}
	put(t, e, pairs)
	at := func(v []byte) (time.Time, error) {
		if len(v) != 8 {
			return time.Time{}, errors.New("no decision")
		}
		return time.UnixMilli(int64(binary.BigEndian.Uint64(v))), nil
	}
	deleted, _ := drain(t, 8, func(from []byte) (store.Swept, error) {
		return store.SweepBy(t.Context(), e, store.KindDecision, noon.AddDate(0, 0, 20), at, from, 8)
	})
	if left := count(t, e, store.KindDecision); deleted != 20 || left != 30 {
		t.Errorf("%d deleted, %d left", deleted, left)
	}
	put(t, e, []store.Pair{{Key: store.Key(store.KindDecision, "damaged"), Value: []byte("?")}})
	if _, err := store.SweepBy(t.Context(), e, store.KindDecision, noon.AddDate(1, 0, 0), at, nil, 100); err == nil {
		t.Error("a record without a time was passed over or deleted")
	}
	if left := count(t, e, store.KindDecision); left != 31 {
		t.Errorf("%d left", left)
	}
}

func TestAfter(t *testing.T) {
	for _, c := range []struct{ prefix, want string }{{"a", "b"}, {"a\xff", "b"}, {"a\x00", "a\x01"}, {"\xff\xff", ""}, {"", ""}} {
		if got := store.After([]byte(c.prefix)); string(got) != c.want || (c.want == "") != (got == nil) {
			t.Errorf("after %q comes %q, want %q", c.prefix, got, c.want)
		}
	}
}

func TestKeyOrder(t *testing.T) {
	a, b := store.Key(store.KindDeadline, uint64(255), "b"), store.Key(store.KindDeadline, uint64(256), "a")
	if bytes.Compare(a, b) >= 0 {
		t.Error("order of keys is not order of numbers")
	}
	if got := store.Key(store.KindFindingOf, "acct", uint64(1), "f"); string(got) != "Facct\x00\x00\x00\x00\x00\x00\x00\x00\x01f" {
		t.Errorf("got %q", got)
	}
	if got := store.Inbox(42); got != "inbox-00042" {
		t.Errorf("got %q", got)
	}
}

func FuzzDecodeHead(f *testing.F) {
	f.Add(store.Head{Position: 7, Hash: [32]byte{1}}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := store.DecodeHead(b); err == nil && b != nil && !bytes.Equal(h.Encode(), b) {
			t.Errorf("%x became %x", b, h.Encode())
		}
	})
}
