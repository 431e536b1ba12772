// Package auth owns an account and its State, and who may move it where.
//
// Invariant: [Account.Judge], [Account.Do], [Account.Expire] and [Account.FactorProved] are the only functions that make a new state, the
// shard that is the account's home their only caller; each is a function of its arguments, and every change raises the version by one and
// carries its cause. What people and deadlines want is an [Act]; it enters through [Desk], which authorises it, journals it and puts it into
// the shard's inbox in one transaction.
//
// Findings only tighten: open < challenged < limited < locked. Only a recovery, staff, the right factor (out of a challenge) or the
// deadline loosen. When in doubt an act is refused: never unlock.
//
// The transitions, held to the code by a test. A row is a cause, a column the state it meets; rec.limited and rec.locked are recovering with
// what it began in. A dot: nothing changes, the version stays. no: the act is refused. same: what holds gets stricter within the state. +c:
// a second factor is asked for as well. An act that saw another version than the account has is refused before this table is asked.
//
//	                   open        challenged  limited      locked      rec.limited  rec.locked  probation
//	finding none       .           .           .            .           .            .           .
//	finding notify     .           .           .            .           .            .           .
//	finding review     .           .           .            .           .            .           .
//	finding challenge  challenged  .           same+c       .           same+c       .           same+c
//	finding limit      limited     limited+c   .            .           .            .           limited
//	finding lock       locked      locked      locked       .           rec.locked   .           locked
//	until              .           .           open         .           open         .           open
//	right factor       .           open        .            .           .            .           .
//	act lock           locked      locked      locked       .           locked       locked      locked
//	act limit          limited     limited+c   .            no          no           no          limited
//	act unlock         .           open        open         open        open         open        open
//	act verified       no          open        no           no          no           no          no
//	act begin          no          no          rec.limited  rec.locked  .            .           no
//	act give_up        no          no          no           no          limited      locked      no
//	act recovered      no          no          probation    probation   probation    probation   no
//	act denied         locked      locked      locked       .           rec.locked   .           locked
//	act approved       .           .           .            .           .            .           .
//	act trust          .           .           .            .           .            .           .
//	act case_close     .           .           .            .           .            .           .
//	act case_note      .           .           .            .           .            .           .
//	act adopt          locked      locked      locked       same        locked       same        locked
//
// The row of adopt is that of a published lock which is ahead of the record: of what is published and what is stored the stricter holds,
// above both versions; see [Account.Do] and [Behind].
//
// Not in the table: a challenge that is unanswered when a limit begins stays, and the end of the limit leads to challenged then; a limit out
// of a probation lasts at least as long as the probation would have; a limit that is limited again ends at the later of the two ends; a
// finding whose rule asks for staff raises what a recovery demands, in any state from limited on.
package auth
