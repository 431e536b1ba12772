package portal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"doorward/auth"
	"doorward/auth/recovery"
	"doorward/auth/web"
)

// memory is what a session keeps between a POST and the page after it, and no longer than the session. Stored as JSON: names are added, never
// changed.
type memory struct {
	Proved  recovery.InputKind `json:"proved,omitempty"`  // the code that this browser gave
	Problem *problem           `json:"problem,omitempty"` // why the last input had no effect
	Codes   []byte             `json:"codes,omitempty"`   // new recovery codes to show, sealed
	App     []byte             `json:"app,omitempty"`     // a new app's otpauth link and key, sealed
	NewApp  bool               `json:"new_app,omitempty"` // the app was set up
	Saved   bool               `json:"saved,omitempty"`   // the recovery codes are saved
}

// problem is said on the page it belongs to until the next input.
type problem struct {
	Page  string    `json:"page"`
	Why   string    `json:"why"` // end of the key of its text
	Until time.Time `json:"until,omitzero"`
	Left  int       `json:"left,omitempty"` // tries
}

// visit is one request of a session.
type visit struct {
	w    http.ResponseWriter
	r    *http.Request
	s    *web.Session
	m    memory
	view recovery.View
}

func (v *visit) ctx() context.Context    { return v.r.Context() }
func (v *visit) account() auth.AccountID { return v.view.Account.Account }
func (v *visit) proved() bool            { return v.m.Proved != "" }
func (v *visit) problem(page string) *problem {
	if v.m.Problem != nil && v.m.Problem.Page == page {
		return v.m.Problem
	}
	return nil
}

type page func(*visit) error

// with gives a page the browser's session and how its recovery stands; without a session it says how to go on.
func (p *Portal) with(f page) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodPost {
			// a second tap on a button takes the first request's browser away; what it began is finished all the same
			r = r.WithContext(context.WithoutCancel(r.Context()))
		}
		s, err := p.sessions.Load(r)
		if err != nil {
			return err
		}
		if s == nil {
			return p.site.Go(w, r, "/ended")
		}
		v := &visit{w: w, r: r, s: s}
		if err := s.Read(&v.m); err != nil {
			return err
		}
		v.view, err = p.c.Flow.View(r.Context(), s.Subject)
		if errors.Is(err, recovery.ErrLink) {
			return p.site.Go(w, r, "/ended")
		}
		if err != nil {
			return fmt.Errorf("recovery: %w", err)
		}
		err = f(v)
		if errors.Is(err, web.ErrSessionMoved) {
			return p.site.Go(w, r, place(v)) // two requests at once: the page says how it stands now
		}
		return err
	}
}

// proved lets a page only be for a browser that has given a code itself.
func (p *Portal) proved(f page) page {
	return func(v *visit) error {
		if !v.proved() {
			return p.send(v, place(v))
		}
		return f(v)
	}
}

// at lets a page of a step only be seen when it is its turn; else the browser goes where it is.
func (p *Portal) at(path string, f stepPage) page {
	return func(v *visit) error {
		want := place(v)
		standIn := path == "/recovery-code" && v.view.RecoveryCodeToo && want == "/code"
		if want != path && !standIn {
			return p.send(v, want)
		}
		return f(v)
	}
}

// place is the page that a session belongs on. Reading and typing the code is open to whoever has the link; what follows a proof is not.
func place(v *visit) string {
	w := v.view
	switch {
	case w.Other:
		return "/done"
	case w.Status == recovery.Applying:
		return "/wait"
	case w.Status == recovery.Finished:
		return "/done"
	}
	switch w.Current {
	case recovery.StepCode:
		return "/code"
	case recovery.StepRecoveryCode:
		return "/recovery-code"
	case recovery.StepStaff, recovery.StepHold, "":
		return "/stopped"
	}
	if !v.proved() {
		return "/elsewhere"
	}
	switch w.Current {
	case recovery.StepMailCode:
		return "/mail-code"
	case recovery.StepPassword:
		return "/password"
	}
	return "/review"
}

func (p *Portal) send(v *visit, path string) error { return p.site.Go(v.w, v.r, path) }

// remember keeps the session's memory.
func (p *Portal) remember(v *visit) error { return p.sessions.Write(v.ctx(), v.s, v.m) }

// tell keeps why an input had no effect for the page, and goes there.
func (p *Portal) tell(v *visit, pr problem) error {
	v.m.Problem = &pr
	if err := p.remember(v); err != nil {
		return err
	}
	return p.send(v, pr.Page)
}

const (
	sealCodes = "portal codes"
	sealApp   = "portal app"
)

// seal keeps a secret that is shown more than once within a session.
func (p *Portal) seal(v *visit, purpose string, secret any) ([]byte, error) {
	b, err := json.Marshal(secret)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", purpose, err)
	}
	return p.c.Keys.Seal(purpose, v.account(), b), nil
}

// unseal reads what seal kept; ok is false when nothing is kept.
func (p *Portal) unseal(v *visit, purpose string, sealed []byte, secret any) (ok bool, err error) {
	if len(sealed) == 0 {
		return false, nil
	}
	b, err := p.c.Keys.Open(purpose, v.account(), sealed)
	if err != nil {
		return false, fmt.Errorf("open %s: %w", purpose, err)
	}
	if err := json.Unmarshal(b, secret); err != nil {
		return false, fmt.Errorf("decode %s: %w", purpose, err)
	}
	return true, nil
}
