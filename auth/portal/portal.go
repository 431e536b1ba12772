package portal

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/auth/totp"
	"doorward/auth/web"
	"doorward/store"
)

//go:embed pages parts
var templates embed.FS

//go:embed text/*.yaml
var textFiles embed.FS

// Limits of a portal session (security D-5).
const (
	Idle     = 15 * time.Minute
	Absolute = time.Hour
)

// Flow is what the portal needs of a recovery.Flow.
type Flow interface {
	Open(ctx context.Context, token string) (id string, err error)
	View(ctx context.Context, id string) (recovery.View, error)
	Submit(ctx context.Context, id string, in recovery.Input) (recovery.View, recovery.Result, error)
}

var _ Flow = (*recovery.Flow)(nil)

// Config is what a Portal is made of. Func fields may be called at any time and by many at once.
type Config struct {
	Name      string // the platform's name, as its owners know it
	PublicURL string
	Language  string         // for browsers that ask for none of the five
	Zone      *time.Location // in which times are told; default UTC
	Contacts  []Contact
	AppURL    string // where owners use the platform and change their password; https, "" for none
	Now       func() time.Time
	Log       *slog.Logger

	Engine store.Engine // for sessions
	Keys   *auth.Keys
	Flow   Flow

	// Ask mails the owner of an account a link, if there is a way back to go. Called by Run, never by a request: who asked sees nothing of it.
	Ask func(context.Context, auth.AccountID) error
	// Again mails the owner of a recovery a new link. Called by Run.
	Again func(ctx context.Context, recovery string) error
	// Story is what the owner may be told of a recovery's cause; nil: nothing beyond the account's reason.
	Story func(context.Context, recovery.View) (Story, error)
	// Asked is what a "was this you?" is about; ErrUnknown when there is no such finding.
	Asked func(ctx context.Context, finding string) (Event, error)
	// Answer takes the owner's answer. The same answer again has no second effect.
	Answer func(ctx context.Context, finding string, denied bool) error

	// Enrol, Confirm and OfferCodes are totp.Factors.Enrol, totp.Factors.Confirm and totp.Codes.Offer.
	Enrol      func(context.Context, auth.AccountID) (totp.Enrolment, error)
	Confirm    func(ctx context.Context, account auth.AccountID, code string) (totp.Result, error)
	OfferCodes func(context.Context, auth.AccountID) ([]string, error)
}

// ErrUnknown is the error of Asked for a finding that is not kept.
var ErrUnknown = errors.New("portal: no such finding")

// Event is one thing that happened, as far as an owner may be told (LOOK, "Don'ts": no address, no rule, no score). Strings may be hostile.
type Event struct {
	Type          string // as in EVENTS.md
	At            time.Time
	City, Country string // country: ISO 3166-1 alpha-2
	UserAgent     string
	Amount        int64 // minor units
	Currency      string
	Stopped       bool // of money: it did not leave
}

// Story is the cause of a recovery and what happened since.
type Story struct {
	First  Event   // the event that the trouble began with; zero Type: not known
	Events []Event // since then, oldest first; shown to proved sessions only
}

// Contact is one way to reach a person. Text and Hours are by language, English for the ones that lack.
type Contact struct {
	Kind  string // chat, phone, mail
	Text  map[string]string
	Link  string // https:, tel: or mailto:
	Hours map[string]string
}

// Portal is the owner's site.
type Portal struct {
	c        Config
	site     *web.Site
	sessions *web.Sessions
	asks     *web.Limiter // by address: asking for links
	tries    *web.Limiter // by address: everything that is posted
	queue    chan func(context.Context) error
}

// New makes the site.
func New(c Config) (*Portal, error) {
	switch {
	case c.Engine == nil || c.Keys == nil || c.Flow == nil || c.Ask == nil || c.Again == nil || c.Asked == nil || c.Answer == nil:
		return nil, errors.New("portal: engine, keys, flow and the calls for links and answers are needed")
	case c.Enrol == nil || c.Confirm == nil || c.OfferCodes == nil:
		return nil, errors.New("portal: the calls for apps and recovery codes are needed")
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if err := checkLinks(c); err != nil {
		return nil, err
	}
	texts, err := fs.Sub(textFiles, "text")
	if err != nil {
		return nil, fmt.Errorf("texts of the portal: %w", err)
	}
	site, err := web.New(web.Config{Kind: "portal", Name: c.Name, PublicURL: c.PublicURL, Language: c.Language, Now: c.Now, Log: c.Log, Texts: texts,
		Templates: templates, Chrome: chrome{Contacts: checked(c.Contacts)}})
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	return &Portal{c: c, site: site,
		sessions: &web.Sessions{Site: site, Engine: c.Engine, Idle: Idle, Absolute: Absolute},
		// codes are guarded per account; these guard the machine, and an office or a carrier behind one address must get through
		asks:  web.NewLimiter(10*time.Second, 30, 10_000, c.Now),
		tries: web.NewLimiter(200*time.Millisecond, 300, 10_000, c.Now),
		queue: make(chan func(context.Context) error, 256)}, nil
}

// checkLinks refuses links that could be something else than what they look like (S-38).
func checkLinks(c Config) error {
	for _, k := range c.Contacts {
		u, err := url.Parse(k.Link)
		if err != nil || !slices.Contains([]string{"https", "tel", "mailto"}, u.Scheme) {
			return fmt.Errorf("contact %q: want a link of https, tel or mailto", k.Link)
		}
		if !slices.Contains([]string{"chat", "phone", "mail"}, k.Kind) || k.Text["en"] == "" {
			return fmt.Errorf("contact %q: want kind chat, phone or mail, and an English text", k.Link)
		}
	}
	if u, err := url.Parse(c.AppURL); c.AppURL != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return fmt.Errorf("address of the app %q: want https", c.AppURL)
	}
	return nil
}

// Handler is the site.
func (p *Portal) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		if strings.HasPrefix(pattern, "POST ") {
			f = p.bounded(f)
		}
		mux.Handle(pattern, p.site.Do(f))
	}
	handle("GET /{$}", p.landing)
	handle("POST /{$}", p.ask)
	handle("GET /sent", p.sent)
	handle("GET /ended", p.ended)
	handle("GET /r/{token}", p.link)
	handle("POST /r/{token}", p.open)
	handle("GET /r/{token}/old", p.old)
	handle("POST /r/{token}/again", p.again)
	handle("GET /n/{token}", p.question)
	handle("POST /n/{token}", p.answer)
	handle("GET /n/{token}/{answer}", p.answered)

	handle("GET /why", p.with(p.why))
	for path, step := range map[string]stepPage{
		"/code": p.code, "/recovery-code": p.recoveryCode, "/mail-code": p.mailCode, "/password": p.password, "/review": p.review,
		"/stopped": p.stopped,
	} {
		handle("GET "+path, p.with(p.at(path, step)))
	}
	handle("POST /code", p.with(p.submitCode("/code", "code", recovery.InputCode)))
	handle("POST /recovery-code", p.with(p.submitCode("/recovery-code", "recovery_code", recovery.InputRecoveryCode)))
	handle("POST /mail-code", p.with(p.submitCode("/mail-code", "mail_code", recovery.InputMailCode)))
	handle("POST /mail-code/send", p.with(p.sendMailCode))
	handle("POST /password", p.with(p.proved(p.passwordDone)))
	handle("POST /review", p.with(p.proved(p.reviewed)))
	handle("GET /review/none", p.with(p.reviewNone))
	handle("POST /stopped", p.with(p.finish))
	handle("GET /wait", p.with(p.wait))
	handle("GET /elsewhere", p.with(p.elsewhere))
	handle("GET /give-up", p.with(p.giveUpPage))
	handle("POST /give-up", p.with(p.giveUp))
	handle("GET /given-up", p.givenUp)
	handle("POST /leave", p.leave)

	handle("GET /done", p.with(p.done))
	handle("POST /codes", p.with(p.proved(p.newCodes)))
	handle("POST /codes/saved", p.with(p.proved(p.codesSaved)))
	handle("GET /codes.txt", p.with(p.proved(p.codesText)))
	handle("GET /enrol", p.with(p.proved(p.enrolPage)))
	handle("POST /enrol", p.with(p.proved(p.enrol)))
	handle("POST /enrol/confirm", p.with(p.proved(p.enrolConfirm)))
	return p.site.Handler(mux)
}

// bounded bounds what one address may post: a code's own budget counts per account, this one keeps the machine free for others.
func (p *Portal) bounded(f func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !p.tries.Allow(web.ClientKey(r)) {
			return &web.Fault{Status: http.StatusTooManyRequests, Err: errors.New("many posts from one address")}
		}
		return f(w, r)
	}
}

// Run mails the links that were asked for and forgets sessions that have run out, until ctx ends. One is enough for a process.
func (p *Portal) Run(ctx context.Context) {
	sweep := time.NewTicker(time.Hour)
	defer sweep.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case do := <-p.queue:
			err = do(ctx)
		case <-sweep.C:
			err = p.sessions.Sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			p.c.Log.ErrorContext(ctx, "portal, in the background", "error", err)
		}
	}
}

// later leaves work to Run, so that a request's answer takes no longer for an account that exists (S-11). A full queue drops it: the owner can
// ask again, and whoever fills it gains nothing.
func (p *Portal) later(do func(context.Context) error) {
	select {
	case p.queue <- do:
	default:
		p.c.Log.Warn("portal: too many links asked for at once, one was not sent")
	}
}

// Reference is the number that an owner says on the phone and that staff find a recovery by. It opens nothing.
func Reference(recovery string) string {
	sum := sha256.Sum256([]byte("doorward reference " + recovery))
	c := base32.StdEncoding.EncodeToString(sum[:5])
	return "DW-" + c[:4] + "-" + c[4:]
}
