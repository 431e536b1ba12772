package kafka

import (
	"fmt"
	"maps"
	"time"
)

// awayAfter is how long a partition can't have been read until Away says so: leaders move within a second or two, a broker that is
// restarted needs longer.
const awayAfter = 3 * time.Second

type place struct {
	topic string
	part  int
}

// ailment is why a partition can't be read, and when it last could.
type ailment struct {
	since time.Time
	err   error
}

// Away are the shards that run and whose partitions have not been readable for more than 3 s, with the reason: a broker that is down,
// moved, or answers no more (which is noticed when a request has waited its 10 s). They go on by themselves.
func (c *Client) Away() map[int]error {
	c.mu.Lock()
	defer c.mu.Unlock()
	away := map[int]error{}
	for p, a := range c.ailing {
		if time.Since(a.since) > awayAfter {
			away[p.part] = fmt.Errorf("nothing can be read from the broker since %s: topic %s: %w", a.since.UTC().Format(time.TimeOnly), p.topic, a.err)
		}
	}
	return away
}

// ails notes that the partition can't be read, and well that it can again.
func (l *lane) ails(err error) {
	if l.good.IsZero() {
		return
	}
	l.ill = true
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	l.c.ailing[place{l.at.Topic, l.part}] = ailment{l.good, err}
}

func (l *lane) well() {
	if l.good.IsZero() {
		return
	}
	l.good = time.Now()
	if l.ill {
		l.ill = false
		l.c.mu.Lock()
		defer l.c.mu.Unlock()
		delete(l.c.ailing, place{l.at.Topic, l.part})
	}
}

// forget drops what is known of a shard that runs no more.
func (c *Client) forget(shard int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.ailing, func(p place, _ ailment) bool { return p.part == shard })
}
