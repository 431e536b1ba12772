package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// place is a city where people live.
type place struct {
	country, city      string
	lat, lon           float64
	timezone, language string
	hours              int // ahead of UTC, in winter
	currency           string
	scale              int64 // what a euro's worth is in the currency, roughly
}

var places = []place{
	{"CN", "Xiamen", 24.48, 118.09, "Asia/Shanghai", "zh-Hans", 8, "CNY", 8},
	{"CN", "Chengdu", 30.57, 104.07, "Asia/Shanghai", "zh-Hans", 8, "CNY", 8},
	{"FR", "Lyon", 45.76, 4.84, "Europe/Paris", "fr", 1, "EUR", 1},
	{"FR", "Nantes", 47.22, -1.55, "Europe/Paris", "fr", 1, "EUR", 1},
	{"DE", "Leipzig", 51.34, 12.37, "Europe/Berlin", "de", 1, "EUR", 1},
	{"AT", "Graz", 47.07, 15.44, "Europe/Vienna", "de", 1, "EUR", 1},
	{"ES", "Valencia", 39.47, -0.38, "Europe/Madrid", "es", 1, "EUR", 1},
	{"MX", "Puebla", 19.04, -98.2, "America/Mexico_City", "es", -6, "MXN", 20},
	{"US", "Columbus", 39.96, -83.0, "America/New_York", "en", -5, "USD", 1},
	{"US", "Portland", 45.52, -122.68, "America/Los_Angeles", "en", -8, "USD", 1},
	{"GB", "Leeds", 53.8, -1.55, "Europe/London", "en", 0, "GBP", 1},
	{"CA", "Halifax", 44.65, -63.58, "America/Halifax", "en", -4, "CAD", 1},
}

// Where attackers sit. Nobody lives or travels there.
var lairs = []place{
	{"BR", "Recife", -8.05, -34.9, "America/Recife", "pt", -3, "BRL", 6},
	{"NG", "Ibadan", 7.38, 3.95, "Africa/Lagos", "en", 1, "NGN", 1700},
	{"KZ", "Almaty", 43.24, 76.89, "Asia/Almaty", "ru", 5, "KZT", 520},
	{"PH", "Davao", 7.07, 125.6, "Asia/Manila", "en", 8, "PHP", 65},
}

type device struct {
	id, agent string
	app       bool
}

var phones = []string{
	"WalletApp/4.12 (Android 15)", "WalletApp/4.12 (Android 14)", "WalletApp/4.12 (iOS 19.2)", "WalletApp/4.12 (HarmonyOS 5.0)",
}

var laptops = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/147.0", "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_2) Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64) Chrome/143.0.0.0",
}

// person is an account and who is behind it: somebody with habits, or an employer, a landlord, a merchant.
type person struct {
	id       string
	role     role
	number   int // place in the world
	home     *place
	away     *place // on a journey there, until
	until    time.Time
	homeIP   string
	workIP   string // shared with colleagues; empty: works nowhere
	mobileIP string // shared with other customers of the carrier
	phone    device
	laptop   device
	phones   int // had so far
	wakes    int // local hour at which the day begins
	balance  int64
	salary   int64 // a fortnight's
	friends  []*person
	shops    []payee
	employer *person
	landlord *person
	staff    []*person // employer: whom it pays
	sessions int
}

type payee struct {
	id, kind, category string
	account            *person // nil: outside this world
}

// settle makes a person out of nothing but the world's seed and the account's id.
func (w *world) settle(id string) *person {
	r := w.draw(id, -1)
	p := &person{id: id, number: len(w.people), home: &places[r.IntN(len(places))], wakes: 6 + r.IntN(4)}
	p.homeIP = fmt.Sprintf("2001:db8:%x:%x::%x", r.IntN(0xe000), r.IntN(0x100), 1+r.IntN(0xfffe))
	p.phone = w.newPhone(p, r)
	p.laptop = device{id: "dev-" + id + "-web", agent: laptops[r.IntN(len(laptops))]}
	p.salary = (90000 + r.Int64N(210000)) * p.home.scale
	p.balance = p.salary/2 + r.Int64N(p.salary)
	for i := range 4 {
		category := categories[r.IntN(len(categories))]
		p.shops = append(p.shops, payee{id: fmt.Sprintf("shop-%s-%d", p.home.city, i*7+r.IntN(7)), kind: "merchant", category: category})
	}
	w.people = append(w.people, p)
	w.byID[id] = p
	return p
}

var categories = []string{"groceries", "transport", "restaurant", "clothing", "household", "electronics", "leisure"}

func (w *world) newPhone(p *person, r *rand.Rand) device {
	p.phones++
	return device{id: fmt.Sprintf("dev-%s-%d", p.id, p.phones), agent: phones[r.IntN(len(phones))], app: true}
}

// usualSeat is where a person sits at that hour: at work, at home or on the way, or on a journey.
func (w *world) usualSeat(p *person, now time.Time, r *rand.Rand) seat {
	p.sessions++
	s := seat{ip: p.homeIP, device: p.phone, place: p.home, session: fmt.Sprintf("s-%s-%d", p.id, p.sessions)}
	if p.away != nil {
		s.place = p.away
		s.ip = fmt.Sprintf("2001:db8:e%03x:%x::%x", r.IntN(0x800), p.number&0xffff, 1+r.IntN(0xff))
		return s
	}
	local := now.Add(time.Duration(p.home.hours) * time.Hour)
	weekend := local.Weekday() == time.Saturday || local.Weekday() == time.Sunday
	switch {
	case p.workIP != "" && !weekend && local.Hour() >= 9 && local.Hour() < 17:
		s.ip = p.workIP
	case p.mobileIP != "" && r.IntN(4) == 0:
		s.ip = p.mobileIP
		return s
	}
	if r.IntN(4) == 0 {
		s.device = p.laptop
	}
	return s
}
