package detect

import "time"

// maxEarly is how far a record's timestamp may be ahead of this process's clock: as far as an event's time may be ahead of its arrival
// (EVENTS.md, "Time").
const maxEarly = 5 * time.Minute

// capArrivals lets records whose timestamps are from the future arrive at now, and reports whether there were any. A topic that keeps its
// producers' timestamps has whatever their clocks say; one record from 2100 would else end every window across accounts of its shard, and
// of the shards that follow its clock, for good: nothing that came later would ever be a new slice. What is done is written into the
// shard's log (taken.Ceiling), by which a replay does the same.
func capArrivals(records []Record, now time.Time) (any bool) {
	limit := now.Add(maxEarly)
	for i := range records {
		if r := &records[i]; r.Time.After(limit) {
			r.Stamp, r.Time, any = r.Time, now, true
		}
	}
	return any
}
