package window

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultBudget is how many records of each key a shard keeps unless told otherwise.
const DefaultBudget = 1_000_000

// Nothing is the slice of a shard that has taken nothing in yet.
const Nothing = math.MinInt64

// Memory is one shard's records. Everything but Closed and the reading by other memories belongs to the shard's goroutine.
type Memory struct {
	layout *Layout
	board  *Board
	shard  int
	budget int
	key    [16]byte
	hash   hasher

	clock     atomic.Int64 // running maximum of arrival, ms; Nothing
	now       moment
	written   moment // by the last Dirty
	asOf      []int64
	knownFrom []int64 // by slot: known when time or slice is past it
	plans     map[string]*plan
	view      View
	values    values
	joined    bool
	loose     bool // Restore has put graves in since the last settle

	log     log     // of what was taken in since the last Dirty
	replays replays // of Restore

	list   []byte    // of rules' memories in the making (again.go)
	batch  []hashed  // of Warm
	next   int       // in it
	warm   []warming // of Warm, kept for its room
	warmed byte      // what Warm read, so that reading is not left out

	arena   arena
	account *table
	mu      sync.RWMutex // guards across, which other memories read
	across  []*table     // by position in Keys; 0 is nil
}

// NewMemory makes an empty memory for a shard. hashKey is the same for all shards of a store. budget is the most records kept per key, 0:
// DefaultBudget; the least recently changed leaves first. b may be nil: then windows across accounts hold this shard's part only.
func NewMemory(l *Layout, hashKey [16]byte, shard int, budget int, b *Board) *Memory {
	if budget <= 0 {
		budget = DefaultBudget
	}
	m := &Memory{layout: l, board: b, shard: shard, budget: budget, key: hashKey, hash: newHasher(hashKey), knownFrom: make([]int64, len(l.readings)),
		plans: map[string]*plan{}, across: make([]*table, len(Keys))}
	m.clock.Store(Nothing)
	m.log.begin()
	for i := range m.knownFrom {
		m.knownFrom[i] = math.MinInt64
	}
	m.account = newTable(0, budget, &m.arena, &m.log)
	for k := 1; k < len(Keys); k++ {
		m.across[k] = newTable(k, budget, &m.arena, &m.log)
		if b != nil && len(l.byKey[k]) > 0 {
			b.presence[k].size(budget * len(b.members))
			m.across[k].presence = mine{&b.presence[k], 1 << (shard % 8)}
		}
	}
	m.values = newValues(m.hash, l.fields)
	m.view = View{m: m, notes: make([]note, len(l.cells)), noted: make([]bool, len(l.cells)), recs: make([][]byte, len(Keys)), found: make([]bool, len(Keys))}
	m.view.at.values, m.view.slice.values = &m.values, &m.values
	return m
}

// Layout is the layout of m's records.
func (m *Memory) Layout() *Layout { return m.layout }

// Take puts an event into every window that it matters to and returns the view of them as of this event, good until the next Take.
//
// The sequence grows from event to event; a record whose stamp has reached it is read and not changed again. A TooLate event changes no
// window. The shard's clock moves to the event's arrival. A key across accounts gets a record from the events that change a window of it (any
// event, where its age is read).
func (m *Memory) Take(in *Input) *View {
	m.Advance(in.Event.Arrival)
	m.settle()
	v, p := &m.view, m.plan(string(in.Event.Type))
	v.begin(in)
	changed := byte(0)
	if m.takeAccount(v, p) {
		changed = 1
	}
	if v.at.timing == TooLate {
		return v
	}
	locked := false
	defer func() { // a panic is one event's (detect): other shards must not wait for ever for this one's windows
		if locked {
			m.mu.Unlock()
		}
	}()
	for k := 1; k < len(Keys); k++ {
		if !p.marks[k] || !m.values.has(k) {
			continue // nothing that is remembered per this key changes
		}
		h := m.values.id(k)
		if !locked {
			locked = true
			m.mu.Lock()
		}
		if m.takeAcross(v, k, h, p) {
			changed |= 1 << k
		}
	}
	if locked {
		locked = false
		m.mu.Unlock()
	}
	if changed != 0 {
		m.log.take(v, p, changed)
	}
	return v
}

// takeAccount reports whether it changed the record.
func (m *Memory) takeAccount(v *View, p *plan) bool {
	t, h, o := m.account, m.values.id(0), &v.at
	o.at = clampMillis(v.in.Event.Time)
	ref, ok := t.find(h)
	if !ok {
		ref = t.insert(h, v.in.Sequence, m.now)
	}
	w := &v.account
	*w = t.open(ref)
	o.now = max(o.at, newest(w.rec))
	switch behind := o.now - o.at; {
	case behind == 0:
		o.timing = OnTime
	case behind <= LateLimit.Milliseconds():
		o.timing = Late
	default:
		o.timing = TooLate
	}
	v.slice.timing = o.timing
	v.recs[0], v.found[0] = w.rec, true
	v.passed = reflects(w.rec, v.in.Sequence)
	if o.timing == TooLate || v.passed {
		return false
	}
	mark(w.rec, o, v.in.Sequence)
	old := o.at < floor(w.rec)
	for _, c := range p.byKey[0] {
		if (!old || c.kind.keeps) && c.counts(o.event) {
			v.note(c, c.kind.observe(w, o, c))
		}
	}
	w.shrink()
	if !ok {
		t.young = sizeOf(w.rec)
	}
	v.recs[0] = w.rec
	return true
}

func (m *Memory) takeAcross(v *View, k int, h *id, p *plan) bool {
	t, o := m.across[k], &v.slice
	ref, ok := t.find(h)
	if !ok {
		ref = t.insert(h, v.in.Sequence, m.now)
	}
	w := &v.other
	*w = t.open(ref)
	v.recs[k], v.found[k] = w.rec, true
	if reflects(w.rec, v.in.Sequence) {
		return false
	}
	if ok && m.now.jumped(w.rec) {
		t.bury(w.rec, m.now)
	}
	mark(w.rec, o, v.in.Sequence)
	for _, c := range p.byKey[k] {
		if c.counts(o.event) {
			v.note(c, c.kind.observe(w, o, c))
		}
	}
	w.shrink()
	if !ok {
		t.young = sizeOf(w.rec)
	}
	v.recs[k] = w.rec
	return true
}

// mark writes an event into a record's header, whose stamp makes it the most recently changed.
func mark(rec []byte, o *occasion, sequence uint64) {
	setStamp(rec, sequence)
	setNewest(rec, max(o.at, newest(rec)))
	if f := first(rec); f < 0 || o.at < f {
		setFirst(rec, o.at)
	}
}

func clampMillis(t time.Time) int64 { return max(0, t.UnixMilli()) }

// Read sets what the following Takes see of other shards: shard i as of slice asOf[i] (Nothing, or no entry: not at all), which must be
// closed and at most Ahead behind that shard, however far an idle one has jumped since. The own entry is not used. asOf is copied.
func (m *Memory) Read(asOf []int64) { m.asOf = append(m.asOf[:0], asOf...) }

// Closed is the last slice (unix second) of this shard to which nothing can be added any more; Nothing before the first event. Any
// goroutine may ask.
func (m *Memory) Closed() int64 {
	c := m.clock.Load()
	if c == Nothing {
		return Nothing
	}
	return c/1000 - 1
}

// Advance moves the running maximum of arrival without an event.
func (m *Memory) Advance(arrival time.Time) {
	m.join()
	before, at := m.clock.Load(), clampMillis(arrival)
	if at <= before {
		return
	}
	m.clock.Store(at)
	if before == Nothing {
		m.now = moment{slice: at / 1000}
	}
	if at/1000 > m.now.slice {
		m.now.move(at / 1000)
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, t := range m.across[1:] {
			t.graves.settle()
			t.graves.purge(m.now.tick)
		}
	}
}

// Clock is the running maximum of arrival, to be stored with a delta; zero before the first event.
func (m *Memory) Clock() time.Time {
	c := m.clock.Load()
	if c == Nothing {
		return time.Time{}
	}
	return time.UnixMilli(c).UTC()
}

// SetClock puts back what Clock gave, after Restore; from then on other memories may read m.
func (m *Memory) SetClock(arrival time.Time) {
	m.clock.Store(Nothing)
	if !arrival.IsZero() {
		m.clock.Store(clampMillis(arrival))
		slice := clampMillis(arrival) / 1000
		if m.now.slice == 0 || slice < m.now.slice { // no frame has told more
			m.now = moment{slice: slice}
		}
		if slice > m.now.slice {
			m.now.move(slice)
		}
		m.written = m.now
	}
	m.settle()
	for _, t := range m.across[1:] {
		t.graves.purge(m.now.tick)
	}
	m.join()
}

// KnownFrom says that a slot's window was added at t: its readings are not Known until the account's newest event (across accounts: the
// slice) is past t and the span, 30 days where there is none. Zero: known from the start, as every slot is by default.
func (m *Memory) KnownFrom(slot int, t time.Time) {
	r := m.layout.readings[slot]
	m.knownFrom[slot] = math.MinInt64
	if !t.IsZero() {
		m.knownFrom[slot] = unit(r.spec.Key, time.Duration(t.UnixMilli())*time.Millisecond) + r.known
	}
}

// Evicted is how many records have left because of the budget since this memory was made.
func (m *Memory) Evicted() uint64 {
	n := m.account.evicted
	for _, t := range m.across[1:] {
		n += t.evicted
	}
	return n
}

// Len is how many records of key there are.
func (m *Memory) Len(key Key) int {
	if key == Account {
		return m.account.len()
	}
	for k, t := range m.across {
		if t != nil && Keys[k] == key {
			return t.len()
		}
	}
	return 0
}

func (m *Memory) settle() {
	if !m.loose {
		return
	}
	m.loose = false
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.across[1:] {
		t.graves.settle()
	}
}

// Bytes is how much memory m's records of key take, with their room to grow and their index.
func (m *Memory) Bytes(key Key) int { return m.table(slices.Index(Keys, key)).bytes() }
