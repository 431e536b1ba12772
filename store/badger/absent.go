package badger

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"doorward/store"
)

// absence tells of most accounts, findings and cases that there is no record of them, without looking for one: every account that is new costs
// two such looks, one by its shard and one by the committer, every finding and case one; and a look for what is not there goes through every
// table and the write buffer (5 us each at a million accounts). It is a Bloom filter over their keys, so it never says so of a key that has a
// record: keys are put in before
// their transaction is committed and never taken out. It is filled once somebody has missed often enough for it to pay.
type absence struct {
	seed    maphash.Seed
	whole   atomic.Bool // the keys that were there when the store was opened are in
	missed  atomic.Int64
	filters atomic.Pointer[[]*filter] // each twice as large as the one before; only the last takes keys

	mu    sync.Mutex // held to add
	count int        // keys in the last filter
}

// filtered are the kinds of record that are looked for when there is none yet.
var filtered = []byte{store.KindAccount, store.KindFinding, store.KindCase}

func isFiltered(key []byte) bool { return len(key) > 0 && bytes.IndexByte(filtered, key[0]) >= 0 }

const (
	missesUntilFilled = 1000
	leastFilter       = 1 << 17 // keys; 256 KiB
	blockWords        = 8       // a block is a cache line, so that a key costs one wait for memory
	keysPerBlock      = 32      // 16 bits a key: one in some thousand absent keys is looked for all the same
	bitsPerKey        = 6
)

// filter is blocks of 512 bits; a key sets bitsPerKey bits of one of them.
type filter struct {
	words []atomic.Uint64
	most  int // keys
}

func newAbsence() *absence {
	a := &absence{seed: maphash.MakeSeed()}
	a.filters.Store(&[]*filter{newFilter(leastFilter)})
	return a
}

func newFilter(keys int) *filter {
	return &filter{words: make([]atomic.Uint64, keys/keysPerBlock*blockWords), most: keys}
}

// certain reports whether key is known to have no record.
func (a *absence) certain(key []byte) bool {
	return a != nil && isFiltered(key) && a.whole.Load() && !a.has(maphash.Bytes(a.seed, key))
}

func (a *absence) has(h uint64) bool {
	for _, f := range *a.filters.Load() {
		if f.has(h) {
			return true
		}
	}
	return false
}

// add notes a key that will have a record.
func (a *absence) add(key []byte) {
	if a == nil || !isFiltered(key) {
		return
	}
	h := maphash.Bytes(a.seed, key)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.has(h) {
		return
	}
	filters := *a.filters.Load()
	last := filters[len(filters)-1]
	if a.count >= last.most {
		last = newFilter(2 * last.most)
		filters = append(filters[:len(filters):len(filters)], last)
		a.filters.Store(&filters)
		a.count = 0
	}
	last.add(h)
	a.count++
}

// bits gives the word and the bits in it that a hash asks for, one after the other: the block by its high half, the bits by its low.
func (f *filter) bits(h uint64, each func(w *atomic.Uint64, bit uint64) bool) bool {
	blocks := uint64(len(f.words) / blockWords)
	block := f.words[(h>>32)*blocks>>32*blockWords:][:blockWords]
	for range bitsPerKey {
		if !each(&block[h&7], 1<<(h>>3&63)) {
			return false
		}
		h = h>>9 | h<<55
	}
	return true
}

func (f *filter) has(h uint64) bool {
	return f.bits(h, func(w *atomic.Uint64, bit uint64) bool { return w.Load()&bit != 0 })
}

func (f *filter) add(h uint64) {
	f.bits(h, func(w *atomic.Uint64, bit uint64) bool { w.Or(bit); return true })
}

// missed notes that a look found nothing, and begins to fill the filter when there were enough.
func (d *DB) missed(key []byte) {
	if d.absent == nil || !isFiltered(key) || d.absent.missed.Add(1) != missesUntilFilled {
		return
	}
	done, err := d.begin()
	if err != nil {
		return // it is being closed
	}
	go func() { // Close waits for it as for any reader
		defer done()
		d.fillAbsence()
	}()
}

// fillAbsence puts in the keys of a snapshot. What is committed after it began has been put in by the committer.
func (d *DB) fillAbsence() {
	txn := d.b.NewTransaction(false)
	defer txn.Discard()
	stopped := false
	for _, kind := range filtered {
		of := store.Key(kind)
		walkKeys(txn, of, store.After(of), func(key []byte) bool {
			select {
			case <-d.stop:
				stopped = true
			default:
				d.absent.add(key)
			}
			return !stopped
		})
	}
	d.absent.whole.Store(!stopped)
}
