package detect

import (
	"crypto/sha256"
	"encoding/hex"

	"doorward/rules/event"
)

// CauseID is the id of something that a cause brings about: the same cause, the same id, in every replay and redelivery. 128 bits of
// SHA-256 over the kind and the parts, each ended by a zero byte, which no part contains.
func CauseID(kind string, parts ...string) string {
	h := sha256.New()
	for _, p := range append([]string{"doorward", kind}, parts...) {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// FindingID is the id of the finding of a rule about an event: not of the rule's version, not of the offset (DESIGN, "Events in").
func FindingID(rule string, e *event.Event) string { return CauseID("finding", rule, e.Source, e.ID) }
