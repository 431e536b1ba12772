package simulate

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Load makes events for measuring: a realistic mix of sign-ins, sessions and payments over Zipf-distributed accounts, one in a hundred
// part of an attack. It is fast, endless and a pure function of its configuration; people with habits are New's.
type Load struct {
	r        *rand.Rand
	zipf     *rand.Zipf
	accounts uint64
	n        uint64 // events made
	source   string
	buf      []byte
}

// LoadConfig says what a Load makes.
type LoadConfig struct {
	Accounts int    // 1 or more
	Seed     uint64 // another seed, other events and ids
}

// NewLoad makes a Load.
func NewLoad(c LoadConfig) *Load {
	r := rand.New(rand.NewPCG(c.Seed, 0x6c6f6164))
	accounts := uint64(max(c.Accounts, 1))
	// s 1.1, v 1000: the skew that reference performance was measured with
	return &Load{r: r, zipf: rand.NewZipf(r, 1.1, 1000, accounts-1), accounts: accounts, source: "/load/" + strconv.FormatUint(c.Seed, 10)}
}

// Next makes one event that happens at a time: its account and its bytes, good until the next call.
func (l *Load) Next(at time.Time) (account string, event []byte) {
	l.n++
	who := l.zipf.Uint64()
	account = "acct-" + strconv.FormatUint(who, 10)
	b := append(l.buf[:0], `{"specversion":"1.0","id":"`...)
	b = strconv.AppendUint(b, l.n, 10)
	b = append(b, `","source":"`...)
	b = append(b, l.source...)
	b = append(b, `","type":"`...)
	roll := l.r.Uint32N(1000)
	kind, attack := "login.succeeded", roll < 10
	switch {
	case attack && roll < 6:
		kind = "login.failed"
	case attack:
		kind = "transaction.requested"
	case roll < 400:
		kind = "transaction.requested"
	case roll < 420:
		kind = "login.failed"
	case roll < 700:
		kind = "session.seen"
	}
	b = append(b, kind...)
	b = append(b, `","subject":"`...)
	b = append(b, account...)
	b = append(b, `","time":"`...)
	b = at.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","data":{"ip":"`...)
	b = l.address(b, who, attack)
	b = append(b, `","device":"dev-`...)
	b = strconv.AppendUint(b, who, 10)
	if attack {
		b = append(b, "-x"...)
		b = strconv.AppendUint(b, l.r.Uint64N(64), 10)
	} else if l.r.Uint32N(4) == 0 {
		b = append(b, "-web"...)
	}
	b = append(b, `","user_agent":"Mozilla/5.0 (Linux; Android 15) Chrome/142.0.0.0 Mobile","session":"s-`...)
	b = strconv.AppendUint(b, l.n/3, 10)
	b = append(b, `","geo":{"lat":`...)
	b = strconv.AppendFloat(b, float64(who%120)-60, 'f', 2, 64)
	b = append(b, `,"lon":`...)
	b = strconv.AppendFloat(b, float64(who%340)-170, 'f', 2, 64)
	b = append(b, `,"country":"`...)
	b = append(b, countries[who%uint64(len(countries))]...)
	b = append(b, '"', '}')
	switch kind {
	case "login.failed":
		b = append(b, `,"method":"password","reason":"bad_password"`...)
	case "login.succeeded":
		b = append(b, `,"method":"password"`...)
	case "transaction.requested":
		b = l.money(b, who, attack)
	}
	l.buf = append(b, '}', '}')
	return account, l.buf
}

var countries = [...]string{"SG", "DE", "FR", "ES", "CN", "US", "GB", "BR", "IN", "NG", "JP", "ID"}

// address is the account's own, or for an attack one of a few hundred that attackers share.
func (l *Load) address(b []byte, who uint64, attack bool) []byte {
	if attack {
		b = append(b, "203.0.113."...)
		return strconv.AppendUint(b, l.r.Uint64N(254)+1, 10)
	}
	b = append(b, "10."...)
	b = strconv.AppendUint(b, who>>16&255, 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, who>>8&255, 10)
	b = append(b, '.')
	return strconv.AppendUint(b, who&255, 10)
}

// money is a payment to one of a few known merchants, or for an attack nearly everything to a new payee.
func (l *Load) money(b []byte, who uint64, attack bool) []byte {
	amount, before := 500+l.r.Uint64N(20_000), 400_000+l.r.Uint64N(100_000)
	kind, to, toKind := "payment", "shop-"+strconv.FormatUint((who+l.r.Uint64N(5))%5000, 10), "merchant"
	if attack {
		kind, to, toKind, amount = "transfer", "mule-"+strconv.FormatUint(l.n, 10), "person", before-100
	}
	b = append(b, `,"transaction":"tx-`...)
	b = strconv.AppendUint(b, l.n, 10)
	b = append(b, `","kind":"`...)
	b = append(b, kind...)
	b = append(b, `","direction":"out","amount":`...)
	b = strconv.AppendUint(b, amount, 10)
	b = append(b, `,"currency":"EUR","counterparty":"`...)
	b = append(b, to...)
	b = append(b, `","counterparty_kind":"`...)
	b = append(b, toKind...)
	b = append(b, `","channel":"app","balance_before":`...)
	b = strconv.AppendUint(b, before, 10)
	b = append(b, `,"balance_after":`...)
	return strconv.AppendUint(b, before-amount, 10)
}
