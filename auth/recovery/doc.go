// Package recovery owns an owner's way back: what it demands, in which order, and how far it has come. It knows no HTTP.
//
// Invariant: [Next] is a total function of the recovery, an input and the time; what it demands follows from what a stranger touched
// ([Demand]) and from nothing else, is computed again at every step, and never gets weaker than an authenticator code. A proof, the step or
// recovery code it burns, the record of the recovery and the act that lets the owner in are one transaction.
//
//	pending  --first proof, more to come--> proving   (account: recovering)
//	pending, proving --last proof--> applying         (act recovered is in the inbox)
//	proving --last proof, a factor was touched--> held --24 h and "finish"--> applying
//	applying --applied--> finished                    (account: probation)
//	applying --refused--> proving                     (the state had moved on: the owner sees why and goes on)
//	proving, held --give_up--> given_up               (account: as before; any proof begins again)
//
// Who has nothing left to prove with, or whose rule says so, needs staff (status staff): four eyes, outside of this package.
//
// Keys: store.KindRecovery, id.
package recovery
