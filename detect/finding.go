package detect

import (
	"time"

	"doorward/auth"
	"doorward/rules"
)

// Finding is a finding as it is stored (store.KindFinding), published (doorward.findings.v1) and printed by replay. Names are added,
// never changed; published ids are made by FindingID.
type Finding struct {
	ID          string           `json:"id"`
	At          time.Time        `json:"at"` // the event's time
	Event       EventRef         `json:"event"`
	EventType   string           `json:"event_type"`
	Account     auth.AccountID   `json:"account"`
	Rule        string           `json:"rule"`
	RuleVersion string           `json:"rule_version"`
	Score       int              `json:"score"`
	Response    string           `json:"response"`
	Capped      string           `json:"capped,omitempty"` // why the response is less than the rule's: floor, new_window, late
	Evidence    []rules.Evidence `json:"evidence"`
	Attack      []string         `json:"attack,omitempty"`
	Case        string           `json:"case,omitempty"`
	Shard       int              `json:"shard"`
	Sequence    uint64           `json:"sequence"`
}

// EventRef is an event's identity.
type EventRef struct {
	Source string `json:"source"`
	ID     string `json:"id"`
}
