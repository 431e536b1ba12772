package staff

import (
	"sync"
	"time"
)

// A budget of failed tries: the first ones are free, then each costs time, so that nobody is ever shut out for longer than fill*burst.
// Kept in memory: a restart forgives at most one burst, and the budget of codes, which is what guessing needs, is stored (auth/totp).
const (
	nameBurst, nameFill       = 10, 90 * time.Second // a name: 10 failures at once, then one each 90 s
	addressBurst, addressFill = 30, 30 * time.Second // an address: an office behind one
	budgetKeys                = 20_000               // names and addresses remembered; the one longest forgiven goes first
)

type budget struct {
	mu    sync.Mutex
	burst time.Duration // how far ahead of now the theoretical time may be
	fill  time.Duration
	until map[string]time.Time
}

func newBudget(burst int, fill time.Duration) *budget {
	return &budget{burst: time.Duration(burst) * fill, fill: fill, until: map[string]time.Time{}}
}

// take spends one try, before the work, so that tries at the same time all count; it says false, and how long to wait, when none is left.
func (b *budget) take(key string, now time.Time) (time.Duration, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.until[key]
	if at.Before(now) {
		at = now
	}
	if next := at.Add(b.fill); next.Sub(now) > b.burst {
		return next.Sub(now) - b.burst, false
	}
	if _, known := b.until[key]; !known && len(b.until) >= budgetKeys {
		b.forget(now)
	}
	b.until[key] = at.Add(b.fill)
	return 0, true
}

// clear forgives a key: it signed in.
func (b *budget) clear(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.until, key)
}

// forget drops what is forgiven, or the one that soonest is.
func (b *budget) forget(now time.Time) {
	soonest, when := "", time.Time{}
	for k, t := range b.until {
		if !t.After(now) {
			delete(b.until, k)
		} else if soonest == "" || t.Before(when) {
			soonest, when = k, t
		}
	}
	if len(b.until) >= budgetKeys {
		delete(b.until, soonest)
	}
}
