// Package cases owns what staff review: a Case and where it may go.
//
// Invariant: a case is only made and changed by the pure functions of this package, only the shard that is its account's home writes one,
// and a closed case stays closed with the outcome it was given: what happens later on that account opens another.
//
//	state   open    add     close   note
//	none    open    -       -       -
//	open    -       open    closed  open
//	closed  -       -       -       closed
//
// "-" is refused. A finding added to a closed case changes nothing: whoever holds it opens a new case instead. A note on a closed case is
// kept, because what is learned late is worth reading too.
//
// Keys: store.KindCase holds the record as JSON (names are added, never changed); store.KindCaseOpen lists the open ones by inverted
// score and time of opening, so that a scan reads the worst and oldest first; store.KindCaseOf lists an account's by time of opening.
package cases
