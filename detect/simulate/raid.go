package simulate

import (
	"strconv"
	"time"
)

// raidsAtOnce is how many attacks go on at a time: their events come mixed.
const raidsAtOnce = 64

// raid is an attack of a Load on its way. The thief's address, device and country are new to the victim.
type raid struct {
	kind   int
	step   uint64
	steps  uint64 // how many events it has; 0: not begun
	victim uint64
	number uint64
	theft  uint64 // its number among those that come to money
}

const (
	takeover = iota // a stranger signs in with the right password, adds a payee and empties the account
	guessing        // wrong passwords, then the right one, then the money
	reset           // a password reset, a sign-in, money out
	spraying        // a few wrong passwords each against many accounts
	raidKinds
)

var raidSteps = [raidKinds]uint64{takeover: 4, guessing: 9, reset: 5, spraying: 16}

// raid writes the next event of one of the attacks.
func (l *Load) raid(at time.Time) {
	a := &l.raids[l.r.Uint32N(raidsAtOnce)]
	if a.step == a.steps {
		l.raidNumber++
		*a = raid{kind: l.raidKind(), victim: l.victim(), number: l.raidNumber}
		a.steps = raidSteps[a.kind]
		if a.kind != spraying {
			l.thefts++
			a.theft = l.thefts
		}
	}
	step, who := a.step, a.victim
	a.step++
	switch {
	case a.kind == spraying:
		l.failed(a, l.victim(), at)
	case a.kind == guessing && step < 6:
		l.failed(a, who, at)
	case a.kind == reset && step == 0:
		l.begin("account.password.reset_requested", who, at)
		l.lair(a, who)
	case a.kind == reset && step == 1:
		l.begin("account.password.reset", who, at)
		l.lair(a, who)
	case a.kind == takeover && step == 0, a.kind == guessing && step == 6, a.kind == reset && step == 2:
		l.begin("login.succeeded", who, at)
		l.lair(a, who)
		l.buf = append(l.buf, `,"method":"password"`...)
	case a.kind == takeover && step == 1, a.kind == guessing && step == 7:
		l.begin("account.payee.added", who, at)
		l.lair(a, who)
		l.buf = strconv.AppendUint(append(l.buf, `,"counterparty":"mule-`...), a.number, 10)
		l.buf = append(l.buf, `","counterparty_kind":"person"`...)
	default: // nearly everything to an account nobody here has paid before
		before := 400_000 + a.theft*61_803%100_000 // spread evenly, by the golden ratio: no rule on a band of amounts waits long
		l.begin("transaction.requested", who, at)
		l.lair(a, who)
		l.money(`transfer`, `out`, "mule-", a.number, `person`, `app`, before-100, before)
	}
	l.end()
}

// raidKind is mostly a takeover: one in sixteen attacks is a spray, which touches many accounts.
func (l *Load) raidKind() int {
	switch roll := l.r.Uint32N(16); {
	case roll < 7:
		return takeover
	case roll < 12:
		return guessing
	case roll < 15:
		return reset
	}
	return spraying
}

// victim is a person, the more likely the more they do: thieves go where money moves.
func (l *Load) victim() uint64 {
	for {
		if who := l.zipf.Uint64(); who >= l.businesses {
			return who
		}
	}
}

func (l *Load) failed(a *raid, who uint64, at time.Time) {
	l.begin("login.failed", who, at)
	l.lair(a, who)
	l.buf = append(l.buf, `,"method":"password","reason":"bad_password"`...)
}

// lair writes where and on what the thief is: an address and a device for each attack, in a country that is not the victim's.
func (l *Load) lair(a *raid, victim uint64) {
	b := append(l.buf, `"ip":"203.`...)
	b = append(strconv.AppendUint(b, a.number>>16&63, 10), '.')
	b = append(strconv.AppendUint(b, a.number>>8&255, 10), '.')
	b = append(strconv.AppendUint(b, a.number&255, 10), `","device":"lair-`...)
	b = strconv.AppendUint(b, a.number, 10)
	l.buf = l.place(b, victim+61) // 61 degrees away, and another country
}
