package window

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"doorward/rules/event"
	"doorward/rules/geo"

	"pgregory.net/rapid"
)

// A record holds what its cells were given, whatever grew, shrank and left, and moves where it has room.
func TestCellsOfARecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cells := make([]*cell, rapid.IntRange(1, 60).Draw(t, "cells"))
		for i := range cells {
			cells[i] = &cell{number: i, kind: &distinctKind}
			cells[i].list(0, 4, 100)
		}
		table := newTable(0, 9, &arena{}, new(log))
		h := id{1, 2, 3}
		w := table.open(table.add(&h, headerSize))
		table.touch(w.ref, w.rec)
		want := make([][]byte, len(cells))
		for step := range rapid.IntRange(0, 80).Draw(t, "steps") {
			c := rapid.IntRange(0, len(cells)-1).Draw(t, "cell")
			n := 4 * rapid.SampledFrom([]int{0, 0, 1, 2, 3, 20, 100}).Draw(t, "words")
			b := w.resize(cells[c], n)
			was := want[c]
			want[c] = append(slices.Clone(was[:min(n, len(was))]), make([]byte, max(0, n-len(was)))...)
			if !bytes.Equal(b, want[c]) {
				t.Fatalf("step %d: resized to %x, want %x", step, b, want[c])
			}
			for i := range b {
				b[i], want[c][i] = byte(step), byte(step)
			}
			w.shrink()
			if rec := w.rec[:sizeOf(w.rec)]; !sound(rec, cells) {
				t.Fatalf("step %d: the record %x is not sound", step, rec)
			}
			for i, c := range cells {
				if got := c.bytes(w.rec); !bytes.Equal(got, want[i]) {
					t.Fatalf("step %d: cell %d is %x, want %x", step, i, got, want[i])
				}
			}
			if ref, ok := table.find(&h); !ok || ref != w.ref {
				t.Fatalf("step %d: the record is not found where it is", step)
			}
		}
		if d := table.appendDirty(nil, 0); len(d) == 0 || len(table.appendDirty(nil, 0)) != 0 {
			t.Fatal("a record that moved is not written once")
		}
	})
}

func TestClassesHoldTheirSizes(t *testing.T) {
	before, beforeSize := -1, 0
	for size := 1; size < 300_000; size++ {
		n, room := classOf(size)
		if again, same := classOf(room); again != n || same != room || room < size {
			t.Fatalf("%d bytes: class %d of %d, which is class %d of %d", size, n, room, again, same)
		}
		if n != before && (n != before+1 || room <= beforeSize) || n == before && room != beforeSize {
			t.Fatalf("%d bytes: class %d of %d after class %d of %d", size, n, room, before, beforeSize)
		}
		if size > 128 && room > size+size/4 {
			t.Fatalf("%d bytes take %d", size, room)
		}
		before, beforeSize = n, room
	}
}

// The index finds what a map does, while it grows, splits and loses entries.
func TestIndexAgainstAMap(t *testing.T) {
	for _, spread := range []uint32{2654435761, 1, 1 << 20} { // evenly, all in the first segment, few low bits
		x, want := newIndex(&arena{}), map[uint32]uint32{}
		find := func(tag, ref uint32) bool {
			s := x.segment(tag)
			for i := int(tag) & (len(s.words) - 1); s.words[i] != 0; i = (i + 1) & (len(s.words) - 1) {
				if s.words[i] == uint64(tag)<<32|uint64(ref+1) {
					return true
				}
			}
			return false
		}
		for i := range uint32(30_000) {
			x.add(i*spread, i)
			want[i] = i
			if i%3 == 0 {
				x.move(i*spread, i, i+1<<20)
				want[i] = i + 1<<20
			}
			if i%4 == 3 {
				gone := i / 2
				if ref, ok := want[gone]; ok {
					x.remove(gone*spread, ref)
					delete(want, gone)
				}
			}
		}
		if x.n != len(want) {
			t.Fatalf("%d in the index, want %d", x.n, len(want))
		}
		for i, ref := range want {
			if !find(i*spread, ref) {
				t.Fatalf("spread %d: %d is not found", spread, i)
			}
		}
	}
}

// The one that leaves is the one changed least recently, also when there are so many that only some are looked at.
func TestEvictionOfMany(t *testing.T) {
	const budget = 20 * sampled
	f := newFeed(t, budget, Spec{Func: Count, Key: Account, Span: time.Hour}, Spec{Func: Distinct, Key: Account, Field: "device", Span: time.Hour})
	changed := map[string]uint64{}
	for i := range 5 * budget {
		account := fmt.Sprint(i * 7919 % (2 * budget) / (1 + i%2))
		if _, has := changed[account]; !has && len(changed) == budget {
			least := ""
			if i%97 == 0 { // asked now and then, as a map is slow
				for a, s := range changed {
					if least == "" || s < changed[least] {
						least = a
					}
				}
			}
			tomb := len(f.log.b) + 2 // what makes room comes before what takes it
			f.takeAt(0, 0, account, "x", event.Data{Device: fmt.Sprint(i)}, geo.Place{})
			left := id(f.log.b[tomb : tomb+16])
			for a := range changed {
				if f.hash.sum(a) == left {
					if least != "" && a != least {
						t.Fatalf("event %d: %s left, changed at %d; want %s, at %d", i, a, changed[a], least, changed[least])
					}
					delete(changed, a)
					break
				}
			}
		} else {
			f.takeAt(0, 0, account, "x", event.Data{Device: fmt.Sprint(i)}, geo.Place{})
		}
		changed[account] = f.seq
		if i > budget+3000 {
			break
		}
	}
	if f.Evicted() == 0 || f.Len(Account) != budget {
		t.Errorf("%d evicted, %d left", f.Evicted(), f.Len(Account))
	}
}

// An account pays for what it remembers, not for what it could.
func TestSmallAccountsAreSmall(t *testing.T) {
	f := newFeed(t, 0, builtin()...)
	const accounts = 20_000
	for i := range 3 * accounts {
		n, at := i%accounts, time.Duration(i)*time.Millisecond
		name, d := "login.succeeded", event.Data{IP: fmt.Sprintf("10.%d.%d.9", n>>8, n&255), Device: fmt.Sprint(n)}
		if i > accounts {
			name, d.Direction, d.HasAmount, d.Amount, d.Counterparty = "transaction.requested", "out", true, 1000, fmt.Sprint(i)
		}
		f.takeAt(at, at, fmt.Sprint("acct-", n), name, d, geo.Place{Country: "FR", HasPoint: true})
	}
	total := 0
	for _, k := range Keys {
		total += f.Bytes(k)
	}
	if total > 600*accounts {
		t.Errorf("%d bytes per account with its address, network and device; want at most 600", total/accounts)
	}
}
