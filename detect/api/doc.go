// Package api owns the HTTP that the platform calls: what its owners' contacts are, what an account's state is, what to do about one event
// now, and whether a second factor is right (EVENTS.md, "HTTP, for the platform"; bodies in COMMANDS.md).
//
// Invariant: nobody without a bearer token learns or changes anything; a body is taken whole and strictly or not at all; an account that is
// unknown answers as one without a factor; what can't be known is said to be unknown, never open; no answer holds a word of an inner error.
//
//	PUT  /v1/accounts/{id}         -> 204
//	GET  /v1/accounts/{id}         -> 200 auth.Record
//	POST /v1/accounts/{id}/verify  -> 200 {state} · 202 {state} · 403 {error}
//	POST /v1/decide                -> 200 detect.Decision
//
// Errors are application/problem+json (RFC 9457) with the types of problem.go, which are stable.
package api
