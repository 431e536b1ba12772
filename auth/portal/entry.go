package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/auth/recovery"
	"doorward/auth/web"
)

// The pages that need no session.

func (p *Portal) landing(w http.ResponseWriter, r *http.Request) error {
	return p.site.Show(w, r, web.Page{Template: "landing"})
}

// ask answers all accounts alike, known or not, and what cannot be an account too; the mail is Run's work.
func (p *Portal) ask(w http.ResponseWriter, r *http.Request) error {
	if !p.asks.Allow(web.ClientKey(r)) {
		return &web.Fault{Status: http.StatusTooManyRequests, Err: errors.New("many links asked for from one address")}
	}
	f, err := web.ReadForm(w, r, "account")
	if err != nil {
		return err
	}
	if id, err := auth.ParseAccountID(f["account"]); err == nil {
		p.later(func(ctx context.Context) error {
			if err := p.c.Ask(ctx, id); err != nil {
				return fmt.Errorf("mail a link: %w", err)
			}
			return nil
		})
	}
	return p.site.Go(w, r, "/sent")
}

func (p *Portal) sent(w http.ResponseWriter, r *http.Request) error {
	return p.site.Show(w, r, web.Page{Template: "sent"})
}

func (p *Portal) ended(w http.ResponseWriter, r *http.Request) error {
	return p.site.Show(w, r, web.Page{Template: "ended"})
}

func (p *Portal) givenUp(w http.ResponseWriter, r *http.Request) error {
	return p.site.Show(w, r, web.Page{Template: "given_up"})
}

// linkPath is the path of a link's own page. Its token is anybody's text: a line break or a backslash in it makes no other path of it.
func linkPath(under string, r *http.Request) string {
	return under + url.PathEscape(r.PathValue("token"))
}

// link shows a button and nothing of the account: a scanner that opens every link of a mail neither learns nor changes a thing.
func (p *Portal) link(w http.ResponseWriter, r *http.Request) error {
	return p.site.Show(w, r, web.Page{Template: "link", Body: linkPath("/r/", r)})
}

// open swaps a link for a session of this browser.
func (p *Portal) open(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ReadForm(w, r); err != nil {
		return err
	}
	id, err := p.c.Flow.Open(r.Context(), r.PathValue("token"))
	switch {
	case errors.Is(err, recovery.ErrLink), errors.Is(err, recovery.ErrLinkExpired):
		return p.site.Go(w, r, linkPath("/r/", r)+"/old")
	case err != nil:
		return fmt.Errorf("open a link: %w", err)
	}
	if _, err := p.sessions.Begin(w, r, id, memory{}); err != nil {
		return err
	}
	return p.site.Go(w, r, "/why")
}

// old is the page for every link that does not work, whatever the reason.
func (p *Portal) old(w http.ResponseWriter, r *http.Request) error {
	return p.site.Show(w, r, web.Page{Template: "old", Body: linkPath("/r/", r)})
}

// again mails a new link for one that was ours once; for any other it does nothing, and says the same.
func (p *Portal) again(w http.ResponseWriter, r *http.Request) error {
	if !p.asks.Allow(web.ClientKey(r)) {
		return &web.Fault{Status: http.StatusTooManyRequests, Err: errors.New("many links asked for from one address")}
	}
	if _, err := web.ReadForm(w, r); err != nil {
		return err
	}
	token := r.PathValue("token")
	p.later(func(ctx context.Context) error {
		id, err := p.c.Flow.Open(ctx, token)
		switch {
		case errors.Is(err, recovery.ErrLink):
			return nil
		case err != nil && !errors.Is(err, recovery.ErrLinkExpired):
			return fmt.Errorf("open a link: %w", err)
		}
		if err := p.c.Again(ctx, id); err != nil {
			return fmt.Errorf("mail a new link: %w", err)
		}
		return nil
	})
	return p.site.Go(w, r, "/sent")
}

func (p *Portal) leave(w http.ResponseWriter, r *http.Request) error {
	if _, err := web.ReadForm(w, r); err != nil {
		return err
	}
	if err := p.sessions.End(w, r); err != nil {
		return err
	}
	return p.site.Go(w, r, "/")
}

// asked gives what a notice's link asks about; nil for a link that is unknown or has run out.
func (p *Portal) asked(r *http.Request) (finding string, e *Event, err error) {
	finding = notice.OpenLink(p.c.Keys, r.PathValue("token"), p.c.Now())
	if finding == "" {
		return "", nil, nil
	}
	got, err := p.c.Asked(r.Context(), finding)
	if errors.Is(err, ErrUnknown) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("what a notice asks about: %w", err)
	}
	got.At = got.At.In(p.c.Zone)
	return finding, &got, nil
}

type questionBody struct {
	Action string
	Event  Event
}

// question asks "was this you?". It needs no sign-in: the answer yes loosens nothing, the answer no locks.
func (p *Portal) question(w http.ResponseWriter, r *http.Request) error {
	_, e, err := p.asked(r)
	if err != nil {
		return err
	}
	if e == nil {
		return p.site.Show(w, r, web.Page{Template: "gone", Status: http.StatusNotFound})
	}
	return p.site.Show(w, r, web.Page{Template: "question", Body: questionBody{linkPath("/n/", r), *e}})
}

func (p *Portal) answer(w http.ResponseWriter, r *http.Request) error {
	f, err := web.ReadForm(w, r, "answer")
	if err != nil {
		return err
	}
	finding, e, err := p.asked(r)
	if err != nil {
		return err
	}
	if e == nil {
		return p.site.Go(w, r, linkPath("/n/", r))
	}
	if f["answer"] != "yes" && f["answer"] != "no" {
		return &web.Fault{Status: http.StatusBadRequest, Err: errors.New("an answer that is neither yes nor no")}
	}
	if err := p.c.Answer(r.Context(), finding, f["answer"] == "no"); err != nil {
		return fmt.Errorf("take an owner's answer: %w", err)
	}
	return p.site.Go(w, r, linkPath("/n/", r)+"/"+f["answer"])
}

// answered thanks. It says what an answer does, not that one was given: opening it changes nothing.
func (p *Portal) answered(w http.ResponseWriter, r *http.Request) error {
	a := r.PathValue("answer")
	if a != "yes" && a != "no" {
		return web.NotFound("no such answer")
	}
	return p.site.Show(w, r, web.Page{Template: "answered_" + a})
}
