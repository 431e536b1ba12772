package cases

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"doorward/auth"
	"doorward/store"
)

// Writes is what a change of a case means for the store: its record and its index keys. before is nil for a new case. An unchanged case
// writes nothing.
func Writes(before *Case, after Case) (put []store.Pair, del [][]byte, err error) {
	if after.ID == "" || after.Account == "" {
		return nil, nil, errors.New("write case: it has no id or no account")
	}
	if before != nil && before.Version == after.Version {
		return nil, nil, nil
	}
	b, err := json.Marshal(after)
	if err != nil {
		return nil, nil, fmt.Errorf("encode case %s: %w", after.ID, err)
	}
	put = append(put, store.Pair{Key: recordKey(after.ID), Value: b})
	if before == nil {
		put = append(put, store.Pair{Key: ofKey(&after), Value: indexed})
	}
	was, is := before != nil && before.Status == StatusOpen, after.Status == StatusOpen
	if was && (!is || !bytes.Equal(openKey(before), openKey(&after))) {
		del = append(del, openKey(before))
	}
	if is {
		put = append(put, store.Pair{Key: openKey(&after), Value: indexed})
	}
	return put, del, nil
}

// indexed is the value of an index key: one byte, as an engine may not tell an empty value from none.
var indexed = []byte{1}

func recordKey(id string) []byte { return store.Key(store.KindCase, id) }

func openKey(c *Case) []byte {
	return store.Key(store.KindCaseOpen, uint32(math.MaxUint32-max(c.Score, 0)), uint64(c.Opened.UnixMilli()), c.ID)
}

func ofKey(c *Case) []byte {
	return store.Key(store.KindCaseOf, string(c.Account), uint64(c.Opened.UnixMilli()), c.ID)
}

// openPrefix is how many bytes of an index key stand before the case's id: kind, score, time.
const openPrefix = 1 + 4 + 8

// Load reads a case; false when there is none with this id.
func Load(ctx context.Context, s store.Engine, id string) (Case, bool, error) {
	v, err := s.Get(ctx, recordKey(id))
	if err != nil {
		return Case{}, false, fmt.Errorf("read case %s: %w", id, err)
	}
	if v[0] == nil {
		return Case{}, false, nil
	}
	c, err := decode(v[0])
	return c, err == nil, err
}

func decode(b []byte) (c Case, err error) {
	if err := json.Unmarshal(b, &c); err != nil {
		return Case{}, fmt.Errorf("read case: %w", err)
	}
	return c, nil
}

// Queue reads open cases, the highest score first, the oldest first among equals: at most limit, behind the position after (nil: from the
// start). next is the position to go on from, nil at the end.
func Queue(ctx context.Context, s store.Engine, after []byte, limit int) (cs []Case, next []byte, err error) {
	from := store.Key(store.KindCaseOpen)
	to := store.After(from)
	if after != nil {
		if len(after) <= openPrefix || after[0] != store.KindCaseOpen {
			return nil, nil, errors.New("read queue: not a position in it")
		}
		from = append(bytes.Clone(after), 0)
	}
	var ids []string
	err = s.Scan(ctx, from, to, false, func(key, _ []byte) bool {
		if len(ids) == limit {
			next = append(next, after...) // there is more behind the last one taken
			return false
		}
		ids = append(ids, string(key[openPrefix:]))
		after = append(after[:0:0], key...)
		return true
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read queue: %w", err)
	}
	all, err := loadAll(ctx, s, ids)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range all {
		if c.Status == StatusOpen { // one closed since the scan is not shown as open
			cs = append(cs, c)
		}
	}
	return cs, next, nil
}

// CountOpen counts open cases up to limit.
func CountOpen(ctx context.Context, s store.Engine, limit int) (n int, err error) {
	from := store.Key(store.KindCaseOpen)
	err = s.Scan(ctx, from, store.After(from), false, func(_, _ []byte) bool {
		n++
		return n < limit
	})
	if err != nil {
		return 0, fmt.Errorf("count open cases: %w", err)
	}
	return n, nil
}

// OfAccount reads the newest limit cases of an account, newest first.
func OfAccount(ctx context.Context, s store.Engine, account auth.AccountID, limit int) ([]Case, error) {
	from := store.Key(store.KindCaseOf, string(account), []byte(nil))
	at := len(from) + 8
	var ids []string
	err := s.Scan(ctx, from, store.After(from), true, func(key, _ []byte) bool {
		if len(ids) == limit {
			return false
		}
		ids = append(ids, string(key[at:]))
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("read cases of an account: %w", err)
	}
	return loadAll(ctx, s, ids)
}

func loadAll(ctx context.Context, s store.Engine, ids []string) ([]Case, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = recordKey(id)
	}
	vs, err := s.Get(ctx, keys...)
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	cs := make([]Case, 0, len(ids))
	for _, v := range vs {
		if v == nil {
			continue
		}
		c, err := decode(v)
		if err != nil {
			return nil, err
		}
		cs = append(cs, c)
	}
	return cs, nil
}
