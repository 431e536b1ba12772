package notice

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"doorward/auth/web"
)

//go:embed tmpl
var ownTemplates embed.FS

// OutboxConfig is what an Outbox is made of.
type OutboxConfig struct {
	Name      string // the platform's name
	PublicURL string // of the outbox itself
	Keep      int    // how many notices it shows, the newest ones; default 200
	Zone      *time.Location
	Now       func() time.Time
	Log       *slog.Logger
}

// Outbox takes the place of a mail server in the demo: it shows what would have been mailed, and says so.
type Outbox struct {
	site *web.Site
	keep int
	zone *time.Location

	mu   sync.Mutex
	sent []Sent // oldest first
}

// Sent is one notice with its addresses.
type Sent struct {
	Notice
	To []string
}

// Path is the page of a notice in the outbox; ids hold what they like.
func (s Sent) Path() string {
	sum := sha256.Sum256([]byte(s.ID))
	return "/m/" + hex.EncodeToString(sum[:8])
}

// NewOutbox makes an empty outbox.
func NewOutbox(c OutboxConfig) (*Outbox, error) {
	own, err := texts()
	if err != nil {
		return nil, fmt.Errorf("texts of notices: %w", err)
	}
	pages, err := fs.Sub(ownTemplates, "tmpl")
	if err != nil {
		return nil, fmt.Errorf("pages of the outbox: %w", err)
	}
	site, err := web.New(web.Config{Kind: "portal", Name: c.Name, PublicURL: c.PublicURL, Now: c.Now, Log: c.Log, Texts: own, Templates: pages})
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	if c.Keep <= 0 {
		c.Keep = 200
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	return &Outbox{site: site, keep: c.Keep, zone: c.Zone}, nil
}

// Send keeps a notice; the same one again adds the addresses that it has not gone to yet. It is a Send.
func (o *Outbox) Send(_ context.Context, n Notice, to []string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.sent {
		if s := &o.sent[i]; s.ID == n.ID {
			for _, a := range to {
				if !slices.Contains(s.To, a) {
					s.To = append(slices.Clone(s.To), a) // a page may be showing the old list
				}
			}
			return nil
		}
	}
	n.At = n.At.In(o.zone)
	o.sent = append(o.sent, Sent{n, append([]string(nil), to...)})
	if len(o.sent) > o.keep {
		o.sent = append([]Sent(nil), o.sent[len(o.sent)-o.keep:]...)
	}
	return nil
}

// Newest gives what is kept, newest first.
func (o *Outbox) Newest() []Sent {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]Sent, 0, len(o.sent))
	for i := len(o.sent) - 1; i >= 0; i-- {
		all = append(all, o.sent[i])
	}
	return all
}

// Handler shows the list at / and one notice at its Path.
func (o *Outbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", o.site.Do(func(w http.ResponseWriter, r *http.Request) error {
		return o.site.Show(w, r, web.Page{Template: "list", Body: o.Newest()})
	}))
	mux.Handle("GET /m/{id}", o.site.Do(func(w http.ResponseWriter, r *http.Request) error {
		for _, s := range o.Newest() {
			if s.Path() == r.URL.Path {
				return o.site.Show(w, r, web.Page{Template: "one", Body: s})
			}
		}
		return &web.Fault{Status: http.StatusNotFound, Err: errors.New("no such notice in the outbox")}
	}))
	return o.site.Handler(mux)
}
