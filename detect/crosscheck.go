package detect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"doorward/auth"
	"doorward/store"
	"doorward/store/outbox"
)

// Bounds are a partition's first offset and the one behind its last committed record.
type Bounds struct{ First, End int64 }

// PublishedLog is what was published, as it can be read again: kafka.Client.
type PublishedLog interface {
	Bounds(ctx context.Context, topic string) ([]Bounds, error)
	ReadRange(ctx context.Context, topic string, partition int, from, end int64, f func(Record) error) error
}

// CrossCheck compares a store with the topic of states before anything is said, published or taken in. A store that lost its tail (a disk
// that lied, a backup that was restored, a copy that was put back, a store that is new where an old one was) is behind what the platform
// was told: to call such an account open would undo a lock, and to publish an older version would go back on one. So each account that
// is behind is taken over from the topic by an act in its shard's inbox (auth.ActAdopt), before the shard takes in its first record.
//
// Only what was published behind the stored marks is read: nothing on most starts, everything on a store that has no marks.
type CrossCheck struct {
	Store  store.Engine
	Log    PublishedLog
	Marks  *Marks
	Submit func(context.Context, []auth.Act) error // auth.Desk.SubmitAll
	Now    func() time.Time                        // the acts' maker's clock
}

// Compared is what a cross-check found.
type Compared struct {
	Read      int  // records read
	Behind    int  // accounts that were taken over
	Stale     int  // rows of the outbox that were withdrawn: a newer version of their account is published
	Foreign   int  // records on the topic that are no states of Doorward's
	Whole     bool // some partition was read from its start, for want of a mark
	Recreated int  // partitions that are not those that were published to: the topic was deleted, cut, or made anew
	Again     int  // states that are published again for that; none when accounts were behind: what is published then is ahead of the store
}

// pendingAtOnce bounds the accounts that are held while they are compared.
const pendingAtOnce = 4096

// Run compares. It may be run again after an error: what was found before is found again or has been taken over.
func (c *CrossCheck) Run(ctx context.Context) (found Compared, err error) {
	bounds, err := c.Log.Bounds(ctx, TopicState)
	if err != nil {
		return found, err
	}
	marks, err := loadMarks(ctx, c.Store, len(bounds))
	if err != nil {
		return found, err
	}
	owed, err := c.owed(ctx)
	if err != nil {
		return found, err
	}
	for p, b := range bounds {
		run := comparing{CrossCheck: c, found: &found, owed: owed, pending: map[auth.AccountID]auth.Record{}}
		if err := run.partition(ctx, p, b, marks[p]); err != nil {
			return found, fmt.Errorf("compare the store with what was published: %w", err)
		}
	}
	if found.Recreated > 0 && found.Behind == 0 {
		if found.Again, err = c.again(ctx); err != nil {
			return found, err
		}
	}
	if pairs := c.Marks.Pairs(); len(pairs) > 0 {
		if _, err := c.Store.Commit(ctx, &store.Batch{Shard: store.NoShard, Put: pairs}); err != nil {
			return found, fmt.Errorf("note how far states were published: %w", err)
		}
	}
	return found, nil
}

// waiting is a state that the outbox still owes.
type waiting struct {
	key, id string // of its parcel, and its own in it
	version uint64
}

// owed are the states that wait in the outboxes. A store that is behind may owe versions that were passed on the topic.
func (c *CrossCheck) owed(ctx context.Context) (map[auth.AccountID][]waiting, error) {
	all := map[auth.AccountID][]waiting{}
	from := store.Key(store.KindOutbox)
	var bad error
	err := c.Store.Scan(ctx, from, store.After(from), false, func(k, v []byte) bool {
		rows, err := outbox.Unpack(v)
		for i := range rows {
			if rows[i].Topic != TopicState {
				continue
			}
			p, bad := auth.ReadRecord(rows[i].Value)
			if err = errors.Join(err, bad); err != nil {
				break
			}
			all[p.Account] = append(all[p.Account], waiting{string(k), rows[i].ID, p.Version})
		}
		bad = err
		return err == nil
	})
	if err := errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return all, nil
}

// comparing is one partition's comparison.
type comparing struct {
	*CrossCheck
	found   *Compared
	owed    map[auth.AccountID][]waiting
	pending map[auth.AccountID]auth.Record // the newest that was read of each account since the last flush
}

// partition reads what lies behind the mark.
func (c *comparing) partition(ctx context.Context, n int, b Bounds, m mark) error {
	if m.Next > 0 {
		same, recreated, err := c.known(ctx, n, b, m)
		if err != nil {
			return err
		}
		if recreated {
			c.found.Recreated++
		}
		if !same {
			m = mark{}
		}
	}
	c.found.Whole = c.found.Whole || m.Next == 0 && b.End > b.First
	last := m.ID
	if err := c.Log.ReadRange(ctx, TopicState, n, max(m.Next, b.First), b.End, func(r Record) error {
		last = headerOf(r.Headers, "ce_id")
		return c.take(ctx, r)
	}); err != nil {
		return err
	}
	if err := c.flush(ctx); err != nil {
		return err
	}
	c.Marks.set(n, mark{b.End, last})
	return nil
}

// known reports whether a partition is the one that its mark was made for: the record before the mark is the one that was published there.
// One that a cleaner has taken proves nothing; then all of the partition is compared, and it is not called another one.
func (c *comparing) known(ctx context.Context, n int, b Bounds, m mark) (same, recreated bool, err error) {
	switch {
	case m.Next > b.End:
		return false, true, nil
	case m.ID == "":
		return true, false, nil
	case m.Next-1 < b.First:
		return false, false, nil
	}
	err = c.Log.ReadRange(ctx, TopicState, n, m.Next-1, m.Next, func(r Record) error {
		same = headerOf(r.Headers, "ce_id") == m.ID
		recreated = !same
		return nil
	})
	return same, recreated, err
}

// take holds a record until enough are there to be compared.
func (c *comparing) take(ctx context.Context, r Record) error {
	c.found.Read++
	p, err := auth.ReadRecord(r.Value)
	if err != nil || string(p.Account) != string(r.Key) {
		c.found.Foreign++ // a tombstone, or somebody else's: it says nothing of a state
		return nil
	}
	if old, known := c.pending[p.Account]; !known || p.Version >= old.Version {
		c.pending[p.Account] = p
	}
	if len(c.pending) >= pendingAtOnce {
		return c.flush(ctx)
	}
	return nil
}

// flush compares what is held, takes over what is ahead, and withdraws what the outbox would say too late.
func (c *comparing) flush(ctx context.Context) error {
	var acts []auth.Act
	var stale []waiting
	for id, p := range c.pending {
		a, _, err := auth.LoadAccount(ctx, c.Store, id)
		if err != nil {
			return err
		}
		if auth.Behind(&a, &p) {
			acts = append(acts, auth.Adopt(CauseID("adopt", string(id), decimal(p.Version), decimal(a.Version)), p, c.Now().UTC().Truncate(time.Millisecond)))
		}
		for _, w := range c.owed[id] {
			if w.version < p.Version || w.version == p.Version && auth.Behind(&a, &p) {
				stale = append(stale, w)
			}
		}
	}
	clear(c.pending)
	if len(acts) > 0 {
		if err := c.Submit(ctx, acts); err != nil {
			return err
		}
	}
	if err := c.withdraw(ctx, stale); err != nil {
		return fmt.Errorf("withdraw states that were passed: %w", err)
	}
	c.found.Behind += len(acts)
	c.found.Stale += len(stale)
	return nil
}

// withdraw takes rows out of the outbox. No relay runs yet.
func (c *comparing) withdraw(ctx context.Context, stale []waiting) error {
	passed := map[string]map[string]bool{} // by parcel
	for _, w := range stale {
		if passed[w.key] == nil {
			passed[w.key] = map[string]bool{}
		}
		passed[w.key][w.id] = true
	}
	for key, ids := range passed { // each is a record of its own
		v, err := c.Store.Get(ctx, []byte(key))
		if err != nil {
			return err
		}
		if v[0] == nil {
			continue
		}
		rows, err := outbox.Unpack(v[0])
		if err != nil {
			return err
		}
		rows = slices.DeleteFunc(rows, func(r outbox.Row) bool { return ids[r.ID] })
		b := &store.Batch{Shard: store.NoShard, Expect: []store.Expect{{Key: []byte(key), Value: v[0]}}}
		if len(rows) == 0 {
			b.Delete = [][]byte{[]byte(key)}
		} else {
			value, err := outbox.Pack(rows)
			if err != nil {
				return err
			}
			b.Put = []store.Pair{{Key: []byte(key), Value: value}}
		}
		if _, err := c.Store.Commit(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// again owes the world every state once more, at its version, when the topic is not the one that they were published to: a platform that
// reads the new one from its start must not take a locked account for an open one. The rows stand before all others of their shard.
func (c *CrossCheck) again(ctx context.Context) (n int, err error) {
	const atOnce = 500
	from := store.Key(store.KindAccount)
	next := from
	for next != nil {
		b := &store.Batch{Shard: store.NoShard}
		var last []byte
		var bad error
		err := c.Store.Scan(ctx, next, store.After(from), false, func(k, _ []byte) bool {
			last = bytes.Clone(k)
			if bad = c.publishAgain(ctx, b, auth.AccountID(k[1:]), uint32(n+len(b.Put))); bad != nil {
				return false
			}
			return len(b.Put) < atOnce
		})
		if err := errors.Join(err, bad); err != nil {
			return n, fmt.Errorf("publish the states again: %w", err)
		}
		if next = nil; len(b.Put) == atOnce {
			next = append(last, 0)
		}
		if len(b.Put) > 0 {
			if _, err := c.Store.Commit(ctx, b); err != nil {
				return n, fmt.Errorf("publish the states again: %w", err)
			}
		}
		n += len(b.Put)
	}
	return n, nil
}

func (c *CrossCheck) publishAgain(ctx context.Context, b *store.Batch, id auth.AccountID, n uint32) error {
	a, _, err := auth.LoadAccount(ctx, c.Store, id)
	if err != nil || a.Version == 0 {
		return err
	}
	row, err := cloudEvent(TopicState, CauseID("state", string(id), decimal(a.Version)), id, a.Since, a.Record())
	if err != nil {
		return err
	}
	pair, err := outbox.Pair(a.Home, 0, n, row)
	if err != nil {
		return err
	}
	b.Put = append(b.Put, pair)
	return nil
}
