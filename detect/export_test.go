package detect

// KeepRepeats lets a test see the ring of identities wrap without a million events.
func (c *EvaluatorConfig) KeepRepeats(n int) { c.repeats = n }
