// Package store owns the contract between Doorward and the database it keeps its records in, and the key space of those records.
//
// Invariant: one [Batch] is applied whole or not at all, is durable when [Engine.Commit] returns, and is refused when the shard it
// speaks for has been claimed by somebody else since. Everything in Doorward that must not be lost goes through Commit.
//
// The engine that ships is store/badger. The contract asks for nothing that a PostgreSQL-wire database could not give with one row
// per key, one row per log head and one transaction per batch; store/storetest says so in tests that any engine must pass.
package store
