package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"doorward/auth"
	"doorward/auth/totp"
	"doorward/store"
	"doorward/store/badger"
	"doorward/store/outbox"
)

// noClock is for who has to be given a clock and looks at none.
func noClock() time.Time { return time.Time{} }

// recordCheck reads every record of a store once, in the order of the keys.
type recordCheck struct {
	ctx      context.Context
	db       *badger.DB
	keys     *auth.Keys
	factors  *totp.Factors
	progress func(uint64)

	shape                     shape
	records, accounts, sealed area
	until                     map[string]int64 // deadlines of the accounts that were read, to be found in the index
}

// jsonKinds are the kinds of record that are JSON and that somebody else reads closely.
var jsonKinds = []byte{store.KindProgress, store.KindRecovery, store.KindFinding, store.KindCase, store.KindDecision, store.KindStaff, store.KindOutcome}

// knownKinds are all kinds that a store of this format has.
var knownKinds = []byte{store.KindMeta, store.KindEpoch, store.KindShardLog, store.KindRuleSet, store.KindDelta, store.KindCheckpoint, store.KindAccount,
	store.KindDeadline, store.KindProfile, store.KindFactor, store.KindCodes, store.KindSession, store.KindFindingOf, store.KindCaseOpen,
	store.KindCaseOf, store.KindInvite, store.KindToken, store.KindDead, store.KindLog, store.KindLogHead}

func (c *recordCheck) areas() []area { return []area{c.records, c.accounts, c.sealed} }

func (c *recordCheck) run() error {
	c.records = area{Name: "records", Of: "records, each of a known kind"}
	c.accounts = area{Name: "accounts", Of: "accounts, states and versions"}
	c.sealed = area{Name: "sealed", Of: "sealed profiles and factors, opened with the master key"}
	c.until = map[string]int64{}
	v, err := c.db.Get(c.ctx, shapeKey)
	if err != nil {
		return err
	}
	if v[0] != nil {
		if err := json.Unmarshal(v[0], &c.shape); err != nil || c.shape.Shards <= 0 || c.shape.Shards > 1<<16 {
			c.records.damaged(keyText(shapeKey), "the store's shape can't be read")
			c.shape = shape{}
		}
	}
	if err := c.db.Scan(c.ctx, nil, nil, false, c.record); err != nil { // a value that can't be read ends it
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrBroken) {
			return err
		}
		c.records.damaged("the next record", err.Error())
	}
	for id := range c.until {
		c.accounts.damaged("account "+id, "its state ends by itself, and the index of deadlines does not say so")
	}
	return nil
}

func (c *recordCheck) record(k, v []byte) bool {
	c.records.Count++
	if c.records.Count%1024 == 0 {
		c.progress(c.records.Count)
	}
	switch {
	case k[0] == store.KindAccount:
		c.account(k, v)
	case k[0] == store.KindDeadline:
		c.deadline(k)
	case k[0] == store.KindProfile:
		c.sealed.Count++
		if _, _, err := auth.LoadProfile(c.ctx, oneRecord{c.db, v}, c.keys, auth.AccountID(k[1:])); err != nil {
			c.sealed.damaged(keyText(k), err.Error())
		}
	case k[0] == store.KindFactor:
		c.sealed.Count++
		if err := c.factors.CheckStored(k, v); err != nil {
			c.sealed.damaged(keyText(k), err.Error())
		}
	case k[0] == store.KindOutbox:
		if _, err := outbox.Unpack(v); err != nil {
			c.records.damaged(keyText(k), err.Error())
		}
	case slices.Contains(jsonKinds, k[0]):
		if !json.Valid(v) && !bytes.Contains(k, []byte("layout\x00")) {
			c.records.damaged(keyText(k), "the record can't be read")
		}
	case k[0] == store.KindLog && len(v) < store.HashSize:
		c.records.damaged(keyText(k), "the line is cut short")
	case !slices.Contains(knownKinds, k[0]):
		c.records.damaged(keyText(k), "a record of no known kind; a newer program wrote it, or it is damaged")
	}
	return true
}

// oneRecord answers a Get with a record that was read already.
type oneRecord struct {
	store.Engine
	value []byte
}

func (o oneRecord) Get(context.Context, ...[]byte) ([][]byte, error) { return [][]byte{o.value}, nil }

// account looks whether a record says something that an account can be.
func (c *recordCheck) account(k, v []byte) {
	c.accounts.Count++
	id := auth.AccountID(k[1:])
	bad := func(format string, args ...any) {
		c.accounts.damaged("account "+string(id), fmt.Sprintf(format, args...))
	}
	a, _, err := auth.LoadAccount(c.ctx, oneRecord{c.db, v}, id)
	if err != nil {
		bad("%v", err)
		return
	}
	p := a.Record()
	switch {
	case a.ID != id:
		bad("the record is another account's, %q", a.ID)
	case a.Home < 0 || c.shape.Shards > 0 && a.Home >= c.shape.Shards:
		bad("it lives on shard %d of %d", a.Home, c.shape.Shards)
	case a.Version == 0 && p.State != auth.Open:
		bad("%s, and never changed", p.State)
	case a.Version > 0:
		b, err := json.Marshal(p)
		if err == nil {
			_, err = auth.ReadRecord(b)
		}
		if err != nil {
			bad("%v", err)
		}
	}
	if !a.Until.IsZero() {
		c.until[string(id)] = a.Until.UnixMilli()
	}
}

// deadline takes a line of the index off the accounts that wait for one: keys of accounts come before those of deadlines.
func (c *recordCheck) deadline(k []byte) {
	if len(k) < 10 {
		c.accounts.damaged(keyText(k), "it is no deadline")
		return
	}
	id := string(k[9:])
	if at, ok := c.until[id]; ok && at == int64(binary.BigEndian.Uint64(k[1:9])) {
		delete(c.until, id)
	}
}
