// Package auth owns an account and its State, and who may move it where.
//
// Invariant: [Account.Apply] is the only function that makes a new state, the shard that is the account's home its only caller, and every
// change it makes raises the version by one and carries its cause. What people and deadlines want is an [Act]; it enters through [Desk],
// which authorises it, journals it and puts it into the shard's inbox in one transaction.
//
// Findings only tighten: open < challenged < limited < locked. Only a recovery, staff, the right factor (out of a challenge) or the
// deadline loosen. When in doubt an act is refused: never unlock.
package auth
