package console

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"doorward/auth"
	"doorward/detect/cases"
	"doorward/store"
)

const (
	queuePage  = 50
	queueCount = 1000 // open cases are counted up to here
)

type queueBody struct {
	Rows  []rowBody
	Open  int
	Many  bool // Open is a lower bound
	Next  string
	First bool // the first page
	Peek  *caseBody
	Done  *doneBody
	// Proof that an empty queue is not a blind one.
	Rules   int
	Last    *doneBody
	LastAt  time.Time
	Seen    string // ids on the page, for the script that counts new ones
	Entries int
}

type rowBody struct {
	ID, Account, Top string
	More             int // findings beyond the strongest
	Score            int
	Tone             string // of the bar: s3, s2, s4
	Opened           time.Time
	Age              time.Duration
	State            stateBody
	On               bool
}

func (c *Console) queue(rq *request) error {
	q := rq.URL.Query()
	after, err := position(q.Get("after"))
	if err != nil {
		return gone("position")
	}
	cs, next, err := cases.Queue(rq.Context(), c.Engine, after, queuePage)
	if err != nil {
		return err
	}
	b := &queueBody{First: after == nil, Rules: len(c.Rules())}
	if next != nil {
		b.Next = base64.RawURLEncoding.EncodeToString(next)
	}
	if b.Open, err = cases.CountOpen(rq.Context(), c.Engine, queueCount); err != nil {
		return err
	}
	b.Many = b.Open >= queueCount
	if b.Done, err = c.done(rq); err != nil {
		return err
	}
	if err := c.rows(rq, b, cs, q.Get("at")); err != nil {
		return err
	}
	return c.show(rq, "queue", "queue", 0, b)
}

// rows fills the table and the preview of the row where the keys are: the one asked for, else the first.
func (c *Console) rows(rq *request, b *queueBody, cs []cases.Case, at string) error {
	accounts, err := c.accounts(rq, cs)
	if err != nil {
		return err
	}
	on := 0
	for i := range cs {
		if cs[i].ID == at {
			on = i
		}
	}
	titles, now := c.titles(), c.Now()
	var ids []string
	for i, k := range cs {
		a := accounts[i]
		top := k.Findings[0]
		for _, f := range k.Findings {
			if f.Score > top.Score {
				top = f
			}
		}
		r := rowBody{ID: k.ID, Account: string(k.Account), Top: titleOf(titles, top.Rule), More: k.Count - 1, Score: k.Score, Tone: tone(k.Score),
			Opened: k.Opened.In(rq.view.zone), Age: max(0, now.Sub(k.Opened)), State: c.stateBody(rq, &a), On: i == on}
		b.Rows = append(b.Rows, r)
		ids = append(ids, k.ID)
		if r.On {
			b.Peek = c.briefCase(rq, k, &a)
			if b.Peek.Findings, err = c.findings(rq, k); err != nil {
				return err
			}
			if len(b.Peek.Findings) > 0 {
				b.Peek.Top = b.Peek.Findings[0].Title
			}
		}
	}
	b.Seen = strings.Join(ids, " ")
	return nil
}

// accounts reads the accounts of cases, in their order, in one read.
func (c *Console) accounts(rq *request, cs []cases.Case) ([]auth.Account, error) {
	if len(cs) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(cs))
	for i, k := range cs {
		keys[i] = store.Key(store.KindAccount, string(k.Account))
	}
	vs, err := c.Engine.Get(rq.Context(), keys...)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	all := make([]auth.Account, len(cs))
	for i, v := range vs {
		if all[i], err = decodeAccount(cs[i].Account, v); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// tone is the colour of a score's bar: red is for what can hardly be the owner.
func tone(score int) string {
	switch {
	case score >= 80:
		return "s3"
	case score >= 60:
		return "s2"
	}
	return "s4"
}

func position(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	return base64.RawURLEncoding.DecodeString(s)
}

// find leads to the case or the account that a search names.
func (c *Console) find(rq *request) error {
	s := strings.TrimSpace(rq.URL.Query().Get("q"))
	if strings.HasPrefix(s, "c-") {
		if _, found, err := cases.Load(rq.Context(), c.Engine, s); err != nil {
			return err
		} else if found {
			return c.site.Go(rq.w, rq.Request, "/cases/"+url.PathEscape(s))
		}
	}
	return c.site.Go(rq.w, rq.Request, "/account?id="+url.QueryEscape(s))
}
