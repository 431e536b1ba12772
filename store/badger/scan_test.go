package badger_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"doorward/store"
)

// TestScanAcrossTables compares scans with a sorted list while records lie in several tables and in memory, some overwritten, some
// deleted in a later table than the one that holds them.
func TestScanAcrossTables(t *testing.T) {
	const seed = 5
	r := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	model := make(map[string]string)
	key := func() string { // short, over few letters, so that bounds hit, share beginnings, and lie between
		k := make([]byte, 1+r.IntN(4))
		for i := range k {
			k[i] = []byte{0, 'a', 'b', 0xff}[r.IntN(4)]
		}
		return "z" + string(k)
	}
	db := open(t, dir)
	for round := range 4 {
		for n := range 40 {
			b := &store.Batch{Shard: store.NoShard}
			k := key()
			if r.IntN(3) == 0 {
				b.Delete = [][]byte{[]byte(k)}
				delete(model, k)
			} else {
				v := fmt.Sprintf("%d.%d", round, n)
				b.Put = []store.Pair{{Key: []byte(k), Value: []byte(v)}}
				model[k] = v
			}
			if _, err := db.Commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		if round == 3 {
			break // the last round stays in memory
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = open(t, dir)
	}
	defer db.Close()
	sorted := make([]string, 0, len(model))
	for k := range model {
		sorted = append(sorted, k)
	}
	slices.Sort(sorted)
	for range 2000 {
		from, to, reverse := []byte(key()), []byte(key()), r.IntN(2) == 0
		if r.IntN(3) == 0 {
			to = store.After(from)
		}
		var want, got []string
		for _, k := range sorted {
			if bytes.Compare([]byte(k), from) >= 0 && bytes.Compare([]byte(k), to) < 0 {
				want = append(want, k+"="+model[k])
			}
		}
		if reverse {
			slices.Reverse(want)
		}
		err := db.Scan(t.Context(), from, to, reverse, func(k, v []byte) bool {
			got = append(got, string(k)+"="+string(v))
			return true
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("seed %d, [%q, %q) reverse %v: %v\n got %q\nwant %q", seed, from, to, reverse, err, got, want)
		}
	}
}
