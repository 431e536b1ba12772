// Package console owns the staff web site: sign-in, queue, case, account, rules, journal, staff.
//
// Invariant: every request but those of the sign-in pages is made by a member of staff who is signed in, enabled and allowed to by the one
// table of routes and permissions; nothing is changed but through the desk (auth) and staff, which write the journal; every text that an
// event, an owner or a colleague wrote passes [visible] before a template sees it, so that it is read as text and nothing in it is hidden.
//
// A case is read in the order of the path: event, facts, findings, verdict, consequence, journal. Every page works without its script; the
// script only shortens what a click does.
package console
