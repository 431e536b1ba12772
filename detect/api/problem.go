package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"doorward/auth/web"
	"doorward/rules/event"
)

// problem is an error that is answered as it is: application/problem+json (RFC 9457).
type problem struct {
	status int
	name   string // the last part of the type; stable
	title  string
	detail string
	more   map[string]any // members beside the standard ones
}

// typePrefix is before every problem's name. Types are names, no addresses.
const typePrefix = "urn:doorward:problem:"

// The problems of the API, by their stable names. event.Code gives those of an event that is not taken.
var (
	noToken         = problem{status: 401, name: "no_token", title: "A bearer token is needed", detail: "Send one header Authorization: Bearer TOKEN, with the token that `doorward init` printed."}
	wrongToken      = problem{status: 401, name: "wrong_token", title: "The bearer token is not known"}
	tooManyGuesses  = problem{status: 429, name: "too_many_guesses", title: "Too many wrong tokens from this address"}
	noSuchPath      = problem{status: 404, name: "no_such_path", title: "There is nothing at this path"}
	noSuchMethod    = problem{status: 405, name: "no_such_method", title: "This path does not take this method"}
	badAccount      = problem{status: 400, name: "bad_account", title: "The account id in the path is not one"}
	badQuery        = problem{status: 400, name: "bad_query", title: "A query parameter is not known, stands twice or has an impossible value"}
	badType         = problem{status: 415, name: "bad_content_type", title: "The body's type or encoding is not taken"}
	tooLarge        = problem{status: 413, name: string(event.TooLarge), title: "The body is longer than 64 KiB"}
	badJSON         = problem{status: 400, name: string(event.BadJSON), title: "The body is not the JSON that this call takes"}
	badValue        = problem{status: 422, name: "bad_value", title: "A field has an impossible value"}
	changedMeantime = problem{status: 409, name: "changed_meanwhile", title: "Somebody else changed this account's contacts at the same time; send it again"}
	busy            = problem{status: 503, name: "busy", title: "Too many calls at once"}
	notWritten      = problem{status: 503, name: "not_written", title: "The event could not be handed to Kafka; send it again"}
	refusedCode     = problem{status: 403, name: "code_refused", title: "The second factor is refused"}
	internal        = problem{status: 500, name: "internal", title: "Something failed inside Doorward"}
)

func (p problem) Error() string { return fmt.Sprintf("%d %s: %s", p.status, p.name, p.detail) }

// because is p with a sentence about this one.
func (p problem) because(format string, args ...any) problem {
	p.detail = fmt.Sprintf(format, args...)
	return p
}

// with is p with one more member.
func (p problem) with(name string, value any) problem {
	more := map[string]any{name: value}
	for k, v := range p.more {
		more[k] = v
	}
	p.more = more
	return p
}

// fail answers a problem as it is, and any other error with a number under which the log has it.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	var p problem
	if !errors.As(err, &p) {
		reference := web.Reference()
		a.Log.ErrorContext(r.Context(), "api: a call failed", "reference", reference, "method", r.Method, "err", err)
		p = internal.with("reference", reference)
	}
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	body := map[string]any{"type": typePrefix + p.name, "title": p.title, "status": p.status}
	if p.detail != "" {
		body["detail"] = p.detail
	}
	for k, v := range p.more {
		body[k] = v
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.Log.DebugContext(r.Context(), "api: an answer was not read", "err", err)
	}
}

// reply answers with JSON.
func reply(w http.ResponseWriter, status int, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // who hung up does not want to know
	return nil
}
