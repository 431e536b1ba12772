package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"doorward/store"
)

// Append makes the line of an entry, for the Append of the batch that does what the entry says.
func Append(e Entry) (store.Append, error) {
	if e.Kind == "" || e.By == "" || e.At.IsZero() {
		return store.Append{}, errors.New("journal: an entry names its kind, its maker and its time")
	}
	v, err := json.Marshal(e)
	if err != nil {
		return store.Append{}, fmt.Errorf("journal: encoding an entry of kind %s: %w", e.Kind, err)
	}
	return store.Append{Log: store.Journal, Value: v}, nil
}

// Line is an entry at its place.
type Line struct {
	Position uint64
	Hash     [store.HashSize]byte
	Entry    Entry
}

// Head is the end of the journal: what is anchored outside.
func Head(ctx context.Context, engine store.Engine) (store.Head, error) {
	v, err := engine.Get(ctx, store.HeadKey(store.Journal))
	if err != nil {
		return store.Head{}, fmt.Errorf("reading the head of the journal: %w", err)
	}
	return store.DecodeHead(v[0])
}

// Read returns up to limit lines from position from on, ascending, or from there back when reverse is set. From 0 is the beginning, or
// the end when reverse is set.
func Read(ctx context.Context, engine store.Engine, from uint64, limit int, reverse bool) ([]Line, error) {
	lo, hi := bounds(from, reverse)
	return collect(ctx, engine, lo, hi, limit, reverse, func([]byte) bool { return true }, func(Line) bool { return true })
}

// Find returns the newest lines that concern an account, newest first. The journal has no index by account: this reads back from the
// end, about a million lines a second, until it has limit of them.
func Find(ctx context.Context, engine store.Engine, account string, limit int) ([]Line, error) {
	name, err := json.Marshal(account)
	if err != nil {
		return nil, fmt.Errorf("journal: encoding the account to look for: %w", err)
	}
	name = append([]byte(`"account":`), name...)
	lo, hi := bounds(0, true)
	return collect(ctx, engine, lo, hi, limit, true,
		func(value []byte) bool { return bytes.Contains(value, name) },
		func(l Line) bool { return l.Entry.Account == account })
}

func bounds(from uint64, reverse bool) (lo, hi []byte) {
	lo, hi = store.LineKey(store.Journal, 0), store.After(store.LineKey(store.Journal, math.MaxUint64))
	if reverse && from > 0 {
		hi = store.After(store.LineKey(store.Journal, from))
	} else if !reverse {
		lo = store.LineKey(store.Journal, from)
	}
	return lo, hi
}

func collect(ctx context.Context, engine store.Engine, lo, hi []byte, limit int, reverse bool, likely func([]byte) bool, want func(Line) bool) ([]Line, error) {
	var lines []Line
	var bad error
	if limit <= 0 {
		return nil, nil
	}
	err := engine.Scan(ctx, lo, hi, reverse, func(key, value []byte) bool {
		if !likely(value) {
			return true
		}
		l, err := decode(key, value)
		if err != nil {
			bad = err
			return false
		}
		if want(l) {
			lines = append(lines, l)
		}
		return len(lines) < limit
	})
	if err := errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	return lines, nil
}

func decode(key, value []byte) (l Line, err error) {
	l.Position = position(key)
	hash, entry, err := store.DecodeLine(value)
	if err != nil {
		return l, fmt.Errorf("line %d: %w", l.Position, err)
	}
	l.Hash = hash
	if err := json.Unmarshal(entry, &l.Entry); err != nil {
		return l, fmt.Errorf("line %d is not an entry: %w", l.Position, err)
	}
	return l, nil
}

// position is the number at the end of a line's key.
func position(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// Report is what Verify found.
type Report struct {
	Entries  uint64 `json:"entries"` // lines that are as they were written
	Head     string `json:"head"`    // hash of the last of them, hex
	OK       bool   `json:"ok"`
	FirstBad uint64 `json:"first_bad,omitempty"` // position of the first line that is not
	Problem  string `json:"problem,omitempty"`   // what is wrong with it
}

// Verify computes the whole chain anew and compares it with every line and with the head. An error says that the journal could not be
// read; a journal that was tampered with is a Report with OK false. It may run while entries are written. progress may be nil.
func Verify(ctx context.Context, engine store.Engine, progress func(done uint64)) (Report, error) {
	c := chain{progress: progress}
	for {
		// The head is read before and after: lines may be added meanwhile, but a line that the head knows is there to be read.
		before, err := Head(ctx, engine)
		if err != nil {
			return headProblem(c, err)
		}
		if err := c.follow(ctx, engine); err != nil {
			return Report{}, fmt.Errorf("reading the journal: %w", err)
		}
		after, err := Head(ctx, engine)
		if err != nil {
			return headProblem(c, err)
		}
		switch {
		case c.problem != "":
			return c.report(), nil
		case c.last.Position < before.Position:
			c.problem = fmt.Sprintf("the journal ends at line %d, its head says %d: the lines between were removed", c.last.Position, before.Position)
			c.bad = c.last.Position + 1
			return c.report(), nil
		case c.last.Position > after.Position:
			c.problem = fmt.Sprintf("the head says %d lines, there are more: the head was set back", after.Position)
			c.bad = after.Position + 1
			return c.report(), nil
		case c.last == after:
			return c.report(), nil
		case c.last.Position == after.Position:
			c.problem, c.bad = "the head does not match the last line", after.Position
			return c.report(), nil
		}
	}
}

// headProblem tells a damaged head, which is a finding, from a store that can't be read.
func headProblem(c chain, err error) (Report, error) {
	if !errors.Is(err, store.ErrDamagedHead) {
		return Report{}, err
	}
	c.problem, c.bad = "the head is damaged", c.last.Position
	return c.report(), nil
}

// chain follows the lines from wherever it stands.
type chain struct {
	last     store.Head
	bad      uint64
	problem  string
	progress func(uint64)
}

func (c *chain) follow(ctx context.Context, engine store.Engine) error {
	lo, hi := bounds(c.last.Position+1, false)
	if c.last.Position == 0 {
		lo, _ = bounds(0, false)
	}
	return engine.Scan(ctx, lo, hi, false, func(key, line []byte) bool {
		c.check(position(key), line)
		if c.progress != nil && c.problem == "" {
			c.progress(c.last.Position)
		}
		return c.problem == ""
	})
}

func (c *chain) check(at uint64, line []byte) {
	next := c.last.Position + 1
	c.bad = next
	hash, value, err := store.DecodeLine(line)
	switch {
	case at > next:
		c.problem = fmt.Sprintf("line %d is missing, the next one there is %d", next, at)
		return
	case at < next:
		c.problem, c.bad = fmt.Sprintf("there is a line %d where none may be", at), at
		return
	case err != nil:
		c.problem = fmt.Sprintf("line %d is cut short", at)
		return
	case hash != store.Chain(c.last.Hash, at, value):
		c.problem = fmt.Sprintf("line %d is not the line that was written, or follows another one than it did", at)
		return
	}
	c.bad = 0
	c.last = store.Head{Position: at, Hash: hash}
}

func (c *chain) report() Report {
	return Report{Entries: c.last.Position, Head: hex.EncodeToString(c.last.Hash[:]), OK: c.problem == "", FirstBad: c.bad, Problem: c.problem}
}
