package window

import "time"

// Key says whose window it is.
type Key string

const (
	Account    Key = "account"
	IP         Key = "ip"      // one address
	Network    Key = "network" // /24 or /48 of the address
	Device     Key = "device"
	Payee      Key = "payee" // data.counterparty
	Instrument Key = "instrument"
)

// Keys are all keys, in the order that records are kept and written.
var Keys = []Key{Account, IP, Network, Device, Payee, Instrument}

// Func is what is remembered.
type Func string

const (
	Count     Func = "count"       // events of Types within Span
	Sum       Func = "sum"         // amounts of events of Types within Span, minor units; Field is "" for the amount
	Distinct  Func = "distinct"    // different values of Field among events of Types within Span
	FirstSeen Func = "first_seen"  // is this event the first with its value of Field (known set); no Span
	Known     Func = "known"       // how many different values of Field were known before this event; shares the known set of FirstSeen
	KnownFor  Func = "known_for"   // seconds since this event's value of Field was first seen; 0 when it was not known before, -1 without a value; shares the same set
	Age       Func = "age"         // time since the first event of this key, seconds; no Span
	Since     Func = "since"       // time since the newest earlier event of Types, seconds; -1 when there was none; no Span
	Speed     Func = "speed_kmh"   // speed between this event's place and the one before among Types, km/h; 0 when either is unknown
	Distance  Func = "distance_km" // distance of the same two places; shares Speed's slot
	Sequence  Func = "sequence"    // did Types happen in this order within Span, the last being this event; each entry may be "a|b"
	Again     Func = "again"       // a rule's own memory for `again:`; Field is the rule id; not for rule authors
)

// Spec is one remembered aggregate. Two specs with the same Text are the same window and share a slot.
type Spec struct {
	Func  Func
	Key   Key
	Types []string // event types; "login.*" stands for all that start so; empty: every type
	Field string   // "device", "country", "counterparty", "ip", "account", "extra.name", ...
	Span  time.Duration
	Where string   // optional condition on the event of a transaction: "" or "out", "in" (direction)
	Was   []string // Again only: earlier rule ids whose memory this one continues; no part of Text
}
