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
//	bulk/           segments: the large values of the bulk kinds (store.Bulk), see below
//	acknowledged    the number of the last commit that was answered; see numbers.go for what it protects against
//	ballast         256 MiB to delete when the disk is full
//
// # Formats
//
// The plate says the format. Open brings an older one to this program's, step by step in batches, each with how far it came in its
// transaction; the plate says so before the first and until after the last, so that a kill anywhere leads to the next Open going on, and an older
// program refuses what it could misread (migrate.go). To look at a store, to verify and to copy it, it is opened as it is (Config.Older).
//
// # Bulk values
//
// Deltas and checkpoint pages are nearly all of the bytes and live for minutes. Badger would write them into its log, into a table, and
// into further tables by compaction, and its value log is never reclaimed (issue #2334). So a value of 4 KiB or more under a bulk kind
// goes to a segment, a file that is only appended to; its record in Badger names segment, offset, length and CRC-32C. Everything else of
// the contract, what there is, since when, for which reader, stays Badger's. A commit with bulk values:
//
//  1. A writer appends them to its segment and syncs it, those of all batches that wait in one go, while the committer may be busy with
//     the batches before. Batches with checkpoint pages have a writer of their own, so that no delta waits for another shard's pages.
//     A crash: values that no record names; the next open cuts them off. A failed write: this batch fails, nothing else. A failed sync:
//     ErrBroken.
//  2. The committer judges the batch (epoch, expectations) and puts its records, the places of its bulk values among them, into the
//     transaction with all others that wait. Refused: again values that nobody names, gone with their segment.
//  3. Badger syncs the transaction. A crash before: as in 1. After: all of the batch is there, since 1 was on disk before.
//  4. What the transaction deleted or overwrote no longer counts as live. A segment without a live value is removed once every reader has
//     gone that began before. A crash before that: the next open removes it. Removing never comes before 3, so no record on disk ever
//     names a missing segment; one that does was lost by the disk, and Open says so.
//  5. Where all segments take more than twice the live bytes and 256 MiB, because a slow shard's values lie among the fast ones', the
//     values of the emptiest are written again like in 1 and renamed like in 2, each only if its record still names the old place.
//
// A batch without bulk values passes by 1 and waits for nobody's. A reader that runs for long keeps segments that it may need: the disk
// grows by what is written meanwhile.
//
// # Why so
//
// BenchmarkEngine/flat, 1,500 commits of each of eight busy shards as fast as they go, 17 checkpoints included, on two cores that others
// used heavily (CPU of the process; a clean open):
//
//	                                     us/event  written/delta  commit ms p50/p99/max  open ms  anonymous MB
//	Badger, inline, as it was                3.91       13.2         22 / 364 / 1776       2521      4398
//	Badger, inline, tuned                    1.49        9.5         16 / 507 / 1687       1853      4860
//	a second Badger for bulk values          0.70        8.5         12 / 136 /  376       1468        438
//	segments, one writer                     0.30        2.5          5 /  70 /  160        110        174
//
// and when they were quieter:
//
//	segments, two writers                    0.26        2.5        2.5 / 7.9 /   52         70        255
//	the same, paced at 200,000 events/s      0.41        2.1        3.1 / 6.4 /   14         38         65
//
// Tuned: no compression, memtables of 128 MiB, 2 GiB of base level. Second: values in its value log, the whole directory dropped with the
// epoch of its checkpoints. Of segments' 2.5 bytes written per byte of delta 1 is the delta and 1.2 are the pages. The price is 600 lines
// here, for which they give what no setting of Badger's does: every byte is written once, and the disk is bounded.
package badger
