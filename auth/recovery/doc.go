// Package recovery owns an owner's way back: what it demands, in which order, and how far it has come. It knows no HTTP.
//
// Invariant: [Next] is a total function of the recovery, an input and the time; what it demands follows from what a stranger touched
// ([Demand]) and from nothing else, is computed again at every step, and never gets weaker than an authenticator code. A proof, the step or
// recovery code it burns, the record of the recovery and the act that lets the owner in are one transaction.
//
// Its statuses, held to the code by a test. proving: something is proved, more is asked for, and the account is recovering. held: all is
// proved, and because a factor was touched, a day is waited. applying: the act that lets the owner in is in the shard's inbox. Given up is no
// end: any proof begins again.
//
//	pending  -> proving   code, recovery_code
//	pending  -> applying  code, recovery_code
//	pending  -> given_up  give_up
//	proving  -> held      reviewed
//	proving  -> applying  finish, reviewed
//	proving  -> given_up  give_up
//	held     -> applying  finish
//	held     -> given_up  give_up
//	applying -> proving   refused
//	applying -> finished  applied
//	given_up -> proving   code, recovery_code
//	given_up -> applying  code, recovery_code
//
// Who has nothing left to prove with, or whose rule says so, needs staff (status staff): four eyes, outside of this package.
//
// Keys: store.KindRecovery, id.
package recovery
