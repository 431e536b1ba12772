package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/notice"
	"doorward/auth/portal"
	"doorward/auth/recovery"
	"doorward/detect"
	"doorward/detect/console"
	"doorward/rules"
	"doorward/store"
	"doorward/store/history"
)

// portal is the owners' site.
func (s *house) portal() (http.Handler, error) {
	p, err := portal.New(portal.Config{
		Name: "Doorward", PublicURL: s.cfg.portalURL(), Language: s.cfg.Languages[0], Zone: ownerZone, Contacts: s.contacts(), Now: s.now, Log: s.log,
		Engine: s.db, Keys: s.keys, Flow: s.flow, Ask: s.mailLink, Again: s.mailNewLink, Story: s.story, Asked: s.asked, Answer: s.answer,
		Enrol: s.factors.Enrol, Confirm: s.factors.Confirm, OfferCodes: s.codes.Offer,
	})
	if err != nil {
		return nil, err
	}
	s.parts = append(s.parts, part{"portal's mail", func(ctx context.Context) error { p.Run(ctx); return nil }})
	return s.whenSure(p.Handler()), nil
}

func (s *house) contacts() []portal.Contact {
	var all []portal.Contact
	for _, c := range s.cfg.Contacts {
		kind, link := "mail", c.Address
		switch {
		case strings.HasPrefix(c.Address, "https:"):
			kind = "chat"
		case strings.HasPrefix(c.Address, "tel:"):
			kind = "phone"
		case !strings.HasPrefix(c.Address, "mailto:"):
			link = "mailto:" + c.Address
		}
		contact := portal.Contact{Kind: kind, Link: link, Text: map[string]string{"en": c.Label}}
		if c.Hours != "" {
			contact.Hours = map[string]string{"en": c.Hours}
		}
		all = append(all, contact)
	}
	return all
}

// mailLink mails the owner of an account the link of the way back that is open; without one nothing happens.
func (s *house) mailLink(ctx context.Context, id auth.AccountID) error {
	a, _, err := auth.LoadAccount(ctx, s.db, id)
	if err != nil || a.Recovery == "" || len(a.Refuse()) == 0 || a.State == auth.Probation {
		return err
	}
	return s.mailNewLink(ctx, a.Recovery)
}

// mailNewLink mails the owner of a recovery a new link; the ones before it work no more. More than three an hour are not sent.
func (s *house) mailNewLink(ctx context.Context, id string) error {
	token, err := s.flow.Reissue(ctx, id)
	if errors.Is(err, recovery.ErrOften) || errors.Is(err, recovery.ErrLink) {
		return nil
	}
	if err != nil {
		return err
	}
	r, _, err := recovery.Load(ctx, s.db, id)
	if err != nil {
		return err
	}
	a, _, err := auth.LoadAccount(ctx, s.db, r.Account)
	if err != nil {
		return err
	}
	kind := notice.Locked
	if a.State == auth.Limited || a.State == auth.Recovering && a.Before == auth.Limited {
		kind = notice.Limited
	}
	return s.mail.mail(ctx, notice.Due{ID: detect.CauseID("link", token), Account: a.ID, Kind: kind, State: a.State, Reason: a.Reason,
		Recovery: id, At: s.now().UTC(), Until: a.Until})
}

// loadFinding reads a finding; false when it is not kept.
func (s *house) loadFinding(ctx context.Context, id string) (f detect.Finding, ok bool, err error) {
	v, err := s.db.Get(ctx, store.Key(store.KindFinding, id))
	if err != nil || v[0] == nil {
		return f, false, err
	}
	if err := json.Unmarshal(v[0], &f); err != nil {
		return f, false, fmt.Errorf("read a finding: %w", err)
	}
	return f, true, nil
}

// asked is what a "was this you?" notice is about: the event as its owner may know it.
func (s *house) asked(ctx context.Context, id string) (portal.Event, error) {
	f, ok, err := s.loadFinding(ctx, id)
	if err != nil {
		return portal.Event{}, err
	}
	if !ok {
		return portal.Event{}, portal.ErrUnknown
	}
	line, ok, err := s.history.Find(ctx, f.Event.Source, f.Event.ID)
	if err != nil || !ok { // history is shorter than findings: what the finding knows must do
		return portal.Event{Type: f.EventType, At: f.At}, err
	}
	return s.ownersEvent(line), nil
}

// ownersEvent is an event as its owner may know it.
func (s *house) ownersEvent(l history.Line) portal.Event {
	e, bad := rememberedEvent(l)
	if bad != nil {
		return portal.Event{Type: l.Type, At: l.At}
	}
	place := detect.PlaceOf(e, nil)
	if s.place != nil {
		place = s.place(e)
	}
	return portal.Event{Type: string(e.Type), At: e.Time, City: place.City, Country: place.Country, UserAgent: e.UserAgent, Amount: e.Amount, Currency: e.Currency}
}

// answer puts an owner's yes or no to the account's shard. The id is made of the finding, so that the same answer counts once; a yes after
// a no loosens nothing.
func (s *house) answer(ctx context.Context, finding string, denied bool) error {
	f, ok, err := s.loadFinding(ctx, finding)
	if err != nil {
		return err
	}
	if !ok {
		return portal.ErrUnknown
	}
	a, _, err := auth.LoadAccount(ctx, s.db, f.Account)
	if err != nil {
		return err
	}
	if !f.At.After(a.Floor) { // settled by a recovery or by staff: an old mail must not undo it
		return portal.ErrUnknown
	}
	act := auth.Act{ID: detect.CauseID("approved", finding), Kind: auth.ActApproved, Account: f.Account, At: s.now().UTC(), By: "owner", RefersTo: f.Event.ID}
	if denied {
		act.ID, act.Kind = detect.CauseID("denied", finding), auth.ActDenied
	}
	return s.desk.Submit(ctx, act, nil)
}

// story is what happened on an account since its trouble began, for its owner.
func (s *house) story(ctx context.Context, v recovery.View) (portal.Story, error) {
	var st portal.Story
	a, _, err := auth.LoadAccount(ctx, s.db, v.Account.Account)
	if err != nil || a.FirstBad == "" {
		return st, err
	}
	source, id, _ := strings.Cut(a.FirstBad, " ")
	if line, ok, err := s.history.Find(ctx, source, id); err != nil {
		return st, err
	} else if ok {
		st.First = s.ownersEvent(line)
	}
	lines, err := s.history.Account(ctx, string(a.ID), a.Touched.Since, s.now().Add(time.Minute), 50, false)
	if err != nil {
		return st, err
	}
	for _, l := range lines {
		st.Events = append(st.Events, s.ownersEvent(l))
	}
	return st, nil
}

// console is the staff site.
func (s *house) console() (http.Handler, error) {
	c, err := console.New(console.Config{
		Engine: s.db, Keys: s.keys, Staff: s.staff, Desk: s.desk, Unpause: s.factors.UnpauseBatch, Now: s.now, Log: s.log, PublicURL: s.cfg.consoleURL(),
		Rules:   func() []*rules.Rule { return s.rules.Rules() },
		Warning: s.staffWarning,
		History: func(ctx context.Context, id auth.AccountID, from, to time.Time, limit int) ([]history.Line, error) {
			return s.history.Account(ctx, string(id), from, to, limit, true)
		},
	})
	if err != nil {
		return nil, err
	}
	s.parts = append(s.parts, part{"console's sessions", func(ctx context.Context) error {
		return s.every(ctx, time.Hour, "forget sessions that have run out", c.Sweep)
	}})
	s.onStop = append(s.onStop, c.EndStreams)
	return c.Handler(), nil
}
