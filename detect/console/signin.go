package console

import (
	"errors"
	"html/template"
	"net/http"
	"time"

	"doorward/auth/staff"
	"doorward/auth/web"
)

type signInBody struct {
	Name  string
	Error string // a text's key
	Wait  time.Duration
}

func (c *Console) showSignIn(rq *request) error {
	_, ok, err := c.who(rq.Request, c.sessions.Peek)
	if err != nil {
		return err
	}
	if ok {
		return c.site.Go(rq.w, rq.Request, "/")
	}
	return c.show(rq, "sign-in", "", 0, signInBody{})
}

// signIn gives one answer to everything that is wrong.
func (c *Console) signIn(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "name", "password", "code")
	if err != nil {
		return err
	}
	me, err := c.Staff.SignIn(rq.Context(), f["name"], f["password"], f["code"], web.ClientKey(rq.Request))
	body := signInBody{Name: visible(f["name"])}
	if wait, ok := errors.AsType[*staff.Wait](err); ok {
		body.Error, body.Wait = "signin.wait", wait.For
		return c.show(rq, "sign-in", "", http.StatusTooManyRequests, body)
	}
	if errors.Is(err, staff.ErrRefused) {
		body.Error = "signin.wrong"
		return c.show(rq, "sign-in", "", http.StatusUnprocessableEntity, body)
	}
	if err != nil {
		return err
	}
	return c.begin(rq, me)
}

// begin gives the browser a new session and sends it to the queue.
func (c *Console) begin(rq *request, me staff.Identity) error {
	if _, err := c.sessions.Begin(rq.w, rq.Request, me.Name, signedIn{Generation: me.Generation}); err != nil {
		return err
	}
	return c.site.Go(rq.w, rq.Request, "/")
}

func (c *Console) signOut(rq *request) error {
	if _, err := web.ReadForm(rq.w, rq.Request); err != nil {
		return err
	}
	if err := c.sessions.End(rq.w, rq.Request); err != nil {
		return err
	}
	if err := c.Staff.SignedOut(rq.Context(), rq.me); err != nil {
		return err
	}
	return c.site.Go(rq.w, rq.Request, "/sign-in")
}

type joinBody struct {
	Token   string
	Link    staff.Link
	Expires time.Time
	QR      template.HTML // made by auth/totp
	Error   string
}

// showJoin shows the step that an invitation is at; looking changes nothing.
func (c *Console) showJoin(rq *request) error { return c.joinPage(rq, rq.PathValue("token"), "", 0) }

func (c *Console) joinPage(rq *request, token, problem string, status int) error {
	l, err := c.Staff.Peek(rq.Context(), token)
	if errors.Is(err, staff.ErrLink) || err == nil && l.Stage == staff.DemoIn {
		return c.show(rq, "link-over", "", http.StatusNotFound, nil)
	}
	if err != nil {
		return err
	}
	b := joinBody{Token: token, Link: l, Expires: l.Expires.In(rq.view.zone), QR: template.HTML(l.App.QR), Error: problem}
	return c.show(rq, "join", "", status, b)
}

// passwordProblems are the texts for what is wrong with a chosen password.
var passwordProblems = map[error]string{staff.ErrShort: "join.short", staff.ErrLong: "join.long", staff.ErrGuessable: "join.guessable"}

func (c *Console) joinPassword(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "password", "name")
	if err != nil {
		return err
	}
	token := rq.PathValue("token")
	next, err := c.Staff.Start(rq.Context(), token, f["password"])
	if problem, ok := passwordProblems[err]; ok {
		return c.joinPage(rq, token, problem, http.StatusUnprocessableEntity)
	}
	if errors.Is(err, staff.ErrLink) {
		return c.show(rq, "link-over", "", http.StatusNotFound, nil)
	}
	if err != nil {
		return err
	}
	return c.site.Go(rq.w, rq.Request, "/join/"+next)
}

func (c *Console) joinCode(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "code")
	if err != nil {
		return err
	}
	token := rq.PathValue("token")
	me, err := c.Staff.Finish(rq.Context(), token, f["code"])
	switch {
	case errors.Is(err, staff.ErrRefused):
		return c.joinPage(rq, token, "join.code.wrong", http.StatusUnprocessableEntity)
	case errors.Is(err, staff.ErrLink):
		return c.show(rq, "link-over", "", http.StatusNotFound, nil)
	case err != nil:
		return err
	}
	if err := c.sessions.EndAll(rq.Context(), me.Name); err != nil {
		return err
	}
	return c.begin(rq, me)
}

// showEnter shows a demo's sign-in link with one button: a GET changes nothing, whoever opens it.
func (c *Console) showEnter(rq *request) error {
	token := rq.PathValue("token")
	l, err := c.Staff.Peek(rq.Context(), token)
	if errors.Is(err, staff.ErrLink) || err == nil && l.Stage != staff.DemoIn {
		return c.show(rq, "link-over", "", http.StatusNotFound, nil)
	}
	if err != nil {
		return err
	}
	return c.show(rq, "enter", "", 0, joinBody{Token: token, Link: l})
}

func (c *Console) enter(rq *request) error {
	if _, err := web.ReadForm(rq.w, rq.Request); err != nil {
		return err
	}
	me, err := c.Staff.Enter(rq.Context(), rq.PathValue("token"))
	if errors.Is(err, staff.ErrLink) {
		return c.show(rq, "link-over", "", http.StatusNotFound, nil)
	}
	if err != nil {
		return err
	}
	return c.begin(rq, me)
}
