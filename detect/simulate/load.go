package simulate

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// Load makes events for measuring: a realistic mix of sign-ins, sessions and payments over Zipf-distributed accounts, one in a hundred
// part of an attack. It is fast, endless and a pure function of its configuration; people with habits are New's.
//
// The busiest two in a hundred accounts are businesses: programs that sign in with a token, take payments and pay by the interface. The
// others are people: their own address, one or two devices, a few shops and a few friends, seldom a wrong password. So a rule that fires
// on anybody who is not attacked has a threshold that is too low. Attacks are stories (raid.go) of several events in their order, a few
// dozen at a time, each against somebody who has been seen before.
type Load struct {
	r          *rand.Rand
	zipf       *rand.Zipf
	businesses uint64 // accounts below this number
	n          uint64 // events made
	source     string
	clock      clock
	raids      [raidsAtOnce]raid
	raidNumber uint64
	thefts     uint64
	key, buf   []byte
}

// LoadConfig says what a Load makes.
type LoadConfig struct {
	Accounts int    // 1 or more
	Seed     uint64 // another seed, other events and ids
}

// attackShare is one in how many events is part of an attack (the measure: 1 %).
const attackShare = 100

// NewLoad makes a Load.
func NewLoad(c LoadConfig) *Load {
	r := rand.New(rand.NewPCG(c.Seed, 0x6c6f6164))
	accounts := uint64(max(c.Accounts, 1))
	// s 1.1, v 1000: the skew that reference performance was measured with
	return &Load{r: r, zipf: rand.NewZipf(r, 1.1, 1000, accounts-1), businesses: accounts / 50, source: "/load/" + strconv.FormatUint(c.Seed, 10)}
}

// Next makes one event that happens at a time: its account and its bytes, good until the next call.
func (l *Load) Next(at time.Time) (account, event []byte) {
	l.n++
	roll := l.r.Uint32N(attackShare * 1000)
	if roll < 1000 {
		l.raid(at)
		return l.key, l.buf
	}
	who := l.zipf.Uint64()
	roll %= 1000
	if who < l.businesses {
		l.business(at, who, roll)
	} else {
		l.person(at, who, roll)
	}
	return l.key, l.buf
}

// business is a program's event: half of them money that comes in.
func (l *Load) business(at time.Time, who uint64, roll uint32) {
	switch {
	case roll < 500:
		l.begin("transaction.requested", who, at)
		l.home(who, false)
		l.money(`payment`, `in`, "acct-", l.r.Uint64N(1<<20), `person`, `api`, 500+l.r.Uint64N(20_000), 40_000_000)
	case roll < 600:
		l.begin("transaction.requested", who, at)
		l.home(who, false)
		l.money(`payment`, `out`, "supplier-", (who+l.r.Uint64N(5))%5000, `merchant`, `api`, 500+l.r.Uint64N(20_000), 40_000_000)
	case roll < 700:
		l.begin("login.succeeded", who, at)
		l.home(who, false)
		l.buf = append(l.buf, `,"method":"token"`...)
	default:
		l.begin("session.seen", who, at)
		l.home(who, false)
	}
	l.end()
}

// person is one of somebody's own events.
func (l *Load) person(at time.Time, who uint64, roll uint32) {
	web := roll&3 == 0 // a quarter on the second device
	switch {
	case roll < 350:
		l.begin("transaction.requested", who, at)
		l.home(who, web)
		l.money(`payment`, `out`, "shop-", (who+l.r.Uint64N(5))%5000, `merchant`, `app`, 500+l.r.Uint64N(20_000), 400_000+l.r.Uint64N(100_000))
	case roll < 400:
		l.begin("transaction.requested", who, at)
		l.home(who, web)
		l.money(`transfer`, `out`, "friend-", who<<2|l.r.Uint64N(3), `person`, `app`, 500+l.r.Uint64N(20_000), 400_000+l.r.Uint64N(100_000))
	case roll < 405:
		l.begin("login.failed", who, at)
		l.home(who, web)
		l.buf = append(l.buf, `,"method":"password","reason":"bad_password"`...)
	case roll < 700:
		l.begin("session.seen", who, at)
		l.home(who, web)
	default:
		l.begin("login.succeeded", who, at)
		l.home(who, web)
		l.buf = append(l.buf, `,"method":"password"`...)
	}
	l.end()
}

// begin writes an event up to its data, whose fields follow.
func (l *Load) begin(kind string, who uint64, at time.Time) {
	l.key = strconv.AppendUint(append(l.key[:0], "acct-"...), who, 10)
	b := append(l.buf[:0], `{"specversion":"1.0","id":"`...)
	b = strconv.AppendUint(b, l.n, 10)
	b = append(append(b, `","source":"`...), l.source...)
	b = append(append(b, `","type":"`...), kind...)
	b = append(append(b, `","subject":"`...), l.key...)
	b = l.clock.append(append(b, `","time":"`...), at)
	l.buf = append(b, `","data":{`...)
}

func (l *Load) end() { l.buf = append(l.buf, '}', '}') }

// home writes where and on what an account's owner is: an address of their own, one of two devices, always the same place.
func (l *Load) home(who uint64, web bool) {
	b := append(l.buf, `"ip":"10.`...)
	b = append(strconv.AppendUint(b, who>>16&255, 10), '.')
	b = append(strconv.AppendUint(b, who>>8&255, 10), '.')
	b = append(strconv.AppendUint(b, who&255, 10), `","device":"dev-`...)
	b = strconv.AppendUint(b, who, 10)
	if web {
		b = append(b, "-web"...)
	}
	l.buf = l.place(b, who)
}

// place writes what tells a session and a place.
func (l *Load) place(b []byte, who uint64) []byte {
	b = append(b, `","user_agent":"Mozilla/5.0 (Linux; Android 15) Chrome/142.0.0.0 Mobile","session":"s-`...)
	b = strconv.AppendUint(b, l.n/3, 10)
	b = strconv.AppendInt(append(b, `","geo":{"lat":`...), int64(who%120)-60, 10)
	b = strconv.AppendInt(append(b, `.25,"lon":`...), int64(who%340)-170, 10)
	b = append(append(b, `.75,"country":"`...), countries[who%uint64(len(countries))]...)
	return append(b, '"', '}')
}

var countries = [...]string{"SG", "DE", "FR", "ES", "CN", "US", "GB", "BR", "IN", "NG", "JP", "ID"}

// money writes a payment, of less than what there was before it.
func (l *Load) money(kind, direction, to string, number uint64, toKind, channel string, amount, before uint64) {
	b := append(l.buf, `,"transaction":"tx-`...)
	b = strconv.AppendUint(b, l.n, 10)
	b = append(append(b, `","kind":"`...), kind...)
	b = append(append(b, `","direction":"`...), direction...)
	b = strconv.AppendUint(append(b, `","amount":`...), amount, 10)
	b = append(append(b, `,"currency":"EUR","counterparty":"`...), to...)
	b = strconv.AppendUint(b, number, 10)
	b = append(append(b, `","counterparty_kind":"`...), toKind...)
	b = append(append(b, `","channel":"`...), channel...)
	after := before - amount
	if direction == "in" {
		after = before + amount
	}
	b = strconv.AppendUint(append(b, `","balance_before":`...), before, 10)
	l.buf = strconv.AppendUint(append(b, `,"balance_after":`...), after, 10)
}

// clock writes times, RFC 3339 in milliseconds, as Doorward keeps them; what comes before the second's fraction is kept from one time to the next.
type clock struct {
	second int64
	text   []byte
}

func (c *clock) append(b []byte, at time.Time) []byte {
	if s := at.Unix(); s != c.second || c.text == nil {
		c.second, c.text = s, at.UTC().AppendFormat(c.text[:0], "2006-01-02T15:04:05.")
	}
	b = append(b, c.text...)
	milli := uint64(at.Nanosecond()/1e6) + 1000 // a digit more, so that zeros in front are written
	start := len(b)
	b = strconv.AppendUint(b, milli, 10)
	copy(b[start:], b[start+1:])
	b[len(b)-1] = 'Z'
	return b
}
