// Package staff owns who the staff are, how they prove it, and what each role may do.
//
// Invariant: nobody is signed in without a password and a code from their authenticator app (a demo's one-time link apart, which only the
// process itself can make), an answer says nothing about which of the two was wrong or whether the name exists, and every change is in the
// journal in the same transaction as the change.
//
// Identities are read again with every request, so a disabled or changed role acts on the next one. The last administrator can't be
// disabled or given less, wrong tries only make one wait, and the command line can always invite again: nobody is locked out for good.
//
//	invited -> (password) -> started -> (code) -> joined -> disabled -> joined
//
// Keys: store.KindStaff holds an identity by name, store.KindInvite a one-time link by the SHA-256 of its token. Names are added to the
// stored form, never changed.
package staff
