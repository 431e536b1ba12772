package web

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
)

// policy is the Content-Security-Policy of every answer (reference: experience, "Web stack").
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'"

// Fault is an error that the person in front of the browser caused or can mend: its status is answered, its text only logged.
type Fault struct {
	Status int
	Err    error
}

func (f *Fault) Error() string { return fmt.Sprintf("%d: %v", f.Status, f.Err) }
func (f *Fault) Unwrap() error { return f.Err }

// NotFound is the fault of what does not exist, or not for who asks.
func NotFound(why string) error { return &Fault{http.StatusNotFound, errors.New(why)} }

// Handler puts the guards before a site's routes: headers, host, origin, languages, assets, the site's own error pages.
func (s *Site) Handler(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.headers(w.Header())
		defer s.rescue(w, r)
		if canonicalHost(r.Host, s.secure) != s.host {
			s.fail(w, r, &Fault{http.StatusMisdirectedRequest, errors.New("host is not the public one")})
			return
		}
		if err := s.origin.Check(r); err != nil {
			s.fail(w, r, &Fault{http.StatusForbidden, err})
			return
		}
		switch {
		case strings.HasPrefix(r.URL.Path, assetRoot):
			s.assets.serve(s, w, r)
		case r.URL.Path == languagePath:
			s.chooseLanguage(w, r)
		default:
			s.route(mux, w, r)
		}
	})
}

// route lets mux answer, but says "not found" and "not allowed" with the site's own pages.
func (s *Site) route(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	h, pattern := mux.Handler(r)
	if pattern != "" {
		mux.ServeHTTP(w, r)
		return
	}
	p := &probe{header: http.Header{}}
	h.ServeHTTP(p, r)
	if p.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", p.header.Get("Allow"))
		s.fail(w, r, &Fault{p.status, errors.New("no such method here")})
		return
	}
	s.fail(w, r, NotFound("no such page"))
}

// probe takes what ServeMux says about a request it has no pattern for.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) WriteHeader(status int)      { p.status = status }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

func (s *Site) headers(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
	if s.secure {
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
}

// Do makes a handler of a function that may fail: a *Fault is answered with its status, anything else with 500 and a reference number
// under which the log has the error.
func (s *Site) Do(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// Fail answers a request with the error page for err, as Do does.
func (s *Site) Fail(w http.ResponseWriter, r *http.Request, err error) { s.fail(w, r, err) }

func (s *Site) rescue(w http.ResponseWriter, r *http.Request) {
	switch v := recover(); v {
	case nil:
	case http.ErrAbortHandler:
		panic(v)
	default:
		s.fail(w, r, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
	}
}

// fail never tells what went wrong inside. The path is not logged: it may hold a link's secret.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, ref := http.StatusInternalServerError, ""
	if f, ok := errors.AsType[*Fault](err); ok {
		status = f.Status
		s.log.DebugContext(r.Context(), "request refused", "site", s.kind, "status", status, "error", f.Err)
	} else {
		ref = Reference()
		s.log.ErrorContext(r.Context(), "request failed", "site", s.kind, "reference", ref, "error", err)
	}
	key := "web.fault.other"
	switch status {
	case 404, 405, 421, 429, 500:
		key = fmt.Sprintf("web.fault.%d", status)
	}
	p := Page{Template: "fault", Status: status, Body: faultBody{Key: key, Reference: ref}}
	if err := s.Show(w, r, p); err != nil {
		s.log.ErrorContext(r.Context(), "error page", "site", s.kind, "error", err)
		http.Error(w, http.StatusText(status), status)
	}
}

type faultBody struct{ Key, Reference string }

// Reference is a number to say on the phone: random, no key to anything.
func Reference() string {
	var b [5]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("web: crypto/rand never fails since Go 1.24: " + err.Error())
	}
	c := base32.StdEncoding.EncodeToString(b[:])
	return "DW-" + c[:4] + "-" + c[4:]
}
