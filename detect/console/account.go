package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"doorward/auth"
	"doorward/auth/staff"
	"doorward/auth/web"
	"doorward/detect/cases"
	"doorward/store"
)

const accountCases = 50

type accountBody struct {
	Asked   string // what was looked up
	ID      string // canonical; "" when nothing was found
	Known   bool
	State   stateBody
	Cases   []caseLine
	Story   *storyBody
	Entries []entryBody
	Problem string
	Emails  []string // masked unless Shown
	Phone   string
	Lang    string
	Shown   bool
	Acts    []actBody
	Reveal  bool // this role may
}

type caseLine struct {
	ID      string
	Status  cases.Status
	Outcome cases.Outcome
	Score   int
	Opened  time.Time
	Count   int
}

// actBody is an act that this role may do on the account as it is.
type actBody struct{ Path, Text, Icon string }

func decodeAccount(id auth.AccountID, v []byte) (auth.Account, error) {
	if v == nil {
		return auth.Account{ID: id, State: auth.Open}, nil
	}
	var a auth.Account
	if err := json.Unmarshal(v, &a); err != nil {
		return a, fmt.Errorf("read account: %w", err)
	}
	return a, nil
}

func (c *Console) showAccount(rq *request) error {
	s := strings.TrimSpace(rq.URL.Query().Get("id"))
	if s == "" {
		return c.show(rq, "account", "accounts", 0, &accountBody{})
	}
	id, err := auth.ParseAccountID(s)
	if err != nil {
		return c.show(rq, "account", "accounts", http.StatusUnprocessableEntity, &accountBody{Asked: visible(s), Problem: "account.problem.id"})
	}
	return c.accountPage(rq, id, "", 0, false)
}

// accountPage shows an account, with its owner's data in full only when shown is set: that was journaled before.
func (c *Console) accountPage(rq *request, id auth.AccountID, problem string, status int, shown bool) error {
	ctx := rq.Context()
	v, err := c.Engine.Get(ctx, store.Key(store.KindAccount, string(id)))
	if err != nil {
		return fmt.Errorf("read account: %w", err)
	}
	a, err := decodeAccount(id, v[0])
	if err != nil {
		return err
	}
	b := &accountBody{Asked: string(id), ID: string(id), State: c.stateBody(rq, &a), Problem: problem, Shown: shown,
		Reveal: staff.Can(rq.me.Role, staff.Reveal), Acts: acts(rq.me.Role, a.State)}
	if err := c.profile(rq, b, id); err != nil {
		return err
	}
	all, err := cases.OfAccount(ctx, c.Engine, id, accountCases)
	if err != nil {
		return err
	}
	var refs []findingBody
	for _, k := range all {
		b.Cases = append(b.Cases, caseLine{k.ID, k.Status, k.Outcome, k.Score, k.Opened.In(rq.view.zone), k.Count})
	}
	if len(all) > 0 {
		if refs, err = c.findings(rq, all[0]); err != nil {
			return err
		}
	}
	events, err := c.History(ctx, id, c.Now().Add(-storyBefore), c.Now().Add(time.Minute), storyEvents)
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	j, err := c.readJournal(rq, journalFilter{account: string(id)}, caseEntries)
	if err != nil {
		return err
	}
	b.Entries = j.Entries
	b.Story = c.story(rq, events, c.Now().Add(-storyBefore), refs, j.Entries, &a)
	b.Known = v[0] != nil || len(all) > 0 || len(events) > 0 || len(b.Entries) > 0 || len(b.Emails) > 0
	if !b.Known {
		b.ID, b.Problem = "", "account.problem.none"
		return c.show(rq, "account", "accounts", http.StatusNotFound, b)
	}
	return c.show(rq, "account", "accounts", status, b)
}

func (c *Console) profile(rq *request, b *accountBody, id auth.AccountID) error {
	p, _, err := auth.LoadProfile(rq.Context(), c.Engine, c.Keys, id)
	if err != nil {
		return err
	}
	see := mask
	if b.Shown {
		see = func(s string) string { return s }
	}
	for _, e := range p.Emails {
		b.Emails = append(b.Emails, visible(see(e.Address)))
	}
	if p.Phone != nil {
		b.Phone = visible(see(p.Phone.Address))
	}
	b.Lang = visible(p.Language)
	return nil
}

// mask leaves the first character of each part of an address, and of a phone number the last two digits.
func mask(s string) string {
	name, domain, mail := strings.Cut(s, "@")
	if !mail {
		if n := len(s); n > 4 && strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0 {
			return "•••• " + s[n-2:]
		}
		return "••••"
	}
	host, tld := domain, ""
	if i := strings.LastIndexByte(domain, '.'); i > 0 {
		host, tld = domain[:i], domain[i:]
	}
	return initial(name) + "•••@" + initial(host) + "•••" + tld
}

func initial(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

// acts are what a role may do with an account in a state.
func acts(r staff.Role, s auth.State) (out []actBody) {
	if staff.Can(r, staff.Restrict) && s != auth.Locked {
		out = append(out, actBody{"lock", "act.lock", "lock"})
	}
	if staff.Can(r, staff.Restrict) && (s == auth.Open || s == auth.Challenged || s == auth.Probation || s == "") {
		out = append(out, actBody{"limit", "act.limit", "limited"})
	}
	if staff.Can(r, staff.Release) && s != auth.Open && s != "" {
		out = append(out, actBody{"unlock", "act.unlock", "open"})
	}
	return out
}

func (c *Console) lock(rq *request) error   { return c.move(rq, auth.ActLock) }
func (c *Console) limit(rq *request) error  { return c.move(rq, auth.ActLimit) }
func (c *Console) unlock(rq *request) error { return c.move(rq, auth.ActUnlock) }

// move does one act on an account, with the version of its state that the page showed.
func (c *Console) move(rq *request, kind auth.ActKind) error {
	f, err := web.ReadForm(rq.w, rq.Request, "account", "reason", "saw")
	if err != nil {
		return err
	}
	id, err := auth.ParseAccountID(f["account"])
	if err != nil {
		return refused("no account id")
	}
	saw, err := strconv.ParseUint(f["saw"], 10, 64)
	if err != nil {
		return refused("no version")
	}
	reason := strings.TrimSpace(f["reason"])
	if reason == "" || len(reason) > cases.MaxText {
		return c.accountPage(rq, id, "account.problem.reason", http.StatusUnprocessableEntity, false)
	}
	a, _, err := auth.LoadAccount(rq.Context(), c.Engine, id)
	if err != nil {
		return err
	}
	if a.Version != saw {
		return c.accountPage(rq, id, "case.problem.moved", http.StatusConflict, false)
	}
	err = c.act(rq.Context(), auth.Act{Kind: kind, Account: id, By: rq.me.By(), Reason: reason, Saw: saw, Case: a.Case})
	if problem := actProblem(err); problem != "" {
		return c.accountPage(rq, id, problem, http.StatusConflict, false)
	} else if err != nil {
		return err
	}
	return c.site.Go(rq.w, rq.Request, accountPath(id))
}

// reveal shows an owner's data in full, once, in the answer to the form: the entry is written first.
func (c *Console) reveal(rq *request) error {
	f, err := web.ReadForm(rq.w, rq.Request, "account", "reason")
	if err != nil {
		return err
	}
	id, err := auth.ParseAccountID(f["account"])
	if err != nil {
		return refused("no account id")
	}
	reason := strings.TrimSpace(f["reason"])
	if reason == "" || len(reason) > cases.MaxText {
		return c.accountPage(rq, id, "account.problem.reason", http.StatusUnprocessableEntity, false)
	}
	if err := c.Staff.Looked(rq.Context(), rq.me, string(id), "profile", reason); err != nil {
		return err
	}
	return c.accountPage(rq, id, "", 0, true)
}

// accountPath is where an account's page is: ids may hold anything, so they never are part of a path.
func accountPath(id auth.AccountID) string { return "/account?id=" + url.QueryEscape(string(id)) }
