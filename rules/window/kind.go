package window

// kind is one way to remember. A new one is a file with such a value, and a line in kinds.
//
// An account's window is changed by observe and read by read. One across accounts is changed by observe on the shard that took the event,
// and read by gather on every shard's part as of a slice, then total.
type kind struct {
	funcs  []Func // the readings it gives; the first names the state
	across bool   // for keys across accounts; else for accounts
	span   bool   // needs a span
	field  bool   // needs a field
	keeps  bool   // outlives a recovery (Forget)

	// size sets how many bytes a record holds for c once something was seen (none before), and c's width.
	size func(c *cell)
	// match: does an event of this type change the window; nil: the spec's types.
	match func(c *cell, eventType string) bool
	// observe changes the window and says what a reading must know of the time before.
	observe func(w *opened, o *occasion, c *cell) note
	// peek gives the same note without changing anything, for an event that does not count; nil: the zero note.
	peek func(rec []byte, o *occasion, c *cell) note
	read func(rec []byte, o *occasion, c *cell, n note, f Func) float64
	// sound reports whether bytes of a length that c can have mean something; nil: all do.
	sound func(c *cell, b []byte) bool

	gather func(rec []byte, c *cell, r reach, n note, t *tally)
	total  func(o *occasion, t *tally) float64

	// forget is what a recovery leaves of the window when it keeps; since in ms, 0: all.
	forget func(w *opened, c *cell, since int64)
}

var kinds = []*kind{
	&countKind, &sumKind, &distinctKind, &knownKind, &ageKind, &sinceKind, &speedKind, &sequenceKind, &againKind,
	&countAcrossKind, &sumAcrossKind, &distinctAcrossKind, &ageAcrossKind, &sinceAcrossKind,
}

func kindOf(s Spec) *kind {
	for _, k := range kinds {
		if k.across == (s.Key != Account) && k.gives(s.Func) {
			return k
		}
	}
	return nil
}

func known(f Func) bool {
	for _, k := range kinds {
		if k.gives(f) {
			return true
		}
	}
	return false
}

func (k *kind) gives(f Func) bool {
	for _, g := range k.funcs {
		if g == f {
			return true
		}
	}
	return false
}

// note is what observing found before it changed the window.
type note struct {
	a, b int64
	x, y float64
	ok   bool
}

// reach is the slices that a reading covers on one shard: from, to inclusive.
type reach struct {
	from, to int64
	own      bool // the reader's own part, as it is
}

// tally is a reading across accounts in the making.
type tally struct {
	sum         int64
	set         []uint32
	full        bool
	first, last int64 // slices; none while has is false
	has         bool
}

func addCapped(a, b int64) int64 {
	if s := a + b; s >= a {
		return s
	}
	return 1<<63 - 1
}
