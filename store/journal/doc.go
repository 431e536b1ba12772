// Package journal owns the record of everything decided: what, by whom, because of what; append-only, hash-chained, never rewritten.
//
// Invariant: an act and its entry are in one batch. If the entry can't be written the act does not happen. Positions have no gaps, every
// line carries the hash of all before it, and Verify finds any line that was changed, left out, moved or cut off. Against somebody who
// can write the whole chain anew stands the copy outside: head and entries are published to doorward.audit.v1.
//
// Keys: those of the log store.Journal, store.LineKey and store.HeadKey. Values: an Entry as JSON.
package journal
