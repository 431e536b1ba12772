package simulate

import (
	"math/rand/v2"
	"time"

	"doorward/rules/event"
)

// planDay plans everybody's day.
func (w *world) planDay(day int, midnight time.Time) {
	for _, p := range w.people {
		r := w.draw(p.id, day)
		switch p.role {
		case employer:
			w.planEmployer(p, day, midnight, r)
		case merchant, landlord:
			w.planPayout(p, day, midnight, r)
		default:
			w.planPerson(p, day, midnight, r)
		}
	}
}

// planPerson plans the sessions of one day. Nobody uses the wallet on a day of departure or return, so that no honest journey is faster
// than an aeroplane.
func (w *world) planPerson(p *person, day int, midnight time.Time, r *rand.Rand) {
	if w.travels(p, day, midnight, r) {
		return
	}
	morning := midnight.Add(time.Duration(p.wakes-p.home.hours) * time.Hour)
	for range 1 + r.IntN(3) {
		at := morning.Add(between(r, 0, 14*time.Hour))
		if at.Before(midnight) {
			at = at.Add(24 * time.Hour)
		}
		if at.Sub(midnight) >= 24*time.Hour {
			at = at.Add(-24 * time.Hour)
		}
		if day > 0 && p.away == nil && r.IntN(400) == 0 {
			w.at(at, func(now time.Time) { w.upgrade(now, p, r) })
			continue
		}
		w.at(at, func(now time.Time) { w.visit(now, p, w.usualSeat(p, now, r), r) })
	}
	if p.landlord != nil && (day+p.number)%30 == 2 {
		w.at(midnight.Add(between(r, 8*time.Hour, 20*time.Hour)), func(now time.Time) { w.payRent(now, p, r) })
	}
}

// travels moves a person's journey on and reports whether the day is spent on the way.
func (w *world) travels(p *person, day int, midnight time.Time, r *rand.Rand) bool {
	switch {
	case p.away != nil && midnight.Before(p.until):
		return false
	case p.away != nil:
		p.away = nil
		return true
	case day == 0 || r.IntN(150) != 0:
		return false
	}
	to := &places[r.IntN(len(places))]
	if to == p.home {
		return false
	}
	p.away, p.until = to, midnight.AddDate(0, 0, 3+r.IntN(5))
	return true
}

// visit is one ordinary session: the login, perhaps after a slip of the finger, and what it was for.
func (w *world) visit(now time.Time, p *person, s seat, r *rand.Rand) {
	slips := 0
	switch n := r.IntN(200); {
	case n == 0:
		slips = 3
	case n < 12:
		slips = 1 + n%2
	}
	for range slips {
		w.at(now, func(now time.Time) { w.login(now, p, s, event.LoginFailed, "password") })
		now = now.Add(between(r, 4*time.Second, 20*time.Second))
	}
	if slips == 3 { // forgotten
		w.at(now, func(now time.Time) { w.say(now, p, s, "account.password.reset_requested", via("self")) })
		now = now.Add(between(r, 40*time.Second, 3*time.Minute))
		w.at(now, func(now time.Time) { w.say(now, p, s, "account.password.reset", via("self")) })
		now = now.Add(between(r, 5*time.Second, 30*time.Second))
	}
	method := "password"
	if s.device.app && slips == 0 {
		method = []string{"password", "passkey"}[p.number%2]
	}
	w.at(now, func(now time.Time) { w.login(now, p, s, event.LoginSucceeded, method) })
	w.at(now.Add(between(r, 5*time.Second, 60*time.Second)), func(now time.Time) { w.purpose(now, p, s, r) })
}

func (w *world) login(now time.Time, p *person, s seat, t event.Type, method string) {
	w.say(now, p, s, t, func(d *event.Data) {
		d.Method = method
		if t == event.LoginFailed {
			d.Reason, d.Session = "bad_password", ""
		}
	})
}

func via(how string) func(*event.Data) { return func(d *event.Data) { d.Via = how } }

// purpose is what somebody opened the wallet for.
func (w *world) purpose(now time.Time, p *person, s seat, r *rand.Rand) {
	switch n := r.IntN(100); {
	case n < 40:
		shop := p.shops[r.IntN(len(p.shops))]
		w.pay(now, p, s, r, payment{"payment", shop, (300 + r.Int64N(9000)) * p.home.scale, "app"})
	case n < 52 && len(p.friends) > 0:
		friend := p.friends[r.IntN(len(p.friends))]
		w.pay(now, p, s, r, payment{"transfer", payee{friend.id, "person", "", friend}, (500 + r.Int64N(6000)) * p.home.scale, "app"})
	case n < 54 && p.away == nil:
		w.befriend(now, p, s, r)
	case n < 58:
		w.pay(now, p, s, r, payment{"withdrawal", payee{"bank-" + p.id, "own", "", nil}, p.balance / 10, "app"})
	default:
		w.say(now, p, s, "session.seen", nil)
	}
}

// befriend is the honest new payee: a moderate sum, from the usual place and device, not at once.
func (w *world) befriend(now time.Time, p *person, s seat, r *rand.Rand) {
	if len(w.people) < 2 {
		return
	}
	friend := w.people[r.IntN(len(w.people))]
	if friend == p || friend.role != ordinary {
		return
	}
	p.friends = append(p.friends, friend)
	to := payee{friend.id, "person", "", friend}
	w.addPayee(now, p, s, to)
	w.at(now.Add(between(r, 30*time.Second, 4*time.Minute)), func(now time.Time) {
		w.pay(now, p, s, r, payment{"transfer", to, p.balance * (3 + r.Int64N(9)) / 100, "app"})
	})
}

func (w *world) addPayee(now time.Time, p *person, s seat, to payee) {
	w.say(now, p, s, "account.payee.added", func(d *event.Data) { d.Counterparty, d.CounterpartyKind = to.id, to.kind })
}

// upgrade is a new phone in the usual place: a second factor is asked for and given.
func (w *world) upgrade(now time.Time, p *person, r *rand.Rand) {
	p.phone = w.newPhone(p, r)
	s := w.usualSeat(p, now, r)
	s.device, s.ip = p.phone, p.homeIP
	w.login(now, p, s, "login.challenged", "password")
	w.at(now.Add(between(r, 8*time.Second, 40*time.Second)), func(now time.Time) {
		w.say(now, p, s, event.MFASucceeded, func(d *event.Data) { d.Factor = "totp" })
		w.at(now.Add(time.Second), func(now time.Time) {
			w.login(now, p, s, event.LoginSucceeded, "password")
			w.say(now, p, s, "account.device.added", nil)
		})
		w.at(now.Add(between(r, 20*time.Second, 2*time.Minute)), func(now time.Time) { w.purpose(now, p, s, r) })
	})
}
