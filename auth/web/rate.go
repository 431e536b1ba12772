package web

import (
	"container/list"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limiter counts what each key does: for sign-ins by address, for links by account. It remembers a bounded number of keys, the least
// recently seen leaves first.
type Limiter struct {
	every rate.Limit
	burst int
	size  int
	now   func() time.Time

	mu   sync.Mutex
	keys map[string]*list.Element
	used *list.List // of *counted, newest first
}

type counted struct {
	key string
	l   *rate.Limiter
}

// NewLimiter allows each key burst at once and then one more every interval; it remembers size keys.
func NewLimiter(interval time.Duration, burst, size int, now func() time.Time) *Limiter {
	return &Limiter{every: rate.Every(interval), burst: burst, size: size, now: now, keys: map[string]*list.Element{}, used: list.New()}
}

// Allow reports whether key may do it once more now, and counts it.
func (l *Limiter) Allow(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.keys[key]
	if !ok {
		if len(l.keys) >= l.size {
			oldest := l.used.Back()
			delete(l.keys, oldest.Value.(*counted).key)
			l.used.Remove(oldest)
		}
		e = l.used.PushFront(&counted{key, rate.NewLimiter(l.every, l.burst)})
		l.keys[key] = e
	}
	l.used.MoveToFront(e)
	return e.Value.(*counted).l.AllowN(l.now(), 1)
}

// ClientKey is the address a request came from, as a key: IPv6 by its /64, which is what one customer has. Headers are not asked.
func ClientKey(r *http.Request) string {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return ip.String()
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return "unknown"
	}
	return p.String()
}
