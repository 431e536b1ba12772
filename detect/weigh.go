package detect

import (
	"doorward/auth"
	"doorward/store/outbox"
)

// weighed is how much of what is owed has been added to a batch's bytes.
type weighed struct {
	rows, put, changed, cases, entries, outcomes int
	heard                                        int
	evicted                                      uint64
}

// weigh adds what an event, an act or a dead letter has come to owe to the bytes of the running batch. Roughly, and rather too much: a batch
// that the store refuses for its size would be evaluated and refused again for ever.
func (s *Shard) weigh() {
	v, w := s.evaluator, &s.taken.weighed
	o, n := &v.owed, 0
	for ; w.rows < len(o.rows); w.rows++ {
		n += rowWeight(&o.rows[w.rows])
	}
	for ; w.put < len(o.put); w.put++ {
		n += len(o.put[w.put].Key) + len(o.put[w.put].Value)
	}
	for ; w.changed < len(v.accounts.change); w.changed++ {
		n += accountWeight(v.accounts.change[w.changed].record)
	}
	for ; w.cases < len(o.caseOrder); w.cases++ {
		c := &o.cases[o.caseOrder[w.cases]].after
		n += 1024*(1+len(c.Findings)) + len(c.Reason)
		for _, note := range c.Notes {
			n += 256 + 2*len(note.Text)
		}
	}
	n += 1024 * (len(o.entries) - w.entries)
	n += 4096 * (len(o.outcomes) - w.outcomes)
	w.entries, w.outcomes = len(o.entries), len(o.outcomes)
	heard := len(o.heard.Found) + len(o.heard.Foreign) + len(o.heard.Failed)
	n += heardWeight * (heard - w.heard)
	w.heard = heard
	if evicted := v.memory.Evicted(); evicted != w.evicted { // each leaves its tomb, and the record as others still read it
		n += int(evicted-w.evicted) * s.checkpoint.recordBytes
		w.evicted = evicted
	}
	s.taken.bytes += n
}

// rowWeight is a row in base64, and the finding beside it that it says the same as.
func rowWeight(r *outbox.Row) int {
	n := 512 + 3*len(r.Value) + 2*len(r.Key)
	for _, h := range r.Headers {
		n += 64 + 2*(len(h.Key)+len(h.Value))
	}
	return n
}

// accountWeight is an account's record with its deadline; what later events of the batch add to it is in the weight of their findings.
func accountWeight(a *auth.Account) int {
	n := 768 + 4*len(a.ID) + 64*len(a.Findings) + 128*len(a.Recent) + 128*len(a.Noticed) + len(a.FirstBad)
	for _, text := range a.Reason.User {
		n += 32 + 2*len(text)
	}
	return n
}
