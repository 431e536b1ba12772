package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"

	"doorward/rules/event"
)

// role is what an account is for. Those that are not ordinary move many people's money and are no thieves.
type role int

const (
	ordinary role = iota
	employer
	landlord
	merchant
)

// kind is how a payment names the account as counterparty.
func (r role) kind() string {
	if r == ordinary || r == landlord {
		return "person"
	}
	return "merchant"
}

// neighbourhood is how many accounts share an employer, a landlord and two merchants.
const neighbourhood = 50

// assignRoles knits people together: who works for whom, lives at whose, buys where, is whose friend, shares which address.
func (w *world) assignRoles() {
	for i, p := range w.people {
		if len(w.people) < neighbourhood {
			break
		}
		switch i % neighbourhood {
		case 0:
			p.role = employer
			p.balance = 0
		case 1:
			p.role = landlord
		case 2, 3:
			p.role = merchant
		}
	}
	for i, p := range w.people {
		if p.role == ordinary {
			w.knit(i, p)
		}
	}
}

func (w *world) knit(i int, p *person) {
	r := w.draw(p.id, -2)
	for range 1 + r.IntN(4) {
		friend := w.people[r.IntN(len(w.people))]
		if friend != p && friend.role == ordinary {
			p.friends = append(p.friends, friend)
		}
	}
	// A carrier's address serves some twenty customers, an office thirty; both grow with the world.
	p.mobileIP = fmt.Sprintf("2001:db8:e8%02x:%x::1", i/20%0x100, i/20/0x100)
	first := i / neighbourhood * neighbourhood
	if w.people[first].role != employer {
		return
	}
	p.employer = w.people[first]
	p.employer.staff = append(p.employer.staff, p)
	from := p.home.scale
	p.home = p.employer.home // people live where they work
	p.balance, p.salary = p.balance/from*p.home.scale, p.salary/from*p.home.scale
	if r.IntN(2) == 0 {
		p.workIP = officeIP(first / neighbourhood)
	}
	if r.IntN(3) == 0 && first+1 < len(w.people) {
		p.landlord = w.people[first+1]
	}
	for n := range 2 {
		if shop := first + 2 + n; shop < len(w.people) && w.people[shop].role == merchant {
			p.shops[n] = payee{id: w.people[shop].id, kind: "merchant", category: "groceries", account: w.people[shop]}
		}
	}
}

// officeIP is one address for an office; the block for documentation has 254, so in a large world some share theirs.
func officeIP(office int) string { return fmt.Sprintf("192.0.2.%d", 1+office%254) }

// planEmployer pays the wages every fortnight: dozens of transfers in a row, from a server.
func (w *world) planEmployer(p *person, day int, midnight time.Time, r *rand.Rand) {
	at := midnight.Add(time.Duration(9-p.home.hours+24)%24*time.Hour + between(r, 0, 59*time.Minute))
	s := seat{ip: officeIP(p.number / neighbourhood), device: device{id: "dev-" + p.id + "-server", agent: "payroll/2.1"}, place: p.home,
		session: fmt.Sprintf("s-%s-%d", p.id, day)}
	w.at(at, func(now time.Time) { w.login(now, p, s, event.LoginSucceeded, "token") })
	if (day+p.number/neighbourhood)%14 != 1 {
		return
	}
	w.at(at.Add(time.Minute), func(now time.Time) {
		var wages int64
		for _, worker := range p.staff {
			wages += worker.salary
		}
		w.receive(now, p, "deposit", fmt.Sprintf("fund-%s-%d", p.id, day), payee{id: "bank-" + p.id, kind: "own"}, wages*11/10)
	})
	for i, worker := range p.staff {
		w.at(at.Add(3*time.Minute+time.Duration(i)*2*time.Second), func(now time.Time) {
			w.pay(now, p, s, r, payment{"transfer", payee{worker.id, "person", "", worker}, worker.salary, "api"})
		})
	}
}

// planPayout moves what a merchant or landlord has taken in to their bank at night: nearly the whole balance, to an old payee.
func (w *world) planPayout(p *person, day int, midnight time.Time, r *rand.Rand) {
	s := seat{ip: p.homeIP, device: p.laptop, place: p.home, session: fmt.Sprintf("s-%s-%d", p.id, day)}
	at := midnight.Add(time.Duration(21-p.home.hours+24)%24*time.Hour + between(r, 0, 59*time.Minute))
	w.at(at, func(now time.Time) { w.login(now, p, s, event.LoginSucceeded, "password") })
	w.at(at.Add(between(r, 30*time.Second, 2*time.Minute)), func(now time.Time) {
		w.pay(now, p, s, r, payment{"withdrawal", payee{"bank-" + p.id, "own", "", nil}, p.balance * 95 / 100, "web"})
	})
}

func (w *world) payRent(now time.Time, p *person, r *rand.Rand) {
	if p.away != nil {
		return // a standing order would pay; here it is paid at home
	}
	s := w.usualSeat(p, now, r)
	w.login(now, p, s, event.LoginSucceeded, "password")
	w.at(now.Add(20*time.Second), func(now time.Time) {
		w.pay(now, p, s, r, payment{"transfer", payee{p.landlord.id, "person", "", p.landlord}, p.salary / 2, "app"})
	})
}
