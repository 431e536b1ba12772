// Package simulate owns made-up traffic: the life of people on a wallet, and attacks on them, as events with labels.
//
// Invariant: what it makes is a pure function of its Config; times never go back; every event is taken by the strict decoder; addresses
// are those reserved for documentation (RFC 5737, RFC 3849), and nobody has a name.
package simulate
