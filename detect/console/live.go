package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"doorward/auth/staff"
	"doorward/detect/cases"
)

const (
	liveEvery = 2 * time.Second  // how often a stream looks
	liveLife  = 10 * time.Minute // then the browser connects again, and is asked anew who it is
	liveCases = 200              // ids of the top of the queue that are sent
)

// liveQueue is what a stream says when it has changed: the script counts the ids that its page does not show.
type liveQueue struct {
	Open  int      `json:"open"`
	Cases []string `json:"cases"`
	// of the case asked for
	Version uint64 `json:"version,omitempty"`
}

// live streams changes of the queue as server-sent events. It ends as soon as whoever asked may no longer read, and never keeps a
// session alive.
func (c *Console) live(rq *request) error {
	flush := http.NewResponseController(rq.w)
	// A server's limits for one request are not meant for a stream.
	for _, unlimited := range []func(time.Time) error{flush.SetWriteDeadline, flush.SetReadDeadline} {
		if err := unlimited(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return fmt.Errorf("begin live stream: %w", err)
		}
	}
	h := rq.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("X-Accel-Buffering", "no")
	id := rq.URL.Query().Get("case")
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	over := time.NewTimer(liveLife)
	defer over.Stop()
	last := ""
	for {
		now, err := c.liveNow(rq, id)
		if err != nil {
			if last == "" {
				h.Del("Content-Type")
				return err
			}
			c.Log.ErrorContext(rq.Context(), "live stream ends", "error", err)
			return nil
		}
		text := ": still here\n\n"
		if now != last {
			text, last = "event: queue\ndata: "+now+"\n\n", now
		}
		if _, err := fmt.Fprint(rq.w, text); err != nil {
			return nil // the browser has left
		}
		if err := flush.Flush(); err != nil {
			return nil
		}
		select {
		case <-rq.Context().Done():
			return nil
		case <-over.C:
			return nil
		case <-c.ended:
			return nil
		case <-tick.C:
		}
		me, ok, err := c.who(rq.Request, c.sessions.Peek)
		if err != nil || !ok || !staff.Can(me.Role, staff.Read) {
			return nil
		}
	}
}

func (c *Console) liveNow(rq *request, id string) (string, error) {
	var q liveQueue
	cs, _, err := cases.Queue(rq.Context(), c.Engine, nil, liveCases)
	if err != nil {
		return "", err
	}
	for _, k := range cs {
		q.Cases = append(q.Cases, k.ID)
	}
	if q.Open, err = cases.CountOpen(rq.Context(), c.Engine, queueCount); err != nil {
		return "", err
	}
	if id != "" {
		k, _, err := cases.Load(rq.Context(), c.Engine, id)
		if err != nil {
			return "", err
		}
		q.Version = k.Version
	}
	b, err := json.Marshal(q)
	if err != nil {
		return "", fmt.Errorf("encode live queue: %w", err)
	}
	return string(b), nil
}
