package console

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/auth"
	"doorward/store"
	"doorward/store/journal"
)

// Bounds of one page of the journal: what is shown, and how many lines are read to find it.
const (
	journalPage = 100
	journalRead = 20_000
)

// entryBody is an entry as the pages show it.
type entryBody struct {
	Position uint64
	At       time.Time
	By       string // who: "rule", "owner", ..., or a member of staff's name
	Staff    bool
	Kind     journal.Kind
	Text     string // key of the kind's text, or "" for a kind that this version does not know
	Account  string
	From, To auth.State
	Version  uint64
	Reason   reasonBody
	Detail   string
	Shard    int
	Sequence uint64
	Seal     string // first bytes of the chain's hash
}

// Mover is the key of the text for who acted, when it was no member of staff.
func (e entryBody) Mover() string { return "by." + e.By }

type journalFilter struct {
	account string
	before  uint64 // position; 0: from the end
	since   time.Time
}

// journalBody is a stretch of the journal.
type journalBody struct {
	Entries []entryBody
	Account string
	Problem string
	Head    store.Head
	Seal    string
	From    uint64 // the oldest line that was read and checked
	To      uint64 // the newest
	Intact  bool   // the lines read fit each other, and the newest fits the head
	Whole   bool   // every line was checked
	Broken  string // what is wrong with the chain, as journal verify says it
	More    uint64 // position to go on before; 0: none
	Cut     bool   // more lines than one page reads
}

func (c *Console) showJournal(rq *request) error {
	q := rq.URL.Query()
	f := journalFilter{}
	b := journalBody{}
	if s := strings.TrimSpace(q.Get("account")); s != "" {
		id, err := auth.ParseAccountID(s)
		if err != nil {
			return c.show(rq, "journal", "journal", 422, journalBody{Account: visible(s), Problem: "account.problem.id", Intact: true})
		}
		f.account = string(id)
	}
	if s := q.Get("before"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return gone("position")
		}
		f.before = n
	}
	b, err := c.readJournal(rq, f, journalPage)
	if err != nil {
		return err
	}
	b.Account = f.account
	if q.Get("check") == "1" {
		r, err := journal.Verify(rq.Context(), c.Engine, nil)
		if err != nil {
			return err
		}
		b.Whole, b.Intact, b.Broken = r.OK, b.Intact && r.OK, visible(r.Problem)
	}
	return c.show(rq, "journal", "journal", 0, b)
}

// readJournal reads entries from the newest back, checks that every line it reads fits the one before it, and that the newest is the head.
func (c *Console) readJournal(rq *request, f journalFilter, limit int) (b journalBody, err error) {
	ctx := rq.Context()
	if b.Head, err = c.journalHead(ctx); err != nil {
		return b, err
	}
	last := b.Head.Position
	if f.before > 0 && f.before <= last {
		last = f.before - 1
	}
	b.Intact, b.Seal = true, seal(b.Head.Hash)
	var next *lineRead // the line after the one at hand
	var bad error
	read := 0
	err = c.Engine.Scan(ctx, store.LineKey(store.Journal, 1), store.LineKey(store.Journal, addOne(last)), true, func(key, line []byte) bool {
		read++
		l, e, problem := readLine(key, line)
		if problem != nil {
			b.Intact, bad, b.Broken = false, problem, visible(problem.Error())
			return false
		}
		b.Intact = b.Intact && fits(l, next, b.Head)
		if next, b.From = l, l.position; b.To == 0 {
			b.To = l.position
		}
		if !f.since.IsZero() && e.At.Before(f.since) {
			return false
		}
		if f.account == "" || e.Account == f.account {
			if len(b.Entries) == limit {
				b.More = b.Entries[limit-1].Position
				return false
			}
			b.Entries = append(b.Entries, c.entry(rq, l, e))
		}
		if read >= journalRead {
			b.Cut, b.More = true, l.position
		}
		return read < journalRead
	})
	if err != nil {
		return b, fmt.Errorf("read journal: %w", err)
	}
	if bad != nil {
		c.Log.ErrorContext(ctx, "journal is damaged", "error", bad)
	}
	return b, nil
}

func addOne(n uint64) uint64 { return min(n, math.MaxUint64-1) + 1 }

// journalHead reads the head; a journal that grows while a page is read is checked against where it was.
func (c *Console) journalHead(ctx context.Context) (store.Head, error) {
	v, err := c.Engine.Get(ctx, store.HeadKey(store.Journal))
	if err != nil {
		return store.Head{}, fmt.Errorf("read the journal's head: %w", err)
	}
	return store.DecodeHead(v[0])
}

type lineRead struct {
	position uint64
	hash     [store.HashSize]byte
	value    []byte
}

func readLine(key, line []byte) (*lineRead, journal.Entry, error) {
	var e journal.Entry
	prefix := len(store.LineKey(store.Journal, 0)) - 8
	if len(key) != prefix+8 {
		return nil, e, fmt.Errorf("a line's key has %d bytes", len(key))
	}
	var l lineRead
	for _, x := range key[prefix:] {
		l.position = l.position<<8 | uint64(x)
	}
	hash, value, err := store.DecodeLine(line)
	if err != nil {
		return nil, e, err
	}
	l.hash, l.value = hash, slices.Clone(value)
	if err := json.Unmarshal(value, &e); err != nil {
		return nil, e, fmt.Errorf("entry %d: %w", l.position, err)
	}
	return &l, e, nil
}

// fits says whether a line is the one before next, or the head when it is the newest.
func fits(l, next *lineRead, head store.Head) bool {
	if next != nil {
		return next.position == l.position+1 && store.Chain(l.hash, next.position, next.value) == next.hash
	}
	if l.position == head.Position && l.hash != head.Hash {
		return false
	}
	return l.position > 1 || store.Chain([store.HashSize]byte{}, 1, l.value) == l.hash
}

func seal(h [store.HashSize]byte) string {
	return hex.EncodeToString(h[:4]) + " " + hex.EncodeToString(h[4:8])
}

// knownKinds are the kinds of entry that have a text.
var knownKinds = []journal.Kind{journal.StateChanged, journal.ActMade, journal.ActRefused, journal.CaseOpened, journal.CaseClosed, journal.CaseNoted,
	journal.RulesChanged, journal.FactorEnrolled, journal.FactorVoided, journal.CodeAccepted, journal.CodeRejected, journal.CodesIssued,
	journal.RecoveryStep, journal.ProfileChanged, journal.StaffInvited, journal.StaffJoined, journal.StaffSignedIn, journal.StaffRefused,
	journal.StaffSignedOut, journal.StaffLooked, journal.TokenMade, journal.Recreated, "staff.changed",
	journal.Compared, journal.BackedUp, journal.Restored, journal.Migrated}

// knownMakers are those who act and are no members of staff.
var knownMakers = []string{"rule", "owner", "deadline", "platform", "operator", "doorward"}

func (c *Console) entry(rq *request, l *lineRead, e journal.Entry) entryBody {
	b := entryBody{Position: l.position, At: e.At.In(rq.view.zone), Kind: e.Kind, Account: visible(e.Account), From: state(e.From), To: state(e.To),
		Version: e.Version, Reason: reasonOf(e.Reason), Shard: e.Shard, Sequence: e.Sequence, Seal: seal(l.hash)}
	if slices.Contains(knownKinds, e.Kind) {
		b.Text = "entry." + string(e.Kind)
	} else {
		b.Detail = visible(string(e.Kind))
	}
	var parts []string
	if rule, ok := strings.CutPrefix(e.By, "rule:"); ok {
		b.By, parts = "rule", append(parts, visible(rule))
	} else if b.By = visible(maker(e.By)); !slices.Contains(knownMakers, e.By) {
		b.Staff = true
	}
	if b.By == "rule" && e.Reason != "" { // a code, nobody's words
		b.Reason, parts = reasonBody{}, append(parts, visible(e.Reason))
	}
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		parts = append(parts, visible(k)+" "+visible(e.Detail[k]))
	}
	b.Detail = strings.TrimSpace(b.Detail + " " + strings.Join(parts, ", "))
	return b
}

// state is a state that the pages have a word for, or none.
func state(s string) auth.State {
	switch st := auth.State(s); st {
	case auth.Open, auth.Challenged, auth.Limited, auth.Locked, auth.Recovering, auth.Probation:
		return st
	}
	return ""
}
