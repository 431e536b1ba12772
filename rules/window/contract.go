package window

import (
	"time"

	"doorward/rules/event"
	"doorward/rules/geo"
)

// Input is what a Memory takes in: one event with what is known of its place.
type Input struct {
	Event    *event.Event
	Place    geo.Place
	Sequence uint64 // of the shard; grows with every event and act
}

// Timing says where an event lies in its account's time.
type Timing int

const (
	OnTime  Timing = iota // newest of its account so far, or equal
	Late                  // behind the newest by up to 24 h: own buckets are updated, rules see the windows as of the newest
	TooLate               // later than that: no window changes
)

// LateLimit is how far behind its account's newest an event may be and still change windows (EVENTS.md, "Late").
const LateLimit = 24 * time.Hour

// Reading is a window's value for one event. Bool values are 0 and 1.
type Reading struct {
	Value  float64
	Known  bool  // false: the window was added later and is not older than its span yet
	Across bool  // read from a window across accounts
	AsOf   int64 // Across: the last slice (unix second) that was read of other shards
}
