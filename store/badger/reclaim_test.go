package badger

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"doorward/store"
)

// soakVar is how long TestBulkBounded goes on, as a duration; without it, a few hundred rounds.
const soakVar = "DOORWARD_STORE_SOAK"

// TestBulkBounded runs checkpoint cycle after checkpoint cycle with small sizes: shards of very different speed write deltas and delete
// them in ranges. At every moment the disk takes no more than twice the live bytes and some segments; nothing that is live is ever lost;
// and a restart finds the same.
//
//	DOORWARD_STORE_SOAK=2h go test -run TestBulkBounded -timeout 0 -v ./store/badger
func TestBulkBounded(t *testing.T) {
	d, cfg := segmentsOf(t, 16) // in each of which one value of the slowest shard would hold up 15 dead ones
	const shards, rounds, restart = 3, 600, 250
	var until time.Time
	if soak := os.Getenv(soakVar); soak != "" {
		length, err := time.ParseDuration(soak)
		if err != nil {
			t.Fatal(err)
		}
		until = time.Now().Add(length)
	}
	c := newCycles(shards)
	worst, moved := 0.0, uint64(0)
	for round := 1; round <= rounds || time.Now().Before(until); round++ {
		commitTo(t, d, c.next(round))
		b := d.Bulk()
		// A sweep comes after the answer, and a move after the sweep: as much again for what is under way.
		bound := 2*b.Live + 2*slackSegments*cfg.segment
		if b.Disk > bound {
			t.Fatalf("round %d: %d bytes on disk for %d live ones", round, b.Disk, b.Live)
		}
		worst = max(worst, float64(b.Disk)/float64(b.Live))
		if round%restart == 0 {
			moved += b.Moved
			c.check(t, d)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			d = openCopy(t, cfg)
			if after := d.Bulk(); after.Live != b.Live || after.Disk > b.Disk {
				t.Errorf("round %d: before closing %+v, after opening %+v", round, b, after)
			}
		}
	}
	c.check(t, d)
	b := d.Bulk()
	if moved+b.Moved == 0 {
		t.Error("nothing was moved: the slow shard did not hold up the others' segments")
	}
	t.Logf("at worst %.1f bytes on disk for a live one; %+v; log and tables %s", worst, b, strconv.FormatInt(d.Size()-b.Disk, 10))
}

// cycles are shards with a checkpoint cycle each: the last delta, and the first one that is still needed.
type cycles struct{ last, first []int }

func newCycles(shards int) *cycles {
	return &cycles{last: make([]int, shards), first: make([]int, shards)}
}

// next is a batch of the shard whose turn it is: the second writes one of 8, the third one of 32, and so their values lie among many of the
// first, which are soon gone. After 32 deltas those up to the middle are done with.
func (c *cycles) next(round int) store.Batch {
	shard := 0
	switch {
	case round%32 == 0:
		shard = 2
	case round%8 == 0:
		shard = 1
	}
	c.last[shard]++
	b := store.Batch{Put: []store.Pair{delta(shard, c.last[shard])}}
	if c.last[shard]-c.first[shard] > 32 {
		to := c.last[shard] - 16
		b.DeleteRange = []store.Range{{From: deltaKey(shard, 0), To: deltaKey(shard, to), Most: 100}}
		c.first[shard] = to
	}
	return b
}

func (c *cycles) check(t *testing.T, d *DB) {
	t.Helper()
	for shard := range c.last {
		var want []int
		for n := max(c.first[shard], 1); n <= c.last[shard]; n++ {
			want = append(want, n)
		}
		wantDeltas(t, d, shard, want...)
	}
}

// TestMoveMeetsDelete: a value that is deleted, or written anew, while it is on its way to another segment stays so.
func TestMoveMeetsDelete(t *testing.T) {
	d, _ := smallSegments(t)
	for n := range 4 {
		commitTo(t, d, store.Batch{Put: []store.Pair{delta(1, n)}})
	}
	d.bulk.mu.RLock()
	victim := d.bulk.segments[1]
	d.bulk.mu.RUnlock()
	first, release := jam(t, d)
	move := d.bulk.moveOf(victim) // the committer stands still
	d.bulk.moveBegun()
	fresh := store.Pair{Key: deltaKey(1, 2), Value: deltaValue(deltaKey(9, 9))}
	second := make(chan error, 1)
	go func() {
		_, err := d.Commit(context.Background(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{fresh}, Delete: [][]byte{deltaKey(1, 1)}})
		second <- err
	}()
	for deadline := time.Now().Add(5 * time.Second); len(d.requests) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the second commit does not wait")
		}
	}
	d.pages.in <- move
	release()
	if a := <-move.done; a.err != nil {
		t.Fatal(a.err)
	}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	v, err := d.Get(t.Context(), deltaKey(1, 0), deltaKey(1, 1), deltaKey(1, 2), deltaKey(1, 3))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]byte{deltaValue(deltaKey(1, 0)), nil, fresh.Value, deltaValue(deltaKey(1, 3))} {
		if string(v[i]) != string(want) || (v[i] == nil) != (want == nil) {
			t.Errorf("value %d has %d bytes, want %d, or others", i, len(v[i]), len(want))
		}
	}
	if b := d.Bulk(); b.Moved != 2*bulkSize || b.Live != 3*bulkSize {
		t.Errorf("%+v", b)
	}
}
