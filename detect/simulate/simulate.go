package simulate

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"time"
)

// Config says what to simulate. The same Config makes the same events.
type Config struct {
	Accounts int       // 1 or more; from 50 on with employers, landlords and merchants
	Days     int       // 1 or more
	Attacks  int       // 0 or more; from len(Kinds()) on every kind is among them
	Seed     uint64    // any
	Start    time.Time // the first day's midnight, UTC; zero: DefaultStart
}

// DefaultStart is a Monday.
var DefaultStart = time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)

// Generated is one event.
type Generated struct {
	Event   []byte // structured JSON, one line without a newline
	ID      string // the event's id, as labels name it
	Account string
	Label   string // "" benign, else the kind of the attack it is part of
	At      time.Time
}

// Simulation makes the events of one Config.
type Simulation struct {
	config Config
}

// New checks the Config.
func New(c Config) (*Simulation, error) {
	switch {
	case c.Accounts < 1:
		return nil, fmt.Errorf("simulate: %d accounts: at least 1 is needed", c.Accounts)
	case c.Days < 1:
		return nil, fmt.Errorf("simulate: %d days: at least 1 is needed", c.Days)
	case c.Attacks < 0:
		return nil, fmt.Errorf("simulate: %d attacks: 0 or more are possible", c.Attacks)
	}
	if c.Start.IsZero() {
		c.Start = DefaultStart
	}
	c.Start = c.Start.UTC().Truncate(time.Millisecond)
	return &Simulation{c}, nil
}

// Events makes the traffic of all days in the order of time. What is under way when the last day ends is cut off.
func (s *Simulation) Events() iter.Seq[Generated] {
	return func(yield func(Generated) bool) {
		w := s.world()
		for day := range s.config.Days {
			w.at(s.config.Start.AddDate(0, 0, day), func(now time.Time) { w.planDay(day, now) })
		}
		s.planAttacks(w)
		w.run(s.config.Start.AddDate(0, 0, s.config.Days), yield)
	}
}

// Live makes calm traffic without end for a demonstration: about perSecond events a second from start on, everybody in turn, each at home
// with a known device.
func (s *Simulation) Live(start time.Time, perSecond float64) iter.Seq[Generated] {
	return func(yield func(Generated) bool) {
		w := s.world()
		w.tell("live/" + strconv.FormatInt(start.UnixMilli(), 10))
		r := rand.New(rand.NewPCG(s.config.Seed, ^uint64(0)))
		const eventsPerVisit = 3
		var visit func(now time.Time)
		turn := 0
		visit = func(now time.Time) {
			p := w.people[turn%len(w.people)]
			turn++
			w.visit(now, p, w.usualSeat(p, now, r), r)
			wait := time.Duration(r.ExpFloat64() * eventsPerVisit / perSecond * float64(time.Second))
			w.at(now.Add(wait), visit)
		}
		w.at(start.UTC(), visit)
		w.run(endOfTime, yield)
	}
}

var endOfTime = time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC)

// planAttacks spreads the attacks over the time after the first half day, or after two days where there are more than four: before,
// nobody's habits are known to anybody.
func (s *Simulation) planAttacks(w *world) {
	r := rand.New(rand.NewPCG(s.config.Seed, attackStream))
	total := time.Duration(s.config.Days) * 24 * time.Hour
	quiet := min(total/2, 48*time.Hour)
	victims := r.Perm(len(w.people))
	kinds := Kinds()
	for i := range s.config.Attacks {
		// The last two hours stay free, so that the attack is not cut off.
		at := s.config.Start.Add(quiet + time.Duration(r.Int64N(int64(total-quiet-2*time.Hour))))
		kind := kinds[i%len(kinds)]
		a := &attack{w: w, victim: w.people[victims[i%len(victims)]], r: rand.New(rand.NewPCG(s.config.Seed, attackStream+uint64(i)+1))}
		w.label = kind
		w.at(at, func(now time.Time) { scenarios[kind](a, now) })
	}
	w.label = ""
}

// attackStream keeps the numbers that attacks draw apart from those of everyday life, which is so the same with and without attacks.
const attackStream = 1 << 62
