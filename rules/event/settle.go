package event

import (
	"fmt"
	"strings"
	"time"

	"doorward/auth"
)

// settle checks the attributes and fills the event from them; data must be in it already. A zero arrival: it is in the event.
func (env *envelope) settle(e *Event, arrival time.Time) *Error {
	if v := env.get(specversion); v != "1.0" {
		return badAttribute(specversion, `must be "1.0" (CloudEvents), not %q`, cut(v))
	}
	if t := env.get(contentType); env.has(contentType) && !isJSON(t) {
		return badAttribute(contentType, "must be application/json, not %q", cut(t))
	}
	if err := env.identity(e); err != nil {
		return err
	}
	if err := env.times(e, arrival); err != nil {
		return err
	}
	if t := env.get(trace); traceparent(t) {
		e.Trace = t
	}
	return e.checkValues()
}

func (env *envelope) identity(e *Event) *Error {
	for _, i := range [...]int{id, source, eventType} {
		switch v := env.get(i); {
		case v == "":
			return badAttribute(i, "is required: a string of 1 to %d bytes", auth.MaxID)
		case len(v) > auth.MaxID:
			return &Error{Code: TooLarge, Field: attributes[i], Problem: fmt.Sprintf("has %d bytes, at most %d are taken", len(v), auth.MaxID)}
		case plain(v):
		case hasControl(v):
			return badAttribute(i, "must not hold control characters")
		case i != id && strings.IndexByte(v, ' ') >= 0: // so that Identity, "source id", can't be split in two ways
			return badAttribute(i, "must not hold a space")
		}
	}
	e.ID, e.Source, e.Type = env.get(id), env.get(source), Type(env.get(eventType))
	account, err := auth.ParseAccountID(env.get(subject))
	if err != nil {
		return badAttribute(subject, "must be the account id: %v", err)
	}
	e.Account = account
	return nil
}

func (env *envelope) times(e *Event, arrival time.Time) *Error {
	if !env.has(stated) {
		return badAttribute(stated, "is required: RFC 3339, as 2026-03-01T08:00:00Z")
	}
	at, err := env.moment(stated)
	if err != nil {
		return err
	}
	recordedAt, err := env.moment(recorded)
	if err != nil {
		return err
	}
	arrived, from := arrival.UnixMilli(), "the record's timestamp"
	if arrival.IsZero() {
		arrived, from = at, "time, which counts as the arrival here,"
		if env.has(recorded) {
			arrived, from = recordedAt, "recordedtime"
		}
	}
	if arrived < earliest || arrived > latest {
		return badAttribute(stated, "%s must lie in the years %d to %d", from, firstYear, lastYear)
	}
	e.setMoments(at, arrived)
	return nil
}

func (env *envelope) moment(i int) (int64, *Error) {
	if !env.has(i) {
		return 0, nil
	}
	v := env.value[i]
	m, ok := parseMoment(v)
	if !ok {
		return 0, badAttribute(i, "must be RFC 3339, as 2026-03-01T08:00:00Z, not %q", cut(v))
	}
	return m, nil
}

// hasControl finds C0 controls and DEL.
func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// isJSON reports whether a media type is application/json, in UTF-8 if it says so.
func isJSON(mediaType string) bool { return isMedia(mediaType, "application/json") }

func isMedia(mediaType, want string) bool {
	if mediaType == want {
		return true
	}
	name, parameters, _ := strings.Cut(mediaType, ";")
	if !strings.EqualFold(strings.TrimSpace(name), want) {
		return false
	}
	for more := true; more; {
		var p string
		p, parameters, more = strings.Cut(parameters, ";")
		key, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(key), "charset") && !strings.EqualFold(strings.Trim(value, `" `), "utf-8") {
			return false
		}
	}
	return true
}

// traceparent reports whether v is a W3C trace context; another one is ignored, as its specification asks (3.2.2).
func traceparent(v string) bool {
	if len(v) != 55 || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return false
	}
	for i := 0; i < len(v); i++ {
		hex := v[i] >= '0' && v[i] <= '9' || v[i] >= 'a' && v[i] <= 'f'
		if !hex && i != 2 && i != 35 && i != 52 {
			return false
		}
	}
	return true
}
