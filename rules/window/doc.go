// Package window owns remembered aggregates: how many, how much, how many different, for the first time, how fast, in what order.
//
// A [Spec] says what is remembered; a [Layout] gives each distinct spec of a rule set one slot, and a cell, which it may share with
// others, in the record of its key (an account, an address, a device, ...); a [Memory] holds one shard's records. Everything is a function
// of what was put in and in which order: no clock, no randomness, no map order. Ids are kept as keyed hashes only.
//
// A record is bytes without pointers, in slabs, and as long as what it remembers: a cell that nothing has come to takes none (packed.go). It
// moves to a slab of another size as it grows, and is found by its hash (index.go).
//
// Time within an account is event time: windows end at the newest event of the account. A late event changes its own buckets and is shown
// the windows as of the newest; one more than a day behind changes nothing.
//
// Across accounts (per ip, device, payee, ...) time is a slice, one second of the shard's running maximum of arrival, because no event can
// hide behind its own time there: a shard writes its own part of each window, reads its own as it is and the others' as of a closed slice.
//
// # As of a slice
//
// What a reader sees of another shard as of slice s depends on what that shard took in up to s and on nothing after, even when the owner
// has moved on by up to [Ahead] slices. So the same log gives the same readings for any number of workers. It holds because slices never
// go back, a closed one is never added to, and
//
//   - counts and sums keep the last Ahead seconds apart, so that what was added after s can be taken off again (slices.go);
//   - a trace knows the newest occurrence up to each of the last Ahead slices; a value of a distinct set gives up its place only when no
//     such reader can count it any more, and what finds no place leaves a trace too (trace.go, distinct_across.go);
//   - the first slice of a record never changes;
//   - what is asked first, whether another shard has such a record at all, was noted before the record was made (board.go);
//   - a record that is evicted stays readable as of the slices before for Ahead more, and so does what a record was before an idle shard's
//     clock jumped (grave.go).
//
// # Durability
//
// Records carry the sequence of their last change. [Memory.Dirty] gives what was taken in since, a few dozen bytes an event (log.go),
// [Memory.Page] gives everything a page at a time while events go on, [Memory.Restore] takes both; frames are checksummed. Evictions go by the
// stamps, the order of last changes (oldest.go), so a restored memory goes on, evicts and is read exactly like one that never stopped.
// durable.go tells what a crash costs between which steps, and why that holds.
//
// # What it costs
//
// An event's keys are hashed once, in [Memory.Warm], by SipHash-2-4 under the store's key: nobody without it can make two ids collide. Measure
// with
//
//	go test -run xxx -bench 'Builtin|Take|Dirty|Restore|Eviction' ./rules/window
//
// "cpu-ns/op" is user and system time an event, which counts on a shared machine; "delta-B/op" is what Dirty writes an event, "dirty-ns/op" what
// writing takes beside Take; "B/account" is memory, with an account's addresses and devices.
//
// # A new kind of window
//
// is one file with a kind: what it remembers, how it is updated, read and merged; and its line in kinds (kind.go).
package window
