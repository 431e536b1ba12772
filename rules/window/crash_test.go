package window

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"

	"pgregory.net/rapid"
)

// crashing is a memory whose process dies now and then, beside one that never stops.
type crashing struct {
	t         *rapid.T
	budget    int
	l         *Layout
	m, never  *Memory
	boards    [2]*Board
	readers   [2]*Memory
	disk      disk
	pending   []func(*Memory) // inputs since the last commit
	stored    []string        // records as of the last commit
	sequence  uint64
	now       time.Duration
	closed    []asOfTick
	lastEvent *Input
}

type asOfTick struct{ slice, tick int64 }

func newCrashing(t *rapid.T) *crashing {
	c := &crashing{t: t, budget: rapid.IntRange(1, 9).Draw(t, "budget"), boards: [2]*Board{NewBoard(2), NewBoard(2)}}
	c.l = drawLayout(t)
	c.never, c.m = c.memory(0), c.memory(1)
	c.read()
	return c
}

// drawLayout is some of the windows of every kind.
func drawLayout(t *rapid.T) *Layout {
	specs := slices.DeleteFunc(everyKind(), func(s Spec) bool { return rapid.IntRange(0, 3).Draw(t, "left out") == 0 })
	l, err := NewLayout(specs)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (c *crashing) memory(board int) *Memory {
	m := NewMemory(c.l, [16]byte{7}, 0, c.budget, c.boards[board])
	smallSlabs(c.t, m)
	return m
}

// read makes the memories of another shard that read these.
func (c *crashing) read() {
	for i := range c.readers {
		c.readers[i] = NewMemory(c.l, [16]byte{7}, 1, 0, c.boards[i])
	}
}

// do puts an input into both.
func (c *crashing) do(input func(*Memory)) {
	input(c.never)
	input(c.m)
	c.pending = append(c.pending, input)
}

func (c *crashing) commit() {
	c.disk.commit(c.m)
	c.pending, c.stored = nil, records(c.m)
}

// crash loses the memory and makes it again from what the disk holds, perhaps under other rules.
func (c *crashing) crash() {
	d := &c.disk
	d.making, d.since, d.waiting, d.begun, d.lastToCome, d.next = nil, nil, nil, false, false, 0
	if rapid.IntRange(0, 3).Draw(c.t, "other rules") == 0 {
		c.commit() // a change of rules is a commit of its own
		c.l = drawLayout(c.t)
		r, err := c.never.Relaid(c.l)
		if err != nil {
			c.t.Fatal(err)
		}
		c.never = r
		c.m = c.memory(1)
		if err := d.restore(c.m); err != nil {
			c.t.Fatal(err)
		}
		c.read()
		c.same()
		c.stored = records(c.m)
		return
	}
	c.m = c.memory(1)
	if err := d.restore(c.m); err != nil {
		c.t.Fatal(err)
	}
	if got := records(c.m); !slices.Equal(got, c.stored) {
		for i := range got {
			if got[i] != c.stored[i] {
				c.t.Logf("%d\n%x\n%x", i, got[i], c.stored[i])
			}
		}
		c.t.Fatalf("sequence %d: %d records came back, %d were committed, or other ones", c.sequence, len(got), len(c.stored))
	}
	for _, input := range c.pending {
		input(c.m)
	}
	c.same()
}

// same compares the two memories byte by byte.
func (c *crashing) same() {
	c.t.Helper()
	got, want := records(c.m), records(c.never)
	if !slices.Equal(got, want) {
		for i := range got {
			if got[i] != want[i] {
				c.t.Logf("%d\n%x\n%x", i, got[i], want[i])
			}
		}
		c.t.Fatalf("sequence %d: %d records, want %d, or other ones", c.sequence, len(got), len(want))
	}
	if c.m.now != c.never.now && c.m.Closed() != Nothing {
		c.t.Fatalf("sequence %d: the clock stands at %+v, want %+v", c.sequence, c.m.now, c.never.now)
	}
}

func (c *crashing) event() {
	t := c.t
	c.now += rapid.SampledFrom([]time.Duration{0, 0, 0, 0, 40 * time.Second, time.Hour}).Draw(t, "jump")
	e, place := drawEvent(t, &c.now)
	c.sequence++
	in := &Input{Event: e, Place: place, Sequence: c.sequence}
	fire, again := rapid.IntRange(0, 5).Draw(t, "fire") == 0, rapid.IntRange(0, 5).Draw(t, "again") == 0
	plain := rapid.IntRange(0, 5).Draw(t, "plain")
	var all [][]Reading
	c.do(func(m *Memory) {
		v := m.Take(in)
		var got []Reading
		for slot := range m.Layout().Len() {
			got = append(got, v.Read(slot))
		}
		if slot := m.Layout().Slot(Spec{Func: Again, Key: Account, Field: "a.rule"}); again && slot >= 0 {
			v.SetAgain(Recall{slot, fire, e.Time.UnixMilli()})
		}
		if plain < 2 {
			v.SetPlain(plain == 0)
		}
		got = append(got, Reading{Known: m.Plain(e)})
		all = append(all, got)
	})
	if !slices.Equal(all[0], all[1]) {
		t.Fatalf("sequence %d, %s of %s reads\n%v\nwant\n%v", c.sequence, e.Type, e.Account, all[1], all[0])
	}
	if closed := c.never.Closed(); closed != Nothing {
		c.closed = append(c.closed, asOfTick{closed, c.never.now.tick})
	}
}

// other has the other shard read both as of a slice that it may read as of.
func (c *crashing) other() {
	for len(c.closed) > 0 && c.closed[0].tick <= c.never.now.tick-Ahead {
		c.closed = c.closed[1:]
	}
	if len(c.closed) == 0 {
		return
	}
	asOf := []int64{rapid.SampledFrom(c.closed).Draw(c.t, "as of").slice, 0}
	now := c.now
	e, place := drawEvent(c.t, &now)
	var all [2][]Reading
	for i, r := range c.readers {
		r.Read(asOf)
		v := r.Take(&Input{Event: e, Place: place, Sequence: c.sequence + 1})
		for slot := range r.Layout().Len() {
			all[i] = append(all[i], v.Read(slot))
		}
	}
	if !slices.Equal(all[0], all[1]) {
		c.t.Fatalf("sequence %d: another shard reads as of %d\n%v\nwant\n%v", c.sequence, asOf[0], all[1], all[0])
	}
}

func (c *crashing) act() {
	c.sequence++
	sequence, at := c.sequence, t0.Add(c.now)
	account := auth.AccountID(fmt.Sprint("acct-", rapid.IntRange(0, 8).Draw(c.t, "account")))
	switch rapid.IntRange(0, 3).Draw(c.t, "act") {
	case 0:
		c.do(func(m *Memory) { m.Forget(account, sequence, at.Add(-time.Minute)) })
	case 1:
		c.do(func(m *Memory) { m.Learn(account, "device", "d1", at, sequence) })
	case 2:
		c.do(func(m *Memory) { m.ClearPlain(account) })
	case 3:
		c.now += time.Duration(rapid.IntRange(0, 50).Draw(c.t, "idle")) * time.Second
		to := t0.Add(c.now)
		c.do(func(m *Memory) { m.Advance(to) })
	}
}

// Whenever the process dies, the pages and logs that were committed, and the inputs since, give the memory that never stopped, byte for
// byte; it reads, evicts and is read by other shards like it, and so it does under changed rules.
func TestCrashesChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrashing(t)
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			switch rapid.IntRange(0, 19).Draw(t, "what") { // small ones are drawn more often
			case 2, 6:
				c.commit()
			case 4, 7:
				for range rapid.IntRange(1, 12).Draw(t, "pages") {
					c.disk.page(c.m)
				}
			case 9, 10:
				c.act()
			case 18: // seldom, so that checkpoints become whole
				c.crash()
			case 11, 12:
				c.other()
			default:
				c.event()
			}
		}
		c.crash()
		c.same()
	})
}

// What moves from where the pages of a checkpoint have yet to come to where they have been is in none of them, and comes back all the same:
// whether it takes the place of one that has left, or grows.
func TestWhatMovesPastThePages(t *testing.T) {
	for name, move := range map[string]func(f *feed, take func(account, device string)){
		"one leaves": func(_ *feed, take func(account, device string)) { take("new", "") },
		"one grows": func(_ *feed, take func(account, device string)) {
			for i := range 8 {
				take("d", fmt.Sprint("d", i))
			}
		},
	} {
		f := newFeed(t, 4, Spec{Func: Count, Key: Account, Span: time.Hour}, Spec{Func: Distinct, Key: Account, Field: "device", Span: time.Hour})
		f.account.room = leastRecord // a slab holds one record
		take := func(account, device string) {
			f.takeAt(0, 0, account, "x", event.Data{Device: device}, geo.Place{})
			f.account.young = 0
		}
		for i := range 8 {
			take("a", fmt.Sprint("d", i))
		}
		f.seq++
		f.Forget("a", f.seq, time.Time{}) // long records have an empty slab among the first
		for _, account := range []string{"a", "b", "c", "d"} {
			take(account, "")
		}
		f.Dirty(nil)
		h := f.hash.sum("d")
		before, _ := f.account.find(&h)
		var d disk
		for f.account.paged < int(before>>slotBits)-1 {
			d.page(f.Memory)
		}
		move(f, take)
		if after, _ := f.account.find(&h); !f.account.passed(after, before) {
			t.Fatalf("%s: the record has gone from slab %d to %d, and pages to %d", name, before>>slotBits, after>>slotBits, f.account.paged)
		}
		d.commit(f.Memory)
		for d.begun {
			d.page(f.Memory)
			d.commit(f.Memory)
		}
		r := NewMemory(f.Layout(), [16]byte{1}, 0, 4, nil)
		if err := d.restore(r); err != nil {
			t.Fatal(err)
		}
		if got, want := live(r), live(f.Memory); !slices.Equal(got, want) {
			t.Errorf("%s: %d records came back, want %d, or other ones", name, len(got), len(want))
		}
	}
}
