// Package rules owns the rule language: load, check, compile, evaluate, explain.
//
// A rule is data: YAML that a security analyst reads like a book, its `when` an expr-lang/expr expression whose window functions have
// constant arguments. [Load] refuses what is wrong with file, line, column and a suggestion, or returns a [Set] whose evaluation is a pure
// function of the event, its facts and the account: same input, same findings, byte for byte.
//
// # Conditions
//
// A condition compares facts: == != < <= > >=, in and not in [a, list], contains, startsWith, endsWith, matches (a pattern), put together by
// and, or, not and parentheses; numbers may be calculated with + - * /. There are no loops, variables or other functions.
//
// Facts are the fields of EVENTS.md by their names (amount, currency, counterparty, device, ip, method, reason, kind, direction, channel, ...), type,
// country and city (where the event came from), data.country (what a transaction says), account.state, extra.NAME and labels.NAME. Amounts are
// in minor units of the event's currency.
//
// What an event lacks equals nothing, differs from nothing, and is neither in a list nor outside of one: every comparison with it is false, so
// that a missing field fires no rule. has(NAME) asks for it. not turns a comparison round whatever the cause: not (amount < 5) is true
// without an amount.
//
// # Windows
//
// Windows include the current event. Their arguments are constants, in this order: a field, event types ("login.failed", "login.*",
// "a|b"), a span ("90s", "10m", "24h", "7d"); then, in any order, whose window it is, if not the rule's `per` (account, ip, network, device,
// payee, instrument), and for transactions a direction (in, out):
//
//	count("login.failed", "10m")                     how many events
//	sum("transaction.requested", "24h", "out")       how much money
//	distinct(account, "login.failed", "1h", "ip")    how many different values of a field; exact up to 64
//	first_seen(device)                               true when this value was not known before
//	known(device)                                    how many values were known before
//	known_for(device) < "24h"                        how long this value has been known, 0 when it is new
//	age() > "7d"                                     time since the first event
//	since("account.password.reset") < "24h"          time since the newest such event before; missing when there was none
//	speed_kmh("login.succeeded"), distance_km(...)   between this event's place and the one before
//	sequence("account.password.reset", "login.succeeded|login.challenged", "24h")   did they happen in this order, the last being this event
//
// first_seen, known, known_for, speed_kmh, distance_km and sequence are remembered per account only. Times are compared with text that has a
// unit.
//
// # Evaluation
//
// At load the checked tree of each condition is compiled twice: for expr's VM, which is the reference, and into closures, which are the engine
// (match.go). Both read facts from slots that all rules of a set share; the engine fills one when it is first asked for, so that a window is
// read at most once an event, and not at all where a cheaper condition has already said no. Closures can't fail: what an event lacks is
// NaN, empty text or false, as it is for the VM. Tests hold both to the same findings, evidence and memory, over random rules and events;
// and a rule that is about to fire is run by the VM once more.
//
// Each condition is taken apart into alternatives of conditions that must all be true (atom.go), and the alternatives of all rules on an event
// type are put into a tree (tree.go): by their rarest condition, then the next, then by the size of their constants, words by hash. A
// node asks what is true of everything below it or looser than each of it; where the answer is no, no rule below is looked at. So an
// event costs what it is near to, however many rules there are, and allocates nothing when none fires.
//
// What `again:` remembers must turn false with a condition that nobody has looked at: an account's record lists the rules that were true, and
// only those are asked (again.go).
package rules
