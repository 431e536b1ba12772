// Package history owns what each account did, event by event, for people: the owner, staff, explain.
//
// Invariant: it is a projection. Nothing is decided from it, everything in it can be read again from the topics, so it is not synced and
// may be deleted at any time; a line is stored once however often it is added, and the reader's offsets are stored with the lines they
// speak of. What Raw holds is what the reader gave: hiding what must not be seen is the reader's task.
//
// It is a database of its own. Keys (kinds in store/keys.go):
//
//	h <account> 0 time8 identity16   a line; time8 is the event's time in milliseconds, sign bit flipped, so that order is order of time
//	i id16 identity16                the key of the line with this event identity; hashes, because ids may hold any byte
//	j day2 <account>                 the account has lines on this day (UTC); what Sweep goes by
//	w <topic> 0 partition4           the next offset to read
package history
