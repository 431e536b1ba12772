package journal_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"doorward/store"
	"doorward/store/journal"
	"doorward/store/storetest"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func entry(n int) journal.Entry {
	return journal.Entry{
		At: noon.Add(time.Duration(n) * time.Second), Kind: journal.StateChanged, Account: fmt.Sprintf("acct-%d", n%3), By: "rule",
		Cause: fmt.Sprintf("finding-%d", n), From: "open", To: "locked", Version: uint64(n), Shard: 2, Sequence: uint64(10 * n),
		Detail: map[string]string{"b": "2", "a": "<1>"},
	}
}

// written is a journal of n lines.
func written(t *testing.T, n int) store.Engine {
	t.Helper()
	e := storetest.Open(t)
	var b store.Batch
	b.Shard = store.NoShard
	for i := 1; i <= n; i++ {
		a, err := journal.Append(entry(i))
		if err != nil {
			t.Fatal(err)
		}
		b.Append = append(b.Append, a)
	}
	positions, err := e.Commit(t.Context(), &b)
	if err != nil || positions[n-1] != uint64(n) {
		t.Fatalf("positions %v, %v", positions, err)
	}
	return e
}

func positions(lines []journal.Line) (ps []uint64) {
	for _, l := range lines {
		ps = append(ps, l.Position)
	}
	return ps
}

func TestRead(t *testing.T) {
	e := written(t, 9)
	for _, c := range []struct {
		from    uint64
		limit   int
		reverse bool
		want    []uint64
	}{
		{0, 3, false, []uint64{1, 2, 3}},
		{8, 5, false, []uint64{8, 9}},
		{10, 5, false, nil},
		{0, 2, true, []uint64{9, 8}},
		{3, 9, true, []uint64{3, 2, 1}},
		{99, 1, true, []uint64{9}},
		{1, 0, false, nil},
	} {
		lines, err := journal.Read(t.Context(), e, c.from, c.limit, c.reverse)
		if err != nil || !cmp.Equal(positions(lines), c.want) {
			t.Errorf("from %d, %d lines, reverse %v: %v, %v; want %v", c.from, c.limit, c.reverse, positions(lines), err, c.want)
		}
		for _, l := range lines {
			if diff := cmp.Diff(entry(int(l.Position)), l.Entry); diff != "" {
				t.Errorf("line %d:\n%s", l.Position, diff)
			}
		}
	}
}

func TestFind(t *testing.T) {
	e := written(t, 9)
	lines, err := journal.Find(t.Context(), e, "acct-1", 2)
	if err != nil || !cmp.Equal(positions(lines), []uint64{7, 4}) {
		t.Errorf("%v, %v", positions(lines), err)
	}
	odd := entry(1)
	odd.Account = "a<\"\\é\u2028"
	a, err := journal.Append(odd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Append: []store.Append{a}}); err != nil {
		t.Fatal(err)
	}
	if lines, err := journal.Find(t.Context(), e, odd.Account, 2); err != nil || !cmp.Equal(positions(lines), []uint64{10}) {
		t.Errorf("%q: %v, %v", odd.Account, positions(lines), err)
	}
	for _, nobody := range []string{"acct", "acct-1\"", ""} {
		if lines, err := journal.Find(t.Context(), e, nobody, 2); err != nil || len(lines) != 0 {
			t.Errorf("%q: %v, %v", nobody, positions(lines), err)
		}
	}
}

func TestIncomplete(t *testing.T) {
	for name, e := range map[string]journal.Entry{
		"no kind":  {At: noon, By: "owner"},
		"no maker": {At: noon, Kind: journal.ActMade},
		"no time":  {Kind: journal.ActMade, By: "owner"},
	} {
		if _, err := journal.Append(e); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestStoredForm holds the names of the stored form: lines written by one version are read by every later one.
func TestStoredForm(t *testing.T) {
	a, err := journal.Append(entry(1))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"at":"2026-03-01T12:00:01Z","kind":"state.changed","account":"acct-1","by":"rule","cause":"finding-1","from":"open",` +
		`"to":"locked","version":1,"shard":2,"sequence":10,"detail":{"a":"\u003c1\u003e","b":"2"}}`
	if string(a.Value) != want {
		t.Errorf("got  %s\nwant %s", a.Value, want)
	}
}

func verify(t *testing.T, e store.Engine) journal.Report {
	t.Helper()
	r, err := journal.Verify(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerify(t *testing.T) {
	if r := verify(t, storetest.Open(t)); !r.OK || r.Entries != 0 {
		t.Errorf("an empty journal: %+v", r)
	}
	e := written(t, 20)
	head, err := journal.Head(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	var done uint64
	r, err := journal.Verify(t.Context(), e, func(n uint64) { done = n })
	want := journal.Report{Entries: 20, Head: hex.EncodeToString(head.Hash[:]), OK: true}
	if err != nil || r != want || done != 20 {
		t.Errorf("%+v, progress to %d, %v; want %+v", r, done, err, want)
	}
}

// TestTampering: whatever is done to the stored lines by somebody who writes to the database, Verify names the line.
func TestTampering(t *testing.T) {
	const n = 12
	key := func(p uint64) []byte { return store.LineKey(store.Journal, p) }
	get := func(t *testing.T, e store.Engine, k []byte) []byte {
		v, err := e.Get(t.Context(), k)
		if err != nil || v[0] == nil {
			t.Fatalf("no record to tamper with: %v", err)
		}
		return v[0]
	}
	type tamper struct {
		name  string
		do    func(t *testing.T, e store.Engine) store.Batch
		bad   uint64
		says  string
		whole uint64 // lines before the first bad one
	}
	var cases []tamper
	for p := uint64(1); p <= n; p++ {
		cases = append(cases,
			tamper{fmt.Sprintf("a byte of line %d", p), func(t *testing.T, e store.Engine) store.Batch {
				line := get(t, e, key(p))
				line[store.HashSize+int(p)*7%(len(line)-store.HashSize)] ^= 1
				return store.Batch{Put: []store.Pair{{Key: key(p), Value: line}}}
			}, p, "not the line that was written", p - 1},
			tamper{fmt.Sprintf("a byte of the hash of line %d", p), func(t *testing.T, e store.Engine) store.Batch {
				line := get(t, e, key(p))
				line[p] ^= 0x80
				return store.Batch{Put: []store.Pair{{Key: key(p), Value: line}}}
			}, p, "not the line that was written", p - 1},
		)
		if p < n {
			cases = append(cases,
				tamper{fmt.Sprintf("line %d dropped", p), func(*testing.T, store.Engine) store.Batch {
					return store.Batch{Delete: [][]byte{key(p)}}
				}, p, fmt.Sprintf("line %d is missing", p), p - 1},
				tamper{fmt.Sprintf("lines %d and %d swapped", p, p+1), func(t *testing.T, e store.Engine) store.Batch {
					return store.Batch{Put: []store.Pair{{Key: key(p), Value: get(t, e, key(p+1))}, {Key: key(p + 1), Value: get(t, e, key(p))}}}
				}, p, "not the line that was written", p - 1},
				tamper{fmt.Sprintf("line %d rewritten with a hash that fits", p), func(t *testing.T, e store.Engine) store.Batch {
					var before [store.HashSize]byte
					if p > 1 {
						copy(before[:], get(t, e, key(p-1)))
					}
					_, value, err := store.DecodeLine(get(t, e, key(p)))
					if err != nil {
						t.Fatal(err)
					}
					value = bytes.Replace(value, []byte("locked"), []byte("opened"), 1)
					return store.Batch{Put: []store.Pair{{Key: key(p), Value: store.EncodeLine(store.Chain(before, p, value), value)}}}
				}, p + 1, "follows another one", p},
			)
		}
	}
	cases = append(cases,
		tamper{"the last line dropped", func(*testing.T, store.Engine) store.Batch {
			return store.Batch{Delete: [][]byte{key(n)}}
		}, n, "the lines between were removed", n - 1},
		tamper{"the tail cut and the head set back", func(t *testing.T, e store.Engine) store.Batch {
			h := store.Head{Position: n - 3}
			copy(h.Hash[:], get(t, e, key(n-3)))
			return store.Batch{Delete: [][]byte{key(n)}, Put: []store.Pair{{Key: store.HeadKey(store.Journal), Value: h.Encode()}}}
		}, n - 2, "head was set back", n - 1},
		tamper{"all lines dropped", func(*testing.T, store.Engine) store.Batch {
			var b store.Batch
			for p := uint64(1); p <= n; p++ {
				b.Delete = append(b.Delete, key(p))
			}
			return b
		}, 1, "ends at line 0", 0},
		tamper{"a line added behind the head", func(*testing.T, store.Engine) store.Batch {
			return store.Batch{Put: []store.Pair{{Key: key(n + 1), Value: store.EncodeLine([store.HashSize]byte{}, []byte("{}"))}}}
		}, n + 1, "not the line that was written", n},
		tamper{"a line before the first", func(*testing.T, store.Engine) store.Batch {
			return store.Batch{Put: []store.Pair{{Key: key(0), Value: store.EncodeLine([store.HashSize]byte{}, []byte("{}"))}}}
		}, 0, "where none may be", 0},
		tamper{"a line cut short", func(*testing.T, store.Engine) store.Batch {
			return store.Batch{Put: []store.Pair{{Key: key(5), Value: []byte("short")}}}
		}, 5, "cut short", 4},
		tamper{"a head of another journal", func(*testing.T, store.Engine) store.Batch {
			return store.Batch{Put: []store.Pair{{Key: store.HeadKey(store.Journal), Value: store.Head{Position: n}.Encode()}}}
		}, n, "head does not match", n},
		tamper{"a head that is none", func(*testing.T, store.Engine) store.Batch {
			return store.Batch{Put: []store.Pair{{Key: store.HeadKey(store.Journal), Value: []byte("x")}}}
		}, 0, "head is damaged", 0},
		tamper{"no head", func(*testing.T, store.Engine) store.Batch {
			return store.Batch{Delete: [][]byte{store.HeadKey(store.Journal)}}
		}, 1, "head was set back", n},
	)
	e := written(t, n)
	records := snapshot(t, e)
	for _, c := range cases {
		b := c.do(t, e)
		b.Shard = store.NoShard
		if _, err := e.Commit(t.Context(), &b); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		r := verify(t, e)
		if r.OK || r.FirstBad != c.bad || r.Entries != c.whole || !strings.Contains(r.Problem, c.says) {
			t.Errorf("%s: %+v, want line %d, %d whole, saying %q", c.name, r, c.bad, c.whole, c.says)
		}
		restore(t, e, records, n+1)
	}
	if r := verify(t, e); !r.OK {
		t.Errorf("the journal put back together: %+v", r)
	}
}

func snapshot(t *testing.T, e store.Engine) (pairs []store.Pair) {
	t.Helper()
	for _, from := range [][]byte{store.Key(store.KindLog), store.Key(store.KindLogHead)} {
		err := e.Scan(t.Context(), from, store.After(from), false, func(k, v []byte) bool {
			pairs = append(pairs, store.Pair{Key: bytes.Clone(k), Value: bytes.Clone(v)})
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return pairs
}

func restore(t *testing.T, e store.Engine, pairs []store.Pair, beyond uint64) {
	t.Helper()
	_, err := e.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: pairs,
		Delete: [][]byte{store.LineKey(store.Journal, beyond), store.LineKey(store.Journal, 0)}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestVerifyWhileWriting: lines that are added meanwhile are no tampering.
func TestVerifyWhileWriting(t *testing.T) {
	e := written(t, 5)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		for n := 6; ctx.Err() == nil; n++ {
			a, err := journal.Append(entry(n))
			if err == nil {
				_, err = e.Commit(context.Background(), &store.Batch{Shard: store.NoShard, Append: []store.Append{a}})
			}
			if err != nil {
				stopped <- err
				return
			}
		}
		stopped <- nil
	}()
	for range 20 {
		if r := verify(t, e); !r.OK {
			t.Errorf("%+v", r)
		}
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"at":"2026-03-01T12:00:01Z","kind":"state.changed","by":"rule"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e journal.Entry
		if json.Unmarshal(b, &e) != nil {
			return
		}
		a, err := journal.Append(e)
		if err != nil {
			return
		}
		var again journal.Entry
		if err := json.Unmarshal(a.Value, &again); err != nil {
			t.Fatalf("%s: %v", a.Value, err)
		}
		if second, err := journal.Append(again); err != nil || !bytes.Equal(second.Value, a.Value) {
			t.Errorf("%s became %s, %v", a.Value, second.Value, err)
		}
	})
}
