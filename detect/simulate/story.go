package simulate

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// StoryLength is the longest that a Story lasts: short enough to be watched.
const StoryLength = 20 * time.Second

// Story makes the events of one attack of the kind on the account from start on, its waits shortened to fit StoryLength. The account need
// not be one of the simulation's; the other accounts that some attacks touch are.
func (s *Simulation) Story(kind, account string, start time.Time) ([]Generated, error) {
	scenario := scenarios[kind]
	if scenario == nil {
		return nil, fmt.Errorf("simulate: no attack is called %q: choose of %s", kind, strings.Join(Kinds(), ", "))
	}
	w, victim := s.stage(account, "story", start)
	a := &attack{w: w, victim: victim, r: rand.New(rand.NewPCG(s.config.Seed, uint64(start.UnixMilli())))}
	w.label = kind
	w.at(start, func(now time.Time) { scenario(a, now) })
	for len(w.agenda) > 0 {
		w.next()
	}
	shorten(w.out, start.UTC().Truncate(time.Millisecond))
	return generated(w.out), nil
}

// Life makes what the account's owner did in the time before until: visits from home with both devices, payments in known shops. The first
// event lies at most span before until, the last before it.
func (s *Simulation) Life(account string, until time.Time, span time.Duration) []Generated {
	w, p := s.stage(account, "life", until)
	r := rand.New(rand.NewPCG(s.config.Seed, uint64(until.UnixMilli())+1))
	const visits = 6
	for i := range visits {
		slot := span / visits
		w.at(until.Add(-span+time.Duration(i)*slot).Add(between(r, 0, max(slot/2, 1))), func(now time.Time) {
			at := w.usualSeat(p, now, r)
			if at.device = p.phone; i%3 == 1 {
				at.device = p.laptop
			}
			w.visit(now, p, at, r)
		})
	}
	for len(w.agenda) > 0 && w.agenda[0].at.Before(until) {
		w.next()
	}
	return generated(w.out)
}

// stage is the world with the account in it, its events under a source of their own.
func (s *Simulation) stage(account, what string, at time.Time) (*world, *person) {
	w := s.world()
	w.tell(fmt.Sprintf("%s/%08x/%d", what, w.draw(account, 0).Uint32(), at.UnixMilli()))
	p := w.byID[account]
	if p == nil {
		p = w.settle(account)
	}
	return w, p
}

func shorten(out []*made, start time.Time) {
	total := out[len(out)-1].event.Time.Sub(start)
	if total <= StoryLength {
		return
	}
	for _, m := range out {
		since := float64(m.event.Time.Sub(start)) / float64(total) * float64(StoryLength)
		at := start.Add(time.Duration(since)).Truncate(time.Millisecond)
		m.event.Time, m.event.Arrival, m.event.Stated = at, at, at
	}
}

func generated(out []*made) []Generated {
	all := make([]Generated, len(out))
	for i, m := range out {
		all[i] = m.generated()
	}
	return all
}
