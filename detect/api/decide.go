package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"doorward/auth"
	"doorward/detect"
	"doorward/rules/event"
)

// stateTime is how long an answer without a decision looks for the account's last known state.
const stateTime = 50 * time.Millisecond

// reasonLate is the reason code of an answer without a decision: the flag of "allow and flag".
const reasonLate = "decision_late"

// decide hands one event to its shard and answers with what it decided. An event that is written but not decided in time is answered 200
// with late set and the configured fail mode. One that may not have been written is a 503 with the same under "decision": the platform
// knows what to do with the payment, and that the event is still its own.
func (a *api) decide(w http.ResponseWriter, r *http.Request, _ auth.AccountID) error {
	timeout, err := a.timeout(r)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, "application/cloudevents+json", "application/json")
	if err != nil {
		return err
	}
	e, wrong := event.DecodeLine(body)
	if wrong != nil {
		return eventProblem(wrong)
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	d, err := a.Decide(ctx, e, body)
	switch {
	case err == nil:
		if d.Refuse == nil {
			d.Refuse = []auth.Refusal{}
		}
		if d.Findings == nil {
			d.Findings = []string{}
		}
		return reply(w, http.StatusOK, d)
	case errors.Is(err, ErrLate):
		return reply(w, http.StatusOK, a.undecided(r.Context(), e))
	}
	a.Log.ErrorContext(r.Context(), "api: an event could not be written", "err", err)
	return notWritten.with("decision", a.undecided(r.Context(), e))
}

// timeout is the call's timeout_ms, 1 to 10,000, else the configured one.
func (a *api) timeout(r *http.Request) (time.Duration, error) {
	if r.URL.RawQuery == "" {
		return a.Timeout, nil
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(q) != 1 || len(q["timeout_ms"]) != 1 {
		return 0, badQuery.because("This call takes timeout_ms, once.")
	}
	ms, err := strconv.Atoi(q.Get("timeout_ms"))
	if err != nil || ms < 1 || time.Duration(ms)*time.Millisecond > maxWait {
		return 0, badQuery.because("timeout_ms: a whole number from 1 to %d.", maxWait/time.Millisecond)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// eventProblem names what is wrong with an event by the same codes as its dead letter would have.
func eventProblem(e *event.Error) problem {
	p := problem{status: http.StatusUnprocessableEntity, name: string(e.Code), title: "The event is not taken", detail: e.Problem}
	switch e.Code {
	case event.BadJSON:
		p.status = http.StatusBadRequest
	case event.TooLarge:
		p.status = http.StatusRequestEntityTooLarge
	}
	if e.Field != "" {
		p = p.with("field", e.Field)
	}
	return p
}

// undecided is the answer without a decision: what is known of the account, and what the fail mode adds for this kind of event.
func (a *api) undecided(ctx context.Context, e *event.Event) detect.Decision {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stateTime)
	defer cancel()
	rec := a.record(ctx, e.Account)
	d := detect.Decision{Event: detect.EventRef{Source: e.Source, ID: e.ID}, Account: e.Account, State: rec.State, Refuse: rec.Refuse,
		Challenge: rec.Challenge, Findings: []string{}, Reason: rec.Reason, ReasonUser: rec.ReasonUser, Late: true}
	if d.Reason == "" {
		d.Reason = reasonLate
	}
	if a.Fail != "allow" && movesMoneyOut(e) && !slices.Contains(d.Refuse, auth.RefuseMoneyOut) {
		d.Refuse = append(slices.Clone(d.Refuse), auth.RefuseMoneyOut)
	}
	return d
}

// movesMoneyOut reports whether an event is about money that may leave: a transaction that does not say it comes in.
func movesMoneyOut(e *event.Event) bool {
	return strings.HasPrefix(string(e.Type), "transaction.") && e.Direction != "in"
}
