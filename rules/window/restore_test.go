package window

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"doorward/auth"
	"doorward/rules/event"
	"doorward/rules/geo"

	"pgregory.net/rapid"
)

// disk is what a store holds of a memory: a whole checkpoint, the deltas since it began, and a checkpoint in the making.
type disk struct {
	pages, making     []written
	deltas, since     []written
	waiting           []written // pages that are not committed yet
	next              int
	begun, lastToCome bool
	clock             time.Time
}

// written is a page or a delta with the layout that is stored beside it.
type written struct {
	layout []byte
	bytes  []byte
}

// commit stores the delta of m, and with it the pages made before.
func (d *disk) commit(m *Memory) {
	b := written{m.Layout().Marshal(), m.Dirty(nil)}
	d.clock = m.Clock()
	d.deltas = append(d.deltas, b)
	if !d.begun {
		return
	}
	d.since = append(d.since, b)
	d.making = append(d.making, d.waiting...)
	d.waiting = nil
	if d.lastToCome {
		d.pages, d.deltas = d.making, d.since
		d.making, d.since, d.begun, d.lastToCome, d.next = nil, nil, false, false, 0
	}
}

// page makes the next page of a checkpoint.
func (d *disk) page(m *Memory) {
	if d.lastToCome {
		return
	}
	if !d.begun {
		d.begun, d.since, d.making = true, nil, nil
	}
	page, more := m.Page(d.next)
	d.waiting = append(d.waiting, written{m.Layout().Marshal(), page})
	d.next++
	d.lastToCome = !more
}

// restore puts what the store holds into m.
func (d *disk) restore(m *Memory) error {
	for _, b := range slices.Concat(d.pages, d.deltas) {
		l, err := UnmarshalLayout(b.layout)
		if err != nil {
			return err
		}
		if err := m.Restore(b.bytes, l); err != nil {
			return err
		}
	}
	m.SetClock(d.clock)
	return nil
}

// smallSlabs gives m slabs of few records, so that they fill, empty and lie on both sides of a page.
func smallSlabs(t *rapid.T, m *Memory) {
	room := rapid.SampledFrom([]int{64, 300, 1000, 5000, slabBytes}).Draw(t, "bytes of a slab")
	for k := range Keys {
		m.table(k).room = room
	}
}

func drawEvent(t *rapid.T, now *time.Duration) (*event.Event, geo.Place) {
	*now += rapid.SampledFrom([]time.Duration{0, 10 * time.Millisecond, time.Second, 20 * time.Second}).Draw(t, "step")
	at := *now
	if rapid.IntRange(0, 4).Draw(t, "late") == 0 {
		at -= rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 30 * time.Hour}).Draw(t, "by")
	}
	name := rapid.SampledFrom([]string{"login.failed", "login.succeeded", "transaction.completed"}).Draw(t, "type")
	n := func(what string, most int) string { return fmt.Sprint(rapid.IntRange(0, most).Draw(t, what)) }
	return &event.Event{Type: event.Type(name), Account: auth.AccountID("acct-" + n("account", 8)), Time: t0.Add(at), Arrival: t0.Add(*now),
			Data: event.Data{IP: "192.0.2." + n("ip", 8), Device: "d" + n("device", 8), Counterparty: "p" + n("payee", 4), Instrument: "i", Direction: "out", HasAmount: true, Amount: 5}},
		geo.Place{HasPoint: true, Lat: float64(rapid.IntRange(0, 3).Draw(t, "lat")) * 20}
}

// step puts one random input into every memory, and gives the readings of the first that another one's do not equal.
func step(t *rapid.T, now *time.Duration, sequence uint64, ms ...*Memory) {
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		account := auth.AccountID(fmt.Sprint("acct-", rapid.IntRange(0, 8).Draw(t, "account")))
		for _, m := range ms {
			m.Forget(account, sequence, t0.Add(*now-time.Minute))
		}
		return
	case 1:
		account := auth.AccountID(fmt.Sprint("acct-", rapid.IntRange(0, 8).Draw(t, "account")))
		for _, m := range ms {
			m.Learn(account, "device", "d1", t0.Add(*now), sequence)
		}
		return
	}
	e, place := drawEvent(t, now)
	var changes []Recall
	for i := range ms[0].Layout().again.rules {
		if rapid.Bool().Draw(t, "change") {
			last := rapid.SampledFrom([]int64{Never, e.Time.UnixMilli()}).Draw(t, "last")
			changes = append(changes, Recall{ms[0].Layout().firstAgain + i, rapid.Bool().Draw(t, "true"), last})
		}
	}
	var want []Reading
	for i, m := range ms {
		v := m.Take(&Input{Event: e, Place: place, Sequence: sequence})
		var got []Reading
		for slot := range m.Layout().Len() {
			got = append(got, v.Read(slot))
		}
		for _, r := range v.Recalled(nil) {
			got = append(got, Reading{Value: float64(r.Last), Known: r.True, AsOf: int64(r.Slot)})
		}
		v.SetAgain(changes...)
		if i > 0 && !slices.Equal(got, want) {
			t.Fatalf("sequence %d, %s of %s:\n%v\nwant\n%v", sequence, e.Type, e.Account, got, want)
		}
		want = got
	}
}

// A memory restored from pages made between events, and the deltas since, goes on exactly like the one that never stopped: its readings,
// its evictions, and what others read of it.
func TestRestoredMemoryGoesOnTheSame(t *testing.T) {
	l, err := NewLayout(everyKind())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		budget := rapid.IntRange(1, 6).Draw(t, "budget")
		board := NewBoard(2)
		m := NewMemory(l, [16]byte{7}, 0, budget, board)
		smallSlabs(t, m)
		var d disk
		var now time.Duration
		sequence := uint64(0)
		for range rapid.IntRange(0, 120).Draw(t, "before") {
			switch rapid.IntRange(0, 5).Draw(t, "store") {
			case 0:
				d.commit(m)
			case 1:
				d.page(m)
			}
			sequence++
			step(t, &now, sequence, m)
		}
		d.commit(m)
		if rapid.Bool().Draw(t, "page before the crash") {
			d.page(m)
		}
		restoredBoard := NewBoard(2)
		r := NewMemory(l, [16]byte{7}, 0, budget, restoredBoard)
		smallSlabs(t, r)
		if err := d.restore(r); err != nil {
			t.Fatal(err)
		}
		if r.Closed() != m.Closed() {
			t.Fatalf("closed slice %d after the restart, %d before", r.Closed(), m.Closed())
		}
		a, b := NewMemory(l, [16]byte{7}, 1, 0, board), NewMemory(l, [16]byte{7}, 1, 0, restoredBoard)
		evicted := m.Evicted()
		for i := range rapid.IntRange(0, 60).Draw(t, "after") {
			sequence++
			step(t, &now, sequence, m, r)
			if c := m.Closed(); c != Nothing {
				asOf := []int64{c - int64(rapid.IntRange(0, Ahead-1).Draw(t, "as of")), 0}
				a.Read(asOf)
				b.Read(asOf)
				step(t, &now, uint64(i+1), a, b)
			}
		}
		if r.Evicted() != m.Evicted()-evicted {
			t.Fatalf("%d evicted after the restart, want %d", r.Evicted(), m.Evicted()-evicted)
		}
	})
}

func TestLayoutMigration(t *testing.T) {
	count := Spec{Func: Count, Key: Account, Types: []string{"x"}, Span: time.Hour}
	perIP := Spec{Func: Count, Key: IP, Span: time.Hour}
	device := Spec{Func: FirstSeen, Key: Account, Field: "device"}
	gone := Spec{Func: Sum, Key: Account, Span: time.Hour}
	old := Spec{Func: Again, Key: Account, Field: "old.id"}
	f := newFeed(t, 0, count, perIP, device, gone, old)
	d := event.Data{IP: "192.0.2.1", Device: "d", HasAmount: true, Amount: 3}
	f.take(0, "x", d)
	f.take(time.Minute, "x", d).SetAgain(Recall{f.Layout().Slot(old), true, t0.UnixMilli()})

	added := Spec{Func: Count, Key: Account, Types: []string{"x"}, Span: 2 * time.Hour}
	renamed := Spec{Func: Again, Key: Account, Field: "new.id", Was: []string{"old.id"}}
	known := Spec{Func: Known, Key: Account, Field: "device"} // shares the state of first_seen
	sizes := Spec{Func: Age, Key: IP}
	l, err := NewLayout([]Spec{added, count, perIP, known, renamed, sizes})
	if err != nil {
		t.Fatal(err)
	}
	check := func(m *Memory, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		g := &feed{Memory: m, t: t, seq: f.seq}
		v := g.take(2*time.Minute, "x", d)
		g.want(v, count, 3)
		g.want(v, perIP, 3)
		g.want(v, known, 1)
		g.want(v, added, 1)
		g.want(v, sizes, 120)
		if was, last := v.Again(l.Slot(renamed)); !was || !last.Equal(t0) {
			t.Errorf("the renamed rule remembers %v %v", was, last)
		}
	}
	stored, err := UnmarshalLayout(f.Layout().Marshal())
	if err != nil {
		t.Fatal(err)
	}
	m := NewMemory(l, [16]byte{1}, 0, 0, nil)
	err = m.Restore(f.Dirty(nil), stored)
	m.SetClock(f.Clock())
	check(m, err)
	f.KnownFrom(f.Layout().Slot(count), t0)
	r, err := f.Relaid(l)
	if err == nil && (r.Take(&Input{Event: &event.Event{Type: "y", Account: "b", Time: t0, Arrival: t0}}).Read(l.Slot(count)).Known || !r.Clock().Equal(f.Clock())) {
		t.Error("laid out anew, the memory has lost what was known from when, or its clock")
	}
	check(r, err)
}

// Rules come, go, change their ids and their order: what is remembered of each goes on under its new number.
func TestAgainIsRenumbered(t *testing.T) {
	spec := func(id string, was ...string) Spec { return Spec{Func: Again, Key: Account, Field: id, Was: was} }
	f := newFeed(t, 0, spec("b"), spec("d"), spec("f"), spec("h"))
	slot := func(l *Layout, id string) int { return l.Slot(spec(id)) }
	f.take(0, "x", event.Data{}).SetAgain(Recall{slot(f.Layout(), "b"), true, 1}, Recall{slot(f.Layout(), "f"), false, 2}, Recall{slot(f.Layout(), "h"), true, Never})
	f.takeAt(0, 0, "acct-2", "x", event.Data{}, geo.Place{}).SetAgain(Recall{slot(f.Layout(), "b"), true, 3})
	l, err := NewLayout([]Spec{spec("a", "f"), spec("c"), spec("d"), spec("h", "x", "b")})
	if err != nil || l.Equal(f.Layout()) {
		t.Fatalf("%v, or the layout of other rules is the same", err)
	}
	r, err := f.Relaid(l)
	if err != nil {
		t.Fatal(err)
	}
	g := &feed{Memory: r, t: t, seq: f.seq}
	want := []Recall{{slot(l, "a"), false, 2}, {slot(l, "h"), true, Never}} // h's own memory, not b's
	if got := g.take(0, "x", event.Data{}).Recalled(nil); !slices.Equal(got, want) {
		t.Errorf("remembered are %v, want %v", got, want)
	}
	if got := g.takeAt(0, 0, "acct-2", "x", event.Data{}, geo.Place{}).Recalled(nil); len(got) != 0 {
		t.Errorf("remembered are %v, want nothing: the rule is gone", got)
	}
	if none, err := g.Relaid(f.Layout()); err != nil || none.Len(Account) != 2 {
		t.Errorf("%v: back to the rules before, %d accounts", err, none.Len(Account))
	}
}

// A list of rules that is out of order, or of rules that are not there, is refused.
func TestAgainOutOfOrder(t *testing.T) {
	f := newFeed(t, 0, Spec{Func: Again, Key: Account, Field: "a"}, Spec{Func: Again, Key: Account, Field: "b"})
	for _, bad := range [][]uint64{{1 << 48, 0}, {1 << 48, 1 << 48}, {2 << 48}} {
		v := f.take(0, "x", event.Data{})
		b := v.account.resize(f.Layout().again, againEntry*len(bad))
		for i, e := range bad {
			binary.LittleEndian.PutUint64(b[i*againEntry:], e)
		}
		f.account.touch(v.account.ref, v.account.rec)
		m := NewMemory(f.Layout(), [16]byte{1}, 0, 0, nil)
		if err := m.Restore(f.Dirty(nil), nil); !errors.Is(err, ErrDamaged) {
			t.Errorf("%x: %v, want damaged", bad, err)
		}
	}
}

func TestRestoreRefusesDamage(t *testing.T) {
	f := newFeed(t, 0, everyKind()...)
	for i := range 10 {
		f.take(time.Duration(i)*time.Second, "login.failed", event.Data{IP: "192.0.2.1", Device: "d"})
	}
	delta := f.Dirty(nil)
	fresh := func() *Memory { return NewMemory(f.Layout(), [16]byte{1}, 0, 0, nil) }
	for i := 0; i < len(delta); i += 7 {
		bad := slices.Clone(delta)
		bad[i] ^= 0x10
		if m := fresh(); !errors.Is(m.Restore(bad, nil), ErrDamaged) || m.Len(Account) != 0 {
			t.Fatalf("a delta with byte %d changed was taken", i)
		}
		if err := fresh().Restore(delta[:i], nil); i > 0 && !errors.Is(err, ErrDamaged) {
			t.Fatalf("a delta cut at byte %d was taken", i)
		}
	}
	other := newFeed(t, 0, Spec{Func: Count, Key: Account, Span: time.Hour})
	if err := fresh().Restore(delta, other.Layout()); !errors.Is(err, ErrDamaged) {
		t.Errorf("a delta under another layout was taken: %v", err)
	}
	if err := fresh().Restore(append(slices.Clone(delta), delta...), nil); err != nil {
		t.Errorf("two frames in one: %v", err)
	}
}

func TestRestoreKeepsTheNewer(t *testing.T) {
	s := Spec{Func: Count, Key: Account, Span: time.Hour}
	f := newFeed(t, 1, s)
	f.take(0, "x", event.Data{})
	old := f.Dirty(nil)
	f.takeAt(0, 0, "b", "x", event.Data{}, geo.Place{}) // acct-1 leaves
	left := f.Dirty(nil)
	f.take(0, "x", event.Data{})
	f.take(0, "x", event.Data{})
	last := f.Dirty(nil)
	r := &feed{Memory: NewMemory(f.Layout(), [16]byte{1}, 0, 1, nil), t: t, seq: f.seq}
	for _, b := range [][]byte{last, old, left} {
		if err := r.Restore(b, nil); err != nil {
			t.Fatal(err)
		}
	}
	r.want(r.take(0, "x", event.Data{}), s, 3) // neither the older record nor its tomb has undone the newer one
}

func TestPagesAreBoundedAndComplete(t *testing.T) {
	f := newFeed(t, 0, Spec{Func: Distinct, Key: Account, Field: "device", Span: time.Hour}, Spec{Func: Count, Key: Device, Span: time.Hour})
	for i := range 3000 {
		f.takeAt(0, 0, fmt.Sprint("acct-", i), "x", event.Data{Device: fmt.Sprint(i % 1700)}, geo.Place{})
	}
	r := NewMemory(f.Layout(), [16]byte{1}, 0, 0, nil)
	pages := 0
	for n, more := 0, true; more; n++ {
		var page []byte
		page, more = f.Page(n)
		if len(page) > 260<<10 {
			t.Errorf("page %d has %d bytes", n, len(page))
		}
		if len(page) > 0 {
			pages++
		}
		if err := r.Restore(page, nil); err != nil {
			t.Fatal(err)
		}
	}
	if r.Len(Account) != 3000 || r.Len(Device) != 1700 || pages < 3 {
		t.Errorf("%d accounts and %d devices from %d pages", r.Len(Account), r.Len(Device), pages)
	}
}

func TestSparse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rec []byte
		for range rapid.IntRange(0, 6).Draw(t, "parts") {
			rec = append(rec, make([]byte, rapid.IntRange(0, 40).Draw(t, "zeros"))...)
			rec = append(rec, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")...)
		}
		b := appendSparse(nil, rec)
		back := slices.Repeat([]byte{7}, len(rec))
		if n := readSparse(back, append(slices.Clone(b), 1, 2, 3)); n != len(b) || !slices.Equal(back, rec) {
			t.Fatalf("%x came back as %x, %d of %d bytes read", rec, back, n, len(b))
		}
		for i := range b {
			if n := readSparse(back, b[:i]); n >= 0 {
				t.Fatalf("%d of %d bytes were taken for a record", i, len(b))
			}
		}
	})
}

// FuzzRestore gives bytes as a frame of their own and as entries inside a sound one.
func FuzzRestore(f *testing.F) {
	l, err := NewLayout(everyKind())
	if err != nil {
		f.Fatal(err)
	}
	g := newFeed(f, 1, everyKind()...)
	for _, account := range []string{"a", "b"} {
		g.takeAt(0, 0, account, "login.failed", event.Data{IP: "192.0.2.1", Device: "of " + account}, geo.Place{})
		b := g.Dirty(nil)
		f.Add(b)
		f.Add(b[frameHead : len(b)-frameTail])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := NewMemory(l, [16]byte{1}, 0, 0, nil)
		for _, frame := range [][]byte{b, endFrame(append(beginFrame(nil), b...), 0)} {
			if err := m.Restore(frame, nil); err != nil && !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v is not ErrDamaged", err)
			}
		}
	})
}
