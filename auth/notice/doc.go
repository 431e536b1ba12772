// Package notice owns what owners are told outside the sites: the texts, the links in them, and the mail that carries them.
//
// Invariant: a notice is a function of what is due, the owner's profile and the settings: written twice it is the same, byte for byte, so
// that a repeat is known as one. It goes to every address of the owner, the older ones too, each by itself. A link in it changes nothing
// when it is opened; no text from outside gets into a header.
//
// [Writer] makes a [Notice] of a [Due]; a [Send] takes it away: [Mailer.Send] by SMTP, [Outbox.Send] onto the demo's page.
package notice
