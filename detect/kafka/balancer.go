package kafka

import (
	"encoding/json"
	"sort"
	"time"

	"github.com/segmentio/kafka-go"
)

// balancer gives every shard, that is partition n of all input topics together, to the one member that holds a store. kafka-go's own
// balancers split each topic by itself (reference: architecture 2.3e), and several members need a shared store.
type balancer struct{ claim func() claim }

// claim is what a member tells the group about itself.
type claim struct {
	Store string `json:"store,omitempty"`
	Since int64  `json:"since,omitempty"` // unix ms: since when it has served; 0: not yet
}

const balancerName = "doorward"

func (balancer) ProtocolName() string { return balancerName }

func (b balancer) UserData() ([]byte, error) { return json.Marshal(b.claim()) }

// AssignGroups follows kafka.GroupBalancer. When two members hold a store each, the one that has served longest goes on: a second
// installation under the same group must not take the shards away from the first.
func (balancer) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	out := kafka.GroupMemberAssignments{}
	for _, m := range members {
		out[m.ID] = map[string][]int{}
	}
	holder := -1
	var best claim
	for i, m := range members {
		c := readClaim(m.UserData)
		if c.Store == "" {
			continue
		}
		if holder < 0 || c.before(m.ID, best, members[holder].ID) {
			holder, best = i, c
		}
	}
	if holder < 0 {
		return out
	}
	wanted := map[string]bool{}
	for _, t := range members[holder].Topics {
		wanted[t] = true
	}
	mine := out[members[holder].ID]
	for _, p := range partitions {
		if wanted[p.Topic] {
			mine[p.Topic] = append(mine[p.Topic], p.ID)
		}
	}
	for _, ids := range mine {
		sort.Ints(ids)
	}
	return out
}

func (c claim) before(id string, d claim, other string) bool {
	switch {
	case (c.Since > 0) != (d.Since > 0):
		return c.Since > 0
	case c.Since != d.Since:
		return c.Since < d.Since
	case c.Store != d.Store:
		return c.Store < d.Store
	}
	return id < other
}

// readClaim takes a member whose words can't be read for one without a store.
func readClaim(b []byte) (c claim) {
	if json.Unmarshal(b, &c) != nil {
		return claim{}
	}
	return c
}

func (c *Client) claim() claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := claim{Store: c.cfg.Store}
	if !c.since.IsZero() {
		out.Since = c.since.UnixMilli()
	}
	return out
}

// served notes that this member has shards.
func (c *Client) served(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() {
		c.since = now
	}
}
