package simulate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"doorward/rules/event"
)

// The kinds of attack.
const (
	Guessing = "guessing" // wrong passwords on one account until one is right
	Spraying = "spraying" // one address tries one password on many accounts
	Stuffing = "stuffing" // many addresses try leaked passwords, one try each
	Takeover = "takeover" // reset, new device in a new country, new payee, draining withdrawal
	Session  = "session"  // a stolen session goes on from an impossible place
	Payee    = "payee"    // a new payee and a draining transfer from the owner's own device
	Velocity = "velocity" // a burst of transfers to mules
	Device   = "device"   // one device signs in to many accounts
	Denied   = "denied"   // a payment that the owner says was not theirs
)

// Kinds lists the kinds of attack.
func Kinds() []string {
	return []string{Guessing, Spraying, Stuffing, Takeover, Session, Payee, Velocity, Device, Denied}
}

var scenarios = map[string]func(a *attack, now time.Time){
	Guessing: (*attack).guess,
	Spraying: (*attack).spray,
	Stuffing: (*attack).stuff,
	Takeover: (*attack).takeOver,
	Session:  (*attack).hijack,
	Payee:    (*attack).newPayee,
	Velocity: (*attack).burst,
	Device:   (*attack).oneDevice,
	Denied:   (*attack).denied,
}

// attack is one attacker and whom it is aimed at.
type attack struct {
	w      *world
	victim *person
	r      *rand.Rand
}

// strangeSeat is where an attacker sits: an address, a device and a country that nobody here has used.
func (a *attack) strangeSeat() seat {
	n := a.r.Uint32()
	return seat{
		ip:      a.address(),
		device:  device{id: fmt.Sprintf("dev-x%08x", n), agent: laptops[a.r.IntN(len(laptops))]},
		place:   &lairs[a.r.IntN(len(lairs))],
		session: fmt.Sprintf("s-x%08x", n),
	}
}

func (a *attack) address() string {
	if a.r.IntN(3) == 0 {
		return fmt.Sprintf("203.0.113.%d", 1+a.r.IntN(254))
	}
	return fmt.Sprintf("2001:db8:f%03x:%x::%x", a.r.IntN(0x1000), a.r.IntN(0x10000), 1+a.r.IntN(0xfffe))
}

// script is a place in the course of an attack; each then is so much later.
type script struct {
	a   *attack
	now time.Time
}

func (s *script) then(least, most time.Duration, do func(now time.Time)) {
	s.now = s.now.Add(between(s.a.r, least, most))
	s.a.w.at(s.now, do)
}

// honest runs what the owner does in the middle of it: it carries no label.
func (a *attack) honest(do func()) {
	label := a.w.label
	a.w.label = ""
	do()
	a.w.label = label
}

// worthIt sees to it that there is something to steal.
func (a *attack) worthIt(now time.Time) {
	v := a.victim
	if v.balance >= v.salary/4 {
		return
	}
	a.honest(func() {
		a.w.receive(now, v, "deposit", fmt.Sprintf("fund-%s-%d", v.id, now.Unix()), payee{id: "bank-" + v.id, kind: "own"}, v.salary)
	})
}

func (a *attack) mule() payee {
	return payee{id: fmt.Sprintf("mule-%06x", a.r.IntN(1<<24)), kind: "person"}
}

// targets picks up to n accounts, the victim first.
func (a *attack) targets(n int) []*person {
	all := []*person{a.victim}
	for _, i := range a.r.Perm(len(a.w.people)) {
		if p := a.w.people[i]; p != a.victim && len(all) < n {
			all = append(all, p)
		}
	}
	return slices.Clip(all)
}

func (a *attack) take(now time.Time, s seat, kind string, to payee, percent int64) string {
	return a.w.pay(now, a.victim, s, a.r, payment{kind, to, a.victim.balance * percent / 100, "web"})
}

func (a *attack) guess(now time.Time) {
	s, course := a.strangeSeat(), script{a, now}
	for range 8 + a.r.IntN(5) {
		course.then(4*time.Second, 20*time.Second, func(now time.Time) { a.w.login(now, a.victim, s, event.LoginFailed, "password") })
	}
	course.then(4*time.Second, 20*time.Second, func(now time.Time) { a.w.login(now, a.victim, s, event.LoginSucceeded, "password") })
	course.then(20*time.Second, 60*time.Second, func(now time.Time) {
		a.w.say(now, a.victim, s, "account.email.changed", func(d *event.Data) { d.Field, d.Previous = "email", "o***@example.org" })
	})
}

func (a *attack) spray(now time.Time) {
	s, course := a.strangeSeat(), script{a, now}
	s.device = device{agent: "python-requests/2.32"}
	targets := a.targets(40)
	for i, p := range targets {
		outcome := event.LoginFailed
		if i == len(targets)-1 {
			outcome = event.LoginSucceeded
		}
		course.then(2*time.Second, 9*time.Second, func(now time.Time) { a.w.login(now, p, s, outcome, "password") })
	}
}

func (a *attack) stuff(now time.Time) {
	course := script{a, now}
	addresses := make([]seat, 12)
	for i := range addresses {
		addresses[i] = a.strangeSeat()
		addresses[i].device.id = ""
	}
	for i, p := range a.targets(60) {
		outcome := event.LoginFailed
		if i%30 == 29 {
			outcome = event.LoginSucceeded
		}
		s := addresses[i%len(addresses)]
		course.then(500*time.Millisecond, 3*time.Second, func(now time.Time) { a.w.login(now, p, s, outcome, "password") })
	}
}
