// Package detect owns the engine: a shard's loop (Run) and one event's path (Handle): event -> facts -> findings -> verdict ->
// consequence -> journal.
//
// Invariant: a shard is one goroutine, the only writer of its windows and of its accounts' states; what it decides is a function of what it
// took in, in that order; a verdict leaves only after its commit; a failed commit drops the memory and loads again.
package detect
