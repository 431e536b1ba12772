package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"doorward/rules"
	"doorward/store"
)

type rulesBody struct {
	Rules []ruleBody
	Many  bool // the counts are lower bounds
}

type ruleBody struct {
	ID, Title, Level, Status, When, Per, On, Version, File string
	Line                                                   int
	Score                                                  int
	Response                                               string
	Reason                                                 string // what its owner is told, in the reader's language
	Attack                                                 []string
	Falses                                                 []string
	Findings                                               int
}

func (c *Console) showRules(rq *request) error {
	counts, many, err := c.tally.read(rq, c.Engine, c.Now())
	if err != nil {
		return err
	}
	b := rulesBody{Many: many}
	lang := c.site.Lang(rq.Request)
	for _, r := range c.Rules() {
		b.Rules = append(b.Rules, ruleOf(r, lang, counts))
	}
	return c.show(rq, "rules", "rules", 0, b)
}

func ruleOf(r *rules.Rule, lang string, counts map[string]int) ruleBody {
	on := make([]string, len(r.On))
	for i, t := range r.On {
		on[i] = string(t)
	}
	b := ruleBody{ID: visible(r.ID), Title: visible(r.Title), Level: visible(r.Level), Status: visible(r.Status), When: lines(r.When), Per: string(r.Per),
		On: visible(strings.Join(on, ", ")), Version: r.Version, File: visible(r.File), Line: r.Line, Score: r.Score, Response: r.Response.String(),
		Reason: visible(r.Reason.User[lang])}
	for _, id := range append([]string{r.ID}, r.Was...) {
		b.Findings += counts[id]
	}
	for _, a := range r.Attack {
		b.Attack = append(b.Attack, visible(a))
	}
	for _, f := range r.FalsePositives {
		b.Falses = append(b.Falses, visible(f))
	}
	return b
}

// lines is visible for a text that has line breaks on purpose.
func lines(s string) string {
	parts := strings.Split(strings.TrimSpace(s), "\n")
	for i, p := range parts {
		parts[i] = visible(strings.ReplaceAll(p, "\t", "  "))
	}
	return strings.Join(parts, "\n")
}

// tally counts findings by rule. Counting reads them, so a count is kept for a minute and looks at no more than tallyMost.
type tally struct {
	mu     sync.Mutex
	at     time.Time
	counts map[string]int
	many   bool
}

const (
	tallyKept = time.Minute
	tallyMost = 50_000
)

func (t *tally) read(rq *request, s store.Engine, now time.Time) (map[string]int, bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts != nil && now.Sub(t.at) < tallyKept && !now.Before(t.at) {
		return t.counts, t.many, nil
	}
	counts, read := map[string]int{}, 0
	var bad error
	from := store.Key(store.KindFinding)
	err := s.Scan(rq.Context(), from, store.After(from), false, func(_, value []byte) bool {
		var f struct {
			Rule string `json:"rule"`
		}
		if bad = json.Unmarshal(value, &f); bad != nil {
			return false
		}
		counts[f.Rule]++
		read++
		return read < tallyMost
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, false, fmt.Errorf("count findings: %w", err)
	}
	t.at, t.counts, t.many = now, counts, read >= tallyMost
	return counts, t.many, nil
}
