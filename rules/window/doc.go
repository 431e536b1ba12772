// Package window owns remembered aggregates: how many, how much, how many different, for the first time, how fast, in what order.
//
// A [Spec] says what is remembered; a [Layout] gives each distinct spec of a rule set one slot at a fixed offset of a fixed-size,
// pointer-free record per key (an account, an address, a device, ...); a [Memory] holds one shard's records. Everything is a function of
// what was put in and in which order: no clock, no randomness, no map order.
//
// Time within an account is event time: windows end at the newest event of the account. Across accounts (per ip, device, payee, ...) time
// is a slice, one second of the shard's running maximum of arrival, because no event can hide behind its own time there: a shard writes
// its own slots, reads its own as they are and the others' as of their last closed slice.
package window
