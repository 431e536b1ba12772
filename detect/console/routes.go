package console

import (
	"errors"
	"net/http"

	"doorward/auth/staff"
	"doorward/auth/web"
)

// request is one request of a member of staff, or of nobody where the route lets anyone in.
type request struct {
	*http.Request
	w    http.ResponseWriter
	me   staff.Identity
	view view
}

// route is one address of the site, and the permission without which its function is never called.
type route struct {
	pattern string
	needs   staff.Permission
	serve   func(*Console, *request) error
}

// routes are all addresses of the site. What a decision or an act needs beyond reading is in the table of acts (decide.go).
var routes = []route{
	{"GET /sign-in", staff.Anyone, (*Console).showSignIn},
	{"POST /sign-in", staff.Anyone, (*Console).signIn},
	{"GET /join/{token}", staff.Anyone, (*Console).showJoin},
	{"POST /join/{token}/password", staff.Anyone, (*Console).joinPassword},
	{"POST /join/{token}/code", staff.Anyone, (*Console).joinCode},
	{"GET /enter/{token}", staff.Anyone, (*Console).showEnter},
	{"POST /enter/{token}", staff.Anyone, (*Console).enter},

	{"POST /sign-out", staff.Self, (*Console).signOut},
	{"GET /settings", staff.Self, (*Console).showSettings},
	{"POST /settings", staff.Self, (*Console).settings},

	{"GET /{$}", staff.Read, (*Console).queue},
	{"GET /find", staff.Read, (*Console).find},
	{"GET /live", staff.Read, (*Console).live},
	{"GET /cases/{case}", staff.Read, (*Console).showCase},
	{"POST /cases/{case}/decide", staff.Decide, (*Console).decide},
	{"POST /cases/{case}/note", staff.Decide, (*Console).note},
	{"GET /account", staff.Read, (*Console).showAccount},
	{"POST /account/lock", staff.Restrict, (*Console).lock},
	{"POST /account/limit", staff.Restrict, (*Console).limit},
	{"POST /account/unlock", staff.Release, (*Console).unlock},
	{"POST /account/reveal", staff.Reveal, (*Console).reveal},
	{"GET /rules", staff.Read, (*Console).showRules},
	{"GET /journal", staff.Audit, (*Console).showJournal},
	{"GET /staff", staff.Manage, (*Console).showStaff},
	{"POST /staff/invite", staff.Manage, (*Console).invite},
	{"POST /staff/role", staff.Manage, (*Console).setRole},
	{"POST /staff/access", staff.Manage, (*Console).setAccess},
}

// guard is the one place where a request is authorised.
func (c *Console) guard(rt route) http.Handler {
	return c.site.Do(func(w http.ResponseWriter, r *http.Request) error {
		rq := &request{Request: r, w: w, view: readView(r)}
		if rt.needs == staff.Anyone {
			return rt.serve(c, rq)
		}
		// A stream is nobody's hand: it does not keep a session alive.
		load := c.sessions.Load
		if r.URL.Path == "/live" {
			load = c.sessions.Peek
		}
		me, ok, err := c.who(r, load)
		if err != nil {
			return err
		}
		if !ok {
			return c.site.Go(w, r, "/sign-in")
		}
		rq.me = me
		if !staff.Can(me.Role, rt.needs) {
			return c.forbid(rq, rt.needs)
		}
		return rt.serve(c, rq)
	})
}

// who is signed in. The identity is read anew with every request, so that a disabled member or a changed role acts at once, and a session
// from before a new password is over.
func (c *Console) who(r *http.Request, load func(*http.Request) (*web.Session, error)) (staff.Identity, bool, error) {
	s, err := load(r)
	if err != nil || s == nil {
		return staff.Identity{}, false, err
	}
	var signed signedIn
	if err := s.Read(&signed); err != nil {
		return staff.Identity{}, false, err
	}
	me, found, err := c.Staff.Get(r.Context(), s.Subject)
	if err != nil {
		return staff.Identity{}, false, err
	}
	return me, found && !me.Disabled && me.Generation == signed.Generation, nil
}

// signedIn is what a session of the console carries.
type signedIn struct {
	Generation uint64 `json:"generation"`
}

// forbid answers what a role may not do, and writes it down.
func (c *Console) forbid(rq *request, p staff.Permission) error {
	if err := c.Staff.Forbidden(rq.Context(), rq.me, p); err != nil {
		return err
	}
	return c.show(rq, "forbidden", "", http.StatusForbidden, nil)
}

// gone is the answer for cases and accounts that do not exist.
func gone(what string) error { return web.NotFound(what) }

// refused is the answer to a form that no page of ours sends.
func refused(why string) error {
	return &web.Fault{Status: http.StatusBadRequest, Err: errors.New(why)}
}
