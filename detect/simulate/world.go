package simulate

import (
	"container/heap"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"doorward/auth"
	"doorward/rules/event"
)

// world is everybody, and what they are about to do.
type world struct {
	seed         uint64
	source       string
	till         string // begins the ids of transactions, as those of events stand under the source
	people       []*person
	byID         map[string]*person
	agenda       agenda
	label        string // of the step under way; what it plans inherits it
	events       int    // made so far
	transactions int    // made so far
	steps        int    // planned so far
	out          []*made
}

// made is an event and its label.
type made struct {
	event *event.Event
	label string
}

func (m *made) generated() Generated {
	return Generated{Event: event.Encode(m.event), ID: m.event.ID, Account: string(m.event.Account), Label: m.label, At: m.event.Time}
}

func (s *Simulation) world() *world {
	w := newWorld(s.config.Seed)
	for i := range s.config.Accounts {
		w.settle(fmt.Sprintf("acct-%06d", i+1))
	}
	w.assignRoles()
	return w
}

func newWorld(seed uint64) *world {
	w := &world{seed: seed, source: "/simulate", byID: make(map[string]*person)}
	w.tell(strconv.FormatUint(seed, 10))
	return w
}

// tell puts the events to come under a source of their own, so that their ids can be counted from 1.
func (w *world) tell(what string) {
	w.source += "/" + what
	w.till = fmt.Sprintf("tx-%08x", w.draw(w.source, 0).Uint32())
}

// step is something that will happen at a time.
type step struct {
	at    time.Time
	order int // among steps of the same time
	label string
	do    func(now time.Time)
}

// agenda is a heap of steps, the next first.
type agenda []step

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if !a[i].at.Equal(a[j].at) {
		return a[i].at.Before(a[j].at)
	}
	return a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(step)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	s := (*a)[last]
	(*a)[last] = step{}
	*a = (*a)[:last]
	return s
}

// at plans a step.
func (w *world) at(t time.Time, do func(now time.Time)) {
	w.steps++
	heap.Push(&w.agenda, step{t.Truncate(time.Millisecond), w.steps, w.label, do})
}

// run takes the steps before the end in order and hands out what they make.
func (w *world) run(end time.Time, yield func(Generated) bool) {
	for len(w.agenda) > 0 && w.agenda[0].at.Before(end) {
		w.next()
		for _, m := range w.out {
			if !yield(m.generated()) {
				return
			}
		}
		w.out = w.out[:0]
	}
}

func (w *world) next() {
	s := heap.Pop(&w.agenda).(step)
	w.label = s.label
	s.do(s.at)
	w.label = ""
}

// seat is where somebody sits: the address, the device, the place, the session.
type seat struct {
	ip      string
	device  device
	place   *place
	session string
}

// say makes an event and returns its id.
func (w *world) say(now time.Time, p *person, s seat, t event.Type, fill func(*event.Data)) string {
	w.events++
	e := &event.Event{ID: "e" + strconv.Itoa(w.events), Source: w.source, Type: t, Account: auth.AccountID(p.id),
		Time: now, Arrival: now, Stated: now}
	e.IP, e.Device, e.UserAgent, e.Session = s.ip, s.device.id, s.device.agent, s.session
	if s.device.app {
		e.AppVersion = "4.12.0"
	}
	if s.place != nil {
		e.Timezone, e.Language = s.place.timezone, p.home.language
		e.Geo = &event.Geo{Lat: s.place.lat, Lon: s.place.lon, HasPoint: true, City: s.place.city, Country: s.place.country}
	}
	if fill != nil {
		fill(&e.Data)
	}
	w.out = append(w.out, &made{e, w.label})
	return e.ID
}

// draw returns the random numbers of one subject (an account, an account's day).
func (w *world) draw(subject string, n int) *rand.Rand {
	h := fnv.New64a()
	// Write of a hash never fails.
	_, _ = h.Write([]byte(subject))
	return rand.New(rand.NewPCG(w.seed, h.Sum64()^uint64(n)*0x9e3779b97f4a7c15))
}

// between returns a duration in [least, most).
func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}
