package console

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"doorward/auth"
	"doorward/auth/staff"
	"doorward/auth/web"
	"doorward/rules"
	"doorward/store"
	"doorward/store/history"
)

//go:embed text/*.yaml tmpl/pages/*.html tmpl/parts/*.html asset/*
var files embed.FS

// Limits of a signed-in browser (reference: security D-5).
const (
	sessionIdle     = 15 * time.Minute
	sessionAbsolute = 12 * time.Hour
)

// Config is what the console needs.
type Config struct {
	Engine store.Engine
	Keys   *auth.Keys
	Staff  *staff.Staff
	Desk   *auth.Desk // the one way in for acts
	// Unpause is the part of an unlock that gives an owner's authenticator app its tries back; nil: there is nothing to give back.
	Unpause func(context.Context, auth.AccountID) (*store.Batch, error)
	// History reads an account's newest limit events from (included) to (excluded), in any order.
	History func(ctx context.Context, account auth.AccountID, from, to time.Time, limit int) ([]history.Line, error)
	// Rules are the rules in force.
	Rules func() []*rules.Rule
	// Warning is a text, "behind" or none, that staff have to see on every page; nil: there never is any.
	Warning   func() string
	Now       func() time.Time
	Log       *slog.Logger
	Name      string // the platform's, as staff know it; default "Doorward"
	PublicURL string // by which browsers reach the console
}

// Console is the staff web site.
type Console struct {
	Config
	site     *web.Site
	sessions *web.Sessions
	tally    tally
	every    time.Duration // how often a stream looks
	ended    chan struct{} // closed by EndStreams
	end      sync.Once
}

// New makes the site. A text that a language lacks, or a template that does not parse, is an error here.
func New(c Config) (*Console, error) {
	if c.Engine == nil || c.Keys == nil || c.Staff == nil || c.Desk == nil || c.History == nil || c.Rules == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("console: engine, keys, staff, desk, history, rules, clock and log are needed")
	}
	sub := map[string]fs.FS{}
	for _, dir := range []string{"text", "tmpl", "asset"} {
		f, err := fs.Sub(files, dir)
		if err != nil {
			return nil, fmt.Errorf("console files: %w", err)
		}
		sub[dir] = f
	}
	site, err := web.New(web.Config{Kind: "console", Name: c.Name, PublicURL: c.PublicURL, Now: c.Now, Log: c.Log, Texts: sub["text"],
		Templates: sub["tmpl"], Assets: sub["asset"]})
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return &Console{Config: c, site: site, ended: make(chan struct{}), every: liveEvery,
		sessions: &web.Sessions{Site: site, Engine: c.Engine, Idle: sessionIdle, Absolute: sessionAbsolute}}, nil
}

// Handler serves the site.
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes {
		mux.Handle(rt.pattern, c.guard(rt))
	}
	return c.site.Handler(mux)
}

// Sweep forgets sessions that have run out; once an hour is enough.
func (c *Console) Sweep(ctx context.Context) error { return c.sessions.Sweep(ctx) }

// EndStreams ends all live streams, so that a server that shuts down waits for none: http.Server.RegisterOnShutdown(c.EndStreams).
func (c *Console) EndStreams() { c.end.Do(func() { close(c.ended) }) }
