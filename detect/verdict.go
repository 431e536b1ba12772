package detect

import (
	"time"

	"doorward/auth"
	"doorward/rules"
	"doorward/rules/event"
)

// Verdict is what the findings of one event together demand.
type Verdict struct {
	Response auth.Response   // the strongest
	Findings []rules.Finding // strongest first, then by rule id
	Reason   auth.Reason     // of the strongest finding
	Demand   string          // the strictest `recovery:` among those with the strongest response
	For      time.Duration   // the longest `for:` among them; 0 if one of them names none
	event    *event.Event
}

// Judge combines findings: the strongest response wins, and with it the reason of the highest score.
func Judge(e *event.Event, findings []rules.Finding) Verdict {
	v := Verdict{event: e}
	for _, f := range findings {
		if f.Response > v.Response {
			v.Response = f.Response
		}
	}
	best := -1
	for _, pass := range []bool{true, false} {
		for _, f := range findings {
			if strongest := f.Response == v.Response; strongest != pass {
				continue
			}
			v.Findings = append(v.Findings, f)
			if !pass {
				continue
			}
			if f.Score > best {
				best, v.Reason = f.Score, f.Rule.Reason
			}
			if f.Rule.Recovery == "staff" || v.Demand == "" {
				v.Demand = f.Rule.Recovery
			}
		}
	}
	for i, f := range v.Findings {
		if f.Response != v.Response {
			break
		}
		if f.Rule.For == 0 {
			v.For = 0
			break
		}
		if i == 0 || f.Rule.For > v.For {
			v.For = f.Rule.For
		}
	}
	return v
}

// cause is the id of the finding that the journal names.
func (v *Verdict) cause() string {
	if len(v.Findings) == 0 {
		return ""
	}
	return FindingID(v.Findings[0].Rule.ID, v.event)
}

// ids are the ids of the findings that demand as much as the verdict does.
func (v *Verdict) ids() []string {
	var ids []string
	for _, f := range v.Findings {
		if f.Response == v.Response {
			ids = append(ids, FindingID(f.Rule.ID, v.event))
		}
	}
	return ids
}

// by is who the journal names for a verdict.
func by(v *Verdict) string {
	if len(v.Findings) == 0 {
		return "platform"
	}
	return "rule:" + v.Findings[0].Rule.ID
}
