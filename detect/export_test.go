package detect

import "doorward/rules/event"

// KeepRepeats lets a test see the ring of identities wrap without a million events.
func (c *EvaluatorConfig) KeepRepeats(n int) { c.repeats = n }

// Evaluating lets a test be there when an event is in the windows and no rule has seen it.
func (c *EvaluatorConfig) Evaluating(f func(*event.Event)) { c.evaluating = f }
