// Package totp owns what an owner proves himself with: authenticator apps (RFC 6238) and recovery codes, their secrets and their budgets. It
// is the only door to pquerna/otp.
//
// Invariant: a try is spent, on disk, before its code is looked at; a step or a recovery code that was accepted is never accepted again,
// across processes, restarts and parallel tries; no secret leaves the store unsealed or unhashed. Failures go down only by a success of the
// same factor or by time.
//
// The order of one try: normalise, reserve (compare-and-set), verify, then burn together with whatever the code was for in the caller's one
// transaction ([Factors.Redeem], [Codes.Redeem]). A crash between any two of them leaves the try spent.
//
// Keys: store.KindFactor, account, "totp" or "pending" (enrolled, not yet confirmed); store.KindCodes, account, "" (the sets and their
// budget) and store.KindCodes, account, first group of a code.
package totp
