// Package outbox owns what is owed between a shard and the outside: effects on their way out (rows), acts on their way in (the inbox).
//
// Invariant: a row is written in the batch of what caused it and deleted only after the outside acknowledged it, so it leaves at least
// once, in the order of its shard's sequences, under an id made from its cause. A relay whose shard was claimed by somebody else stops.
//
// Keys: store.KindOutbox shard2 sequence8 n4, values parcels of rows (parcel.go); the inbox is the log store.Inbox(shard), values opaque here.
package outbox
