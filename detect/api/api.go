package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/auth/web"
	"doorward/detect"
	"doorward/rules/event"
	"doorward/store"
)

// Config is what the calls need from the rest of Doorward.
type Config struct {
	// Authorise says whether a bearer token is one of the platform's: see CheckToken.
	Authorise func(ctx context.Context, token string) (bool, error)

	Store store.Engine // profiles
	Keys  *auth.Keys
	// Import binds the authenticator app of an otpauth link; the same link again changes nothing. *Invalid: the link is not taken.
	Import func(ctx context.Context, id auth.AccountID, otpauth string) error

	// Account is the record of an account as its shard has it; the zero Record for one that was never seen. Record.Unknown, or an
	// error: it can't be told for sure.
	Account func(ctx context.Context, id auth.AccountID) (auth.Record, error)

	// Decide writes the event, as it came, to the input topic and waits for what its shard decides. ErrLate: it is written, and ctx ended
	// before the decision was known. Any other error: it may not have been written.
	Decide func(ctx context.Context, e *event.Event, raw []byte) (detect.Decision, error)

	// Verify takes the second factor of a challenge: recovery.Flow's.
	Verify func(ctx context.Context, id auth.AccountID, code string) (recovery.Verified, error)

	Now     func() time.Time
	Timeout time.Duration // of Decide, unless a call says timeout_ms; 0: 250 ms
	Fail    string        // what a payment is answered when there is no decision: hold (default) or allow; a login is allowed and flagged
	Log     *slog.Logger  // nil: none
}

// ErrLate says that an event is written and will be decided, but was not in time.
var ErrLate = errors.New("api: not decided in time")

// Invalid is the error of something that the platform sent and that is not taken. Problem is for its engineers and holds no secret.
type Invalid struct{ Problem string }

func (e *Invalid) Error() string { return e.Problem }

// Limits of the API as a whole.
const (
	maxBody      = 64 << 10         // bytes of a body, as sent: compressed ones are refused (reference: security S-24)
	maxAtOnce    = 512              // requests under way
	callTime     = 10 * time.Second // the longest that a call takes, Decide apart
	maxWait      = 10 * time.Second // of timeout_ms
	guessEvery   = 3 * time.Second  // wrong tokens from one address: 20 at once, then one in this time
	guessBurst   = 20
	guessers     = 10_000 // addresses remembered
	defaultDelay = 250 * time.Millisecond
)

type api struct {
	Config
	atOnce  chan struct{}
	guesses *web.Limiter
}

// New checks the configuration and makes the handler.
func New(c Config) (http.Handler, error) {
	switch {
	case c.Authorise == nil, c.Store == nil, c.Keys == nil, c.Import == nil, c.Account == nil, c.Decide == nil, c.Verify == nil, c.Now == nil:
		return nil, errors.New("api: a dependency is missing")
	case c.Fail != "" && c.Fail != "hold" && c.Fail != "allow":
		return nil, fmt.Errorf("decide.fail: %q is neither hold nor allow", c.Fail)
	case c.Timeout < 0 || c.Timeout > maxWait:
		return nil, fmt.Errorf("decide.timeout: %v is not between 0 and %v", c.Timeout, maxWait)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultDelay
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &api{c, make(chan struct{}, maxAtOnce), web.NewLimiter(guessEvery, guessBurst, guessers, c.Now)}, nil
}

// call is one way to call a path.
type call func(a *api, w http.ResponseWriter, r *http.Request, id auth.AccountID) error

// place is what a path has: the methods that are answered there, and whether an account is named in it.
type place struct {
	calls   map[string]call
	account bool
}

var (
	accountPlace = &place{map[string]call{http.MethodGet: (*api).show, http.MethodHead: (*api).show, http.MethodPut: (*api).put}, true}
	verifyPlace  = &place{map[string]call{http.MethodPost: (*api).verify}, true}
	decidePlace  = &place{map[string]call{http.MethodPost: (*api).decide}, false}
)

func (p *place) allow() string {
	methods := []string{http.MethodOptions}
	for m := range p.calls {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// find is the place of a path and the account id in it, still as sent. http.ServeMux would redirect ids that look like unclean paths.
func find(u *url.URL) (p *place, id string) {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if len(parts) < 2 || parts[0] != "v1" {
		return nil, ""
	}
	switch {
	case len(parts) == 2 && parts[1] == "decide":
		return decidePlace, ""
	case len(parts) == 3 && parts[1] == "accounts":
		return accountPlace, parts[2]
	case len(parts) == 4 && parts[1] == "accounts" && parts[3] == "verify":
		return verifyPlace, parts[2]
	}
	return nil, ""
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			panic(v)
		default:
			a.fail(w, r, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	select {
	case a.atOnce <- struct{}{}:
		defer func() { <-a.atOnce }()
	default:
		a.fail(w, r, busy)
		return
	}
	if err := a.answer(w, r); err != nil {
		a.fail(w, r, err)
	}
}

// answer is the way of every call: place, token, account, then the call itself.
func (a *api) answer(w http.ResponseWriter, r *http.Request) error {
	p, rawID := find(r.URL)
	if p == nil {
		return noSuchPath
	}
	do, ok := p.calls[r.Method]
	if !ok {
		w.Header().Set("Allow", p.allow())
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return noSuchMethod
	}
	if err := a.authorise(w, r); err != nil {
		return err
	}
	var id auth.AccountID
	if p.account {
		text, err := url.PathUnescape(rawID)
		if err == nil {
			id, err = auth.ParseAccountID(text)
		}
		if err != nil {
			return badAccount.because("%s.", err)
		}
	}
	return do(a, w, r, id)
}

// authorise takes "Authorization: Bearer TOKEN", once.
func (a *api) authorise(w http.ResponseWriter, r *http.Request) error {
	challenge := func(p problem) error {
		w.Header().Set("WWW-Authenticate", `Bearer realm="doorward"`)
		return p
	}
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return challenge(noToken)
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 256 {
		return challenge(noToken)
	}
	ok, err := a.Authorise(r.Context(), token)
	if err != nil {
		return fmt.Errorf("check a token: %w", err)
	}
	if ok {
		return nil
	}
	client := web.ClientKey(r)
	if !a.guesses.Allow(client) {
		w.Header().Set("Retry-After", "3")
		return tooManyGuesses
	}
	a.Log.WarnContext(r.Context(), "api: a token was refused", "client", client, "method", r.Method)
	return challenge(wrongToken)
}

// show is GET: the state now.
func (a *api) show(w http.ResponseWriter, r *http.Request, id auth.AccountID) error {
	if err := noQuery(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), callTime)
	defer cancel()
	return reply(w, http.StatusOK, a.record(ctx, id))
}

// stateUnknown is said instead of a state that is not known; nobody takes it for open.
const stateUnknown auth.State = "unknown"

// record is what is known of an account. Unsure, money is held unless configured otherwise.
func (a *api) record(ctx context.Context, id auth.AccountID) auth.Record {
	rec, err := a.Account(ctx, id)
	if err != nil {
		a.Log.ErrorContext(ctx, "api: an account's state can't be told", "err", err)
		rec = auth.Record{Unknown: true}
	}
	if rec.Unknown && (rec.State == auth.Open || rec.State == "") { // a store that may have lost a lock must not say "open"
		rec.State = stateUnknown
		if a.Fail != "allow" && len(rec.Refuse) == 0 {
			rec.Refuse = []auth.Refusal{auth.RefuseMoneyOut}
		}
	}
	rec.Account = id
	if rec.State == "" {
		rec.State = auth.Open
	}
	if rec.Refuse == nil {
		rec.Refuse = []auth.Refusal{}
	}
	if rec.Findings == nil {
		rec.Findings = []string{}
	}
	return rec
}
