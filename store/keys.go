package store

import (
	"encoding/binary"
	"strings"
)

// Every key starts with one byte that says what kind of record it is. This file lists them all; no other file makes up a prefix.
// A kind is never used again for something else. Integers in keys are big endian, so that order of keys is order of numbers.
const (
	KindMeta       = 'M' // M <name>                          format, identity, when and by whom the store was made
	KindEpoch      = 'e' // e shard2                          who owns a shard
	KindProgress   = 'p' // p shard2                          what a shard has taken in: sequence, offsets, slices, rule set
	KindShardLog   = 'l' // l shard2 sequence8 [position8]    what a shard took in, by sequence; the acts among it (DESIGN, "What determinism means")
	KindRuleSet    = 'R' // R <fingerprint> 0 n4              every rule set that was ever in force, in pieces
	KindDelta      = 'd' // d shard2 sequence8                records of windows that a commit changed
	KindCheckpoint = 'c' // c shard2 generation8 page4        all windows of a shard, in pages
	KindAccount    = 'a' // a <account>                       auth.Account, written by its shard only
	KindDeadline   = 'u' // u unixmilli8 <account>            accounts whose state ends by itself
	KindProfile    = 'P' // P <account>                       how to reach an owner: sealed contacts, language
	KindFactor     = 't' // t <account> 0 <factor>            sealed TOTP seeds and their budget
	KindCodes      = 'k' // k <account> 0 <group>             recovery codes, hashed
	KindRecovery   = 'r' // r <recovery>                      an owner's way back
	KindSession    = 's' // s <site> 0 <hash>                 browser sessions of portal and console, hashed
	KindFinding    = 'f' // f <finding>                       a finding with its evidence
	KindFindingOf  = 'F' // F <account> 0 unixmilli8 <finding> findings of an account by time
	KindCase       = 'q' // q <case>                          what staff review
	KindCaseOpen   = 'Q' // Q score4(inverted) unixmilli8 <case>  open cases, worst and oldest first
	KindCaseOf     = 'C' // C <account> 0 unixmilli8 <case>   cases of an account by time
	KindDecision   = 'D' // D <event hash>                    answers given by POST /v1/decide
	KindStaff      = 'U' // U <name>                          staff identities
	KindInvite     = 'V' // V <hash>                          one-time links for staff
	KindToken      = 'T' // T <hash>                          bearer tokens of the platform
	KindOutcome    = 'o' // o <act>, o <act> 0 "pending"      what became of an act; that it is in an inbox; that a mail is queued
	KindDead       = 'x' // x unixmilli8 <id>                 records that could not be taken
	KindOutbox     = 'O' // O shard2 sequence8 n4             what a sequence owes to the outside, from its n-th row on
	KindLog        = 'L' // L <log> 0 position8               lines of the append-only logs
	KindLogHead    = 'H' // H <log>                           position and hash of a log's newest line

	// In the database of store/history, which is its own.
	KindHistory     = 'h' // h <account> 0 time8 identity16    what an account did
	KindHistoryID   = 'i' // i id16 identity16                 events by their id
	KindHistoryDay  = 'j' // j day2 <account>                  accounts with events on a day
	KindHistoryRead = 'w' // w <topic> 0 partition4            where the reader goes on
)

// Bulk says that records of a kind are large, live for minutes and are deleted in masses: an engine may keep their values apart from the
// other records, so that they are written once and never again. What the contract promises holds for them like for any other.
func Bulk(kind byte) bool { return kind == KindDelta || kind == KindCheckpoint }

// Key makes a key: the kind, then the parts. Strings that are not the last part end with a zero byte, which none of them contains.
func Key(kind byte, parts ...any) []byte {
	k := make([]byte, 1, 40)
	k[0] = kind
	for i, p := range parts {
		switch p := p.(type) {
		case string:
			k = append(k, p...)
			if i < len(parts)-1 {
				k = append(k, 0)
			}
		case []byte:
			k = append(k, p...)
		case uint16:
			k = binary.BigEndian.AppendUint16(k, p)
		case uint32:
			k = binary.BigEndian.AppendUint32(k, p)
		case uint64:
			k = binary.BigEndian.AppendUint64(k, p)
		default:
			panic("store: a key part is a string, bytes or an unsigned integer; a compiler would say so if it could")
		}
	}
	return k
}

// Shard is a shard's number as a part of a key.
func Shard(n int) uint16 { return uint16(n) }

// After is the first key behind every key that starts with prefix: Scan(ctx, prefix, After(prefix), ...) reads them all.
func After(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// Log names an append-only log.
type Log string

// Journal is the log of everything decided, by whom and why (store/journal).
const Journal Log = "journal"

// Inbox is the log of acts that wait for a shard (store/outbox).
func Inbox(shard int) Log {
	const digits = "0123456789"
	var b strings.Builder
	b.WriteString("inbox-")
	for d := 10000; d > 0; d /= 10 {
		b.WriteByte(digits[shard/d%10])
	}
	return Log(b.String())
}

// LineKey is the key of a log's line, HeadKey that of its head.
func LineKey(log Log, position uint64) []byte { return Key(KindLog, string(log), position) }
func HeadKey(log Log) []byte                  { return Key(KindLogHead, string(log)) }
