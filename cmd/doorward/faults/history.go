package faults

import (
	"maps"
	"sync"
)

// History is everything that a run did to the system and everything it read back, in the order in which it was read: of a partition that
// is the order of its offsets. The methods may be called from several goroutines.
type History struct {
	mu      sync.Mutex
	Events  []Event         // the input topic, as the broker has it
	Sent    map[string]bool // by Event.Name: true when the broker acknowledged it, false when the sender never learned
	Records []Record        // the topics that Doorward writes
	Acts    []Act           // what people did
	Looks   []Look          // what GET /v1/accounts/{id} said
	Answers []Answer        // what POST /v1/decide said

	published map[string]Newest // of each account on the states topic
	topics    map[string]int    // records read, by topic
}

// Event is a good record of the input topic. A record that can't be an event is none.
type Event struct {
	Partition        int
	Offset           int64
	Account, Type    string
	Name             string // source and id, with a space between
	Drain            bool   // rule faults.drain locks its account
	Late, Unreliable bool   // it counts in another bucket, or may be taken in either order: the exact count of its account is not checked
}

// Record is one of a topic that Doorward writes.
type Record struct {
	Topic     string
	Partition int
	Offset    int64
	ID        string // attribute ce_id
	Key       string
	Value     string
	From      string // of a dead letter: topic/partition/offset of the record it is about
}

// Act is something a person did, or tried to do.
type Act struct {
	Account, Kind string // lock, unlock, verify, recover
	Done          bool   // it was answered with success; else it may have happened or not
	State         string // what the answer says of the account afterwards
	Version       uint64
}

// Look is what the API said of an account. Known is the newest version that had been published when it was asked.
type Look struct {
	Account, State string
	Version, Known uint64
	Unknown        bool
}

// Answer is a decision.
type Answer struct {
	Event    string // as Event.Name
	Late     bool
	State    string
	Findings []string
	Raw      string
}

// NewHistory is empty.
func NewHistory() *History {
	return &History{Sent: map[string]bool{}, published: map[string]Newest{}, topics: map[string]int{}}
}

// Send says that an event goes to the broker; Acknowledge that the broker has it.
func (h *History) Send(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.Sent[name] {
		h.Sent[name] = false
	}
}

// Acknowledge says that the broker has these events.
func (h *History) Acknowledge(names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range names {
		h.Sent[n] = true
	}
}

// Input keeps an event that was read from the input topic.
func (h *History) Input(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Events = append(h.Events, e)
}

// Newest is the newest version of an account that was read from the states topic.
type Newest struct {
	State   string
	Version uint64
}

// Read keeps a record that was read from a topic; what it says is of a record of the states topic.
func (h *History) Read(r Record, says Newest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Records = append(h.Records, r)
	h.topics[r.Topic]++
	if says.Version > h.published[r.Key].Version {
		h.published[r.Key] = says
	}
}

// Did keeps an act, Looked a look, Decided an answer.
func (h *History) Did(a Act) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Acts = append(h.Acts, a)
}

// Looked keeps a look.
func (h *History) Looked(l Look) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Looks = append(h.Looks, l)
}

// Decided keeps an answer.
func (h *History) Decided(a Answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Answers = append(h.Answers, a)
}

// Published is the newest version of an account on the states topic; 0: none.
func (h *History) Published(account string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.published[account].Version
}

// Newest are the newest versions of all accounts on the states topic.
func (h *History) Newest() map[string]Newest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.published)
}

// Count is how many records of a topic were read.
func (h *History) Count(topic string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.topics[topic]
}

// Find calls f for the records of a topic, newest first, until it returns true; it reports whether it did.
func (h *History) Find(topic string, f func(Record) bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := len(h.Records) - 1; i >= 0; i-- {
		if h.Records[i].Topic == topic && f(h.Records[i]) {
			return true
		}
	}
	return false
}

// Repeated is how many records of a topic were copies of earlier ones.
func (h *History) Repeated(topic string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[string]bool{}
	for i := range h.Records {
		if r := &h.Records[i]; r.Topic == topic {
			if seen[r.ID] {
				n++
			}
			seen[r.ID] = true
		}
	}
	return n
}
