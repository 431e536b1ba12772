package event

import (
	"time"

	"doorward/auth"
)

// Event is one decoded event. Strings may share memory with the record it came from: who keeps one beyond the batch clones it.
type Event struct {
	ID, Source string // together the identity, for ever
	Type       Type
	Account    auth.AccountID // the subject
	Time       time.Time      // event time, UTC, millisecond precision
	Arrival    time.Time      // when it arrived (record timestamp; in a file recordedtime, else time), UTC, millisecond precision
	Flagged    bool           // the stated time was outside [-24 h, +5 min] of the arrival, so Time is the arrival
	Stated     time.Time      // the time the event itself states
	Trace      string         // traceparent
	Data
	Extra map[string]any // data fields the contract does not know; strings, float64, bool, nil, []any, map[string]any
}

// Type is an event's type, "login.failed" and so on. Unknown types are fine (Known says which are known).
type Type string

// Data are the fields of EVENTS.md, in one struct for all types: a field that a type does not have is empty.
type Data struct {
	// common
	IP         string
	Device     string
	UserAgent  string
	Session    string
	Language   string
	Timezone   string
	AppVersion string
	Geo        *Geo
	Labels     map[string]string

	Method string // login.*
	Reason string // login.failed, transaction.failed
	Factor string // login.mfa.*, account.factor.*

	EmailDomain, PhoneCountry, Referrer string // account.opened
	Via                                 string // account.password.*
	Previous, Field                     string // account.*.changed

	// payees and transactions
	Counterparty, CounterpartyKind string
	Transaction                    string
	Kind                           string // payment, transfer, withdrawal, deposit, refund
	Direction                      string // in, out
	Amount                         int64  // minor units, >= 0
	HasAmount                      bool
	Currency                       string // ISO 4217
	Instrument                     string
	Channel                        string
	Category                       string
	Country                        string
	BalanceBefore, BalanceAfter    int64 // minor units
	HasBefore, HasAfter            bool

	RefersTo string // report.*
	Note     string // report.*
}

// Geo is a place as the platform knows it.
type Geo struct {
	Lat, Lon float64 // degrees; both or none
	HasPoint bool
	City     string
	Country  string // ISO 3166-1 alpha-2
}

// Identity is the event's identity as one string: what ids of findings and acts are made from.
func (e *Event) Identity() string { return e.Source + " " + e.ID }

// Error says why a record could not be taken.
type Error struct {
	Code    Code
	Field   string // "data.amount", "time", ...; empty for the whole record
	Problem string // one sentence for the platform's engineer, with what would be right
}

// Code is the stable name of a reason, as in the dead-letter record.
type Code string

const (
	BadJSON     Code = "bad_json"        // not JSON, not UTF-8, a key twice, too deep
	TooLarge    Code = "too_large"       // over 64 KiB, or an id over 256 bytes
	BadEnvelope Code = "bad_envelope"    // an attribute is missing or wrong
	BadData     Code = "bad_data"        // a data field has the wrong type or an impossible value
	WrongKey    Code = "wrong_key"       // the record's key is not the subject
	BadMode     Code = "bad_mode"        // content type that is neither structured, binary nor plain JSON
	WrongHome   Code = "wrong_partition" // the account lives on another partition
	Internal    Code = "internal"        // the program failed at it: its own fault, not the record's
)

func (e *Error) Error() string {
	if e.Field == "" {
		return string(e.Code) + ": " + e.Problem
	}
	return string(e.Code) + ": " + e.Field + ": " + e.Problem
}
