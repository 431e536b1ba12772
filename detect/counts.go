package detect

import (
	"maps"

	"doorward/auth"
)

// clone is a copy that nobody changes.
func (c Counts) clone() Counts {
	c.ByRule, c.ByState = maps.Clone(c.ByRule), maps.Clone(c.ByState)
	return c
}

// add adds another's counts.
func (c *Counts) add(o Counts) {
	c.Events += o.Events
	c.Repeats += o.Repeats
	c.Late += o.Late
	c.TooLate += o.TooLate
	c.Flagged += o.Flagged
	c.Unknown += o.Unknown
	c.Dead += o.Dead
	c.Faults += o.Faults
	c.Panics += o.Panics
	c.Acts += o.Acts
	c.ActsRefused += o.ActsRefused
	if c.ByRule == nil {
		c.ByRule = map[string]uint64{}
	}
	for k, n := range o.ByRule {
		c.ByRule[k] += n
	}
	if c.ByState == nil {
		c.ByState = map[auth.State]uint64{}
	}
	for k, n := range o.ByState {
		c.ByState[k] += n
	}
}

// Add is the sum of both.
func (c Counts) Add(o Counts) Counts {
	c = c.clone()
	c.add(o)
	return c
}
