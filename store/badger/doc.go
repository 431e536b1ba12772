// Package badger owns the embedded engine: the one door to Badger, and the committer behind which it stands.
//
// Invariant: one goroutine writes. It merges the batches that wait into one synced transaction, judges each by itself against what the
// transaction would leave behind, and answers none of them before the transaction is on disk. What it cannot be sure of it says: after a
// write that failed in an unknown state the engine answers [ErrBroken] to everything until a new process opens the store, because Badger
// may show half of that transaction until its log is read anew, and a sync that failed once proves nothing when it is tried again.
//
// A store directory holds:
//
//	doorward.json   the door plate: format, id, the master key's check value; read before anything is touched
//	state/          Badger's files
//	acknowledged    the number of the last commit that was answered; see numbers.go for what it protects against
//	ballast         256 MiB to delete when the disk is full
package badger
