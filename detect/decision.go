package detect

import (
	"strconv"
	"strings"
	"time"

	"doorward/auth"
	"doorward/rules/event"
)

// Decision is what a shard made of one event: the answer of POST /v1/decide (COMMANDS.md, "HTTP bodies").
type Decision struct {
	Event      EventRef          `json:"event"`
	Account    auth.AccountID    `json:"account"`
	State      auth.State        `json:"state"`
	Refuse     []auth.Refusal    `json:"refuse"`
	Challenge  bool              `json:"challenge"`
	Findings   []string          `json:"findings"` // ids, strongest first
	Reason     string            `json:"reason,omitempty"`
	ReasonUser map[string]string `json:"reason_user,omitempty"`
	Late       bool              `json:"late"` // not decided in time: the configured fail mode
}

// storedDecision is a Decision as it is kept (store.KindDecision), with the time that its retention goes by.
type storedDecision struct {
	At time.Time `json:"at"`
	Decision
}

// decision is the state after the event, with the findings that this event brought. It outlives the event.
func (h *Handled) decision(e *event.Event) Decision {
	r := h.After.Record()
	r.Account = auth.AccountID(strings.Clone(string(r.Account)))
	d := Decision{Event: EventRef{strings.Clone(e.Source), strings.Clone(e.ID)}, Account: r.Account, State: r.State, Refuse: r.Refuse, Challenge: r.Challenge,
		Findings: []string{}, Reason: r.Reason, ReasonUser: r.ReasonUser}
	if h.Held {
		d.Refuse = append(d.Refuse, auth.RefuseMoneyOut)
	}
	for _, f := range h.Findings {
		d.Findings = append(d.Findings, FindingID(f.Rule.ID, e))
	}
	return d
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
