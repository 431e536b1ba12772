// Package detect owns the engine: a shard's loop (Run) and one event's path (Handle): event -> facts -> findings -> verdict ->
// consequence -> journal.
//
// Invariant: a shard is one goroutine, the only writer of its windows and of its accounts' states; what it decides is a function of what it
// took in, in that order; a verdict leaves only after its commit; a failed commit drops the memory and loads again.
//
// # A crash, step by step
//
//	look ahead   decode, bring windows near, read accounts      nothing has changed
//	evaluate     windows, findings, states in memory            nothing is stored: the records are read again
//	commit       one transaction: the windows' log, the offset, accounts, findings, cases, entries, what is owed, some pages
//	             of a checkpoint                                all of it is there or none of it (store/badger); an error in between
//	                                                            says neither, so the memory is loaded again from what is there
//	publish      what is owed, in order                         it is owed still: published again, under the same ids
//	delete       what was published                             as before
//
// A checkpoint is whole when the commit with its last page says so; until then the one before it, and every delta since that one began, are
// there. Deltas and pages are deleted after that commit, some with each; what a crash leaves of them is found by the next load. A take that a
// window's record has had already is passed by (rules/window, durable.go), so pages may have been made at any time between.
//
// crash_test.go, anyway_test.go and acts_test.go let the n-th write fail in both forms, for every n; cmd/doorward/faults does it to the whole
// program.
//
// # Speed
//
// The path itself says nothing of it; the rooms behind it do. Records are decoded without garbage (rules/event), a few hundred ahead of
// their evaluation, so that the processor waits for many windows' memory at once (lookAhead). An account that has nothing to tell is a bit in
// its windows' record (accounts.go). Repeats lie in one piece of memory (hashes.go). Deltas are what was taken in, not what changed. What the
// store is asked for and what it is given is one request a batch.
//
//	go test -run - -bench Shards -benchtime 3000000x ./detect     the engine without broker and disk
//	doorward bench                                                the whole
package detect
