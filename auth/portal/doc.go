// Package portal owns the owner's web site: from a notice's link back into the account, the answer to "was this you?", and asking for a new link.
//
// Invariant: it decides nothing. [recovery.Flow] says what is asked for, this package shows it and hands on what was typed. A GET changes
// nothing; every POST answers with a redirect, and what it has to say waits in the session, so that reloading and changing the language lose
// nothing. Who asks learns nothing about whether an account, a link or an address exists.
//
// A session speaks for one recovery and is made by the POST behind a link ([web.Sessions], 15 min). It is made anew, with another secret, when
// a code was right; from then on it is proved. What comes after a proof (password, review, new codes, a new app) is for a proved session
// only: who has no more than the link starts with the code, whatever somebody else has proved in another browser.
//
// The path of a recovery:
//
//	/r/{token} -> /why -> /code | /recovery-code -> /mail-code -> /password -> /review -> /stopped (wait) -> /done -> /enrol
//
// Beside it: / (ask for a link), /n/{token} (was this you?), /stopped (staff), /give-up, /ended, /elsewhere.
package portal
