package badger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"doorward/store"

	badgerdb "github.com/dgraph-io/badger/v4"
)

// group is one transaction that several requests share. Each is judged against what the transaction holds so far.
type group struct {
	txn         *badgerdb.Txn
	bulk        *bulk // nil: every value is in Badger
	absent      *absence
	bytes, keys int64
	writes      bool
	judged      []*judgement
}

type judgement struct {
	request *request
	answer  answer
}

func newGroup(txn *badgerdb.Txn, bulk *bulk, absent *absence) *group {
	return &group{txn: txn, bulk: bulk, absent: absent, bytes: 64, keys: 2} // the commit's number, and Badger's end of the transaction
}

func (g *group) fits(r *request) bool {
	return g.bytes+r.bytes < maxTxnBytes && g.keys+r.keys < maxTxnKeys
}

func (g *group) requests() []*request {
	rs := make([]*request, 0, len(g.judged))
	for _, j := range g.judged {
		rs = append(rs, j.request)
	}
	return rs
}

// applied are the requests that were not refused.
func (g *group) applied() []*request {
	rs := make([]*request, 0, len(g.judged))
	for _, j := range g.judged {
		if j.answer.err == nil {
			rs = append(rs, j.request)
		}
	}
	return rs
}

// apply judges r and, if it may, writes it into the transaction. An error means that the transaction must be thrown away.
func (g *group) apply(r *request) error {
	refusal := g.judge(r)
	if refusal != nil {
		g.judged = append(g.judged, &judgement{r, answer{err: refusal}})
		return nil
	}
	var a answer
	var err error
	switch {
	case r.move != nil:
		err = g.rename(r)
	case r.batch == nil:
		a.epoch, err = g.claim(r)
	default:
		a.positions, err = g.write(r)
	}
	if err != nil {
		return err
	}
	g.bytes += r.bytes
	g.keys += r.keys
	g.writes = g.writes || r.keys > 0
	g.judged = append(g.judged, &judgement{r, a})
	return nil
}

// judge says why r may not be applied; nil when it may. A record that can't be read refuses, too.
func (g *group) judge(r *request) error {
	if r.batch == nil {
		return nil
	}
	if r.shard != store.NoShard {
		epoch, err := g.epoch(r.shard)
		if err != nil {
			return err
		}
		if epoch != r.batch.Epoch || epoch == 0 {
			return store.ErrFenced
		}
	}
	for i, e := range r.batch.Expect {
		if e.Value == nil && g.absent.certain(e.Key) {
			continue
		}
		v, err := lookup(g.txn, g.bulk, e.Key)
		if err != nil {
			return fmt.Errorf("reading an expected record: %w", err)
		}
		if (v == nil) != (e.Value == nil) || !bytes.Equal(v, e.Value) {
			return &store.Conflict{Index: i, Key: bytes.Clone(e.Key)}
		}
	}
	return nil
}

func (g *group) epoch(shard int) (uint64, error) {
	v, err := lookup(g.txn, g.bulk, epochKey(shard))
	if err != nil {
		return 0, fmt.Errorf("reading the epoch of shard %d: %w", shard, err)
	}
	if v == nil {
		return 0, nil
	}
	if len(v) < 8 {
		return 0, fmt.Errorf("the epoch of shard %d is damaged", shard)
	}
	return binary.BigEndian.Uint64(v), nil
}

func epochKey(shard int) []byte { return store.Key(store.KindEpoch, store.Shard(shard)) }

// claim raises the epoch; the record is the epoch, then who claimed.
func (g *group) claim(r *request) (uint64, error) {
	epoch, err := g.epoch(r.shard)
	if err != nil {
		return 0, err
	}
	epoch++
	return epoch, g.txn.Set(epochKey(r.shard), append(binary.BigEndian.AppendUint64(nil, epoch), r.owner...))
}

// write puts deletes, puts and appends into the transaction, in this order.
func (g *group) write(r *request) ([]uint64, error) {
	b := r.batch
	for _, k := range b.Delete {
		if err := g.txn.Delete(k); err != nil {
			return nil, err
		}
	}
	r.ranged = nil
	for _, d := range b.DeleteRange {
		keys, err := g.deleteRange(d)
		if err != nil {
			return nil, err
		}
		r.ranged = append(r.ranged, keys...)
	}
	for i, p := range b.Put {
		g.absent.add(p.Key)
		e := badgerdb.NewEntry(p.Key, p.Value)
		if r.refs != nil && r.refs[i].length > 0 {
			e = badgerdb.NewEntry(p.Key, r.refs[i].encode()).WithMeta(metaBulk)
		}
		if err := g.txn.SetEntry(e); err != nil {
			return nil, err
		}
	}
	if len(b.Append) == 0 {
		return nil, nil
	}
	return g.append(b.Append)
}

// deleteRange finds the keys as the transaction would leave them so far.
func (g *group) deleteRange(r store.Range) (keys [][]byte, err error) {
	walkKeys(g.txn, r.From, r.To, func(k []byte) bool {
		keys = append(keys, bytes.Clone(k))
		return len(keys) < r.Most
	})
	for _, k := range keys {
		if err := g.txn.Delete(k); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// rename lets the records of a move name their values' new places, as far as they still name the old ones.
func (g *group) rename(r *request) error {
	for i, key := range r.move.keys {
		item, err := g.txn.Get(key)
		if err != nil && !errors.Is(err, badgerdb.ErrKeyNotFound) {
			return fmt.Errorf("reading a record: %w", err)
		}
		if r.move.gone[i] = err != nil || !names(item, r.move.refs[i]); r.move.gone[i] {
			continue
		}
		if err := g.txn.SetEntry(badgerdb.NewEntry(key, r.refs[i].encode()).WithMeta(metaBulk)); err != nil {
			return err
		}
	}
	return nil
}

func names(item *badgerdb.Item, at ref) (same bool) {
	if item.UserMeta() != metaBulk {
		return false
	}
	err := item.Value(func(v []byte) error { same = bytes.Equal(v, at.encode()); return nil })
	return same && err == nil
}

func (g *group) append(lines []store.Append) ([]uint64, error) {
	positions := make([]uint64, len(lines))
	heads := make(map[store.Log]store.Head, 2)
	for i, a := range lines {
		head, known := heads[a.Log]
		if !known {
			v, err := lookup(g.txn, g.bulk, store.HeadKey(a.Log))
			if err != nil {
				return nil, fmt.Errorf("reading the head of log %s: %w", a.Log, err)
			}
			if head, err = store.DecodeHead(v); err != nil {
				return nil, fmt.Errorf("log %s: %w", a.Log, err)
			}
		}
		head.Position++
		head.Hash = store.Chain(head.Hash, head.Position, a.Value)
		if err := g.txn.Set(store.LineKey(a.Log, head.Position), store.EncodeLine(head.Hash, a.Value)); err != nil {
			return nil, err
		}
		heads[a.Log] = head
		positions[i] = head.Position
	}
	for log, head := range heads {
		if err := g.txn.Set(store.HeadKey(log), head.Encode()); err != nil {
			return nil, err
		}
	}
	return positions, nil
}

// maxKey is the longest key in bytes: twice an account id, an event id and the numbers beside them. Badger would take 65,000.
const maxKey = 4096

// measure checks a batch against the contract's limits and says how much of a transaction it takes at most.
func (r *request) measure() error {
	b := r.batch
	if b.Shard != store.NoShard {
		if err := validShard(b.Shard); err != nil {
			return err
		}
	}
	var size int64
	add := func(what string, key, value []byte) error {
		if err := validKey(key); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if len(value) > store.MaxValue {
			return fmt.Errorf("store: the value of a %s has %d bytes, %d are the most", what, len(value), store.MaxValue)
		}
		size += int64(len(key) + len(value))
		return nil
	}
	for _, e := range b.Expect {
		if err := validKey(e.Key); err != nil {
			return fmt.Errorf("expectation: %w", err)
		}
	}
	for _, k := range b.Delete {
		if err := add("delete", k, nil); err != nil {
			return err
		}
	}
	for _, p := range b.Put {
		if err := add("put", p.Key, p.Value); err != nil {
			return err
		}
	}
	logs := make(map[store.Log]bool)
	for _, a := range b.Append {
		if len(a.Log) > maxLogName {
			return fmt.Errorf("store: the name of log %.20s... is longer than %d bytes", a.Log, maxLogName)
		}
		if err := add("line", store.LineKey(a.Log, 0), a.Value); err != nil {
			return err
		}
		size += store.HashSize
		logs[a.Log] = true
	}
	keys := len(b.Delete) + len(b.Put) + len(b.Append)
	for _, d := range b.DeleteRange {
		if d.Most < 1 || d.Most > store.MaxBatchKeys {
			return fmt.Errorf("store: a range of at most %d keys to delete, 1 to %d are possible", d.Most, store.MaxBatchKeys)
		}
		keys += d.Most
		size += int64(d.Most) * rangeKey
	}
	if size > store.MaxBatch || keys > store.MaxBatchKeys || len(logs) > maxLogs {
		return fmt.Errorf("store: a batch of %d keys, %d bytes and lines for %d logs is too large, %d, %d and %d are the most",
			keys, size, len(logs), store.MaxBatchKeys, store.MaxBatch, maxLogs)
	}
	r.keys = int64(keys + len(logs))
	r.bytes = size + r.keys*perKey + int64(len(logs))*(maxLogName+8+store.HashSize)
	return nil
}

// measureBulk takes out of the transaction's share the values that go to a segment.
func (r *request) measureBulk() {
	for _, p := range r.batch.Put {
		if goesToBulk(p.Key, p.Value) {
			r.bulk += int64(len(p.Value))
			r.pages = r.pages || p.Key[0] == store.KindCheckpoint
			r.bytes -= int64(len(p.Value)) - refSize
		}
	}
}

// maxLogName and maxLogs bound the logs that one batch appends to: the program names them, not the world, and has two of them.
const (
	maxLogName = 64
	maxLogs    = 8
)

// rangeKey is how long the keys of a range are taken to be before they are known; those of the key space that are deleted in masses have
// at most 32 bytes. Longer ones may be refused, nothing being applied, when they fill a transaction.
const rangeKey = 64

func validKey(key []byte) error {
	switch {
	case len(key) == 0:
		return errors.New("store: an empty key")
	case len(key) > maxKey:
		return fmt.Errorf("store: a key has %d bytes, %d are the most", len(key), maxKey)
	case key[0] == '!':
		return errors.New("store: keys with ! are Badger's own")
	}
	return nil
}

func validShard(shard int) error {
	if shard < 0 || shard > 0xffff {
		return fmt.Errorf("store: there is no shard %d", shard)
	}
	return nil
}
