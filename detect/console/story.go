package console

import (
	"slices"
	"strings"
	"time"

	"doorward/auth"
	"doorward/auth/web"
	"doorward/rules/event"
	"doorward/store/history"
)

// side is who an event came from, as far as the account's own past tells.
type side string

const (
	owner    side = "owner"    // a device or address that was there before the trouble
	stranger side = "stranger" // one that came with the findings
	nobody   side = "unknown"  // the event names neither
)

// storyBody is what happened on an account: groups of events by who acted, and the same as a picture.
type storyBody struct {
	Groups  []groupBody // oldest first
	Count   int
	Picture *picture
	Damaged int // lines of the history that could not be read
}

type groupBody struct {
	Side  side
	Who   string // the device in words
	Place string
	Trace []string // address and device, as the platform names them
	From  time.Time
	Deeds []deedBody
}

// deedBody is one event in a row.
type deedBody struct {
	ID     string // its identity, for links
	At     time.Time
	Icon   string
	Text   string // key
	Type   string // for types the contract does not know
	Detail []detailBody
	Amount string
	Hits   []int // numbers of its findings
	Hot    bool  // a stranger's, since the first bad event
	First  bool  // the first bad event
	lane   int
	side   side
	minor  int64
	failed bool
}

type detailBody struct{ Name, Value string }

// story tells the events since `since`; the ones before it only say which devices are the owner's.
func (c *Console) story(rq *request, lines []history.Line, since time.Time, fs []findingBody, entries []entryBody, a *auth.Account) *storyBody {
	b := &storyBody{}
	events := make([]*event.Event, 0, len(lines))
	for _, l := range lines {
		e, problem := event.DecodeStored(l.Raw)
		if problem != nil {
			b.Damaged++
			continue
		}
		events = append(events, e)
	}
	slices.SortStableFunc(events, func(x, y *event.Event) int { return x.Time.Compare(y.Time) })
	hits := map[string][]int{}
	for _, f := range fs {
		hits[f.Event] = append(hits[f.Event], f.N)
	}
	who := tell(events, hits)
	first := firstBad(events, who, a.FirstBad)
	say := c.say(rq)
	for i, e := range events {
		if e.Time.Before(since) {
			continue
		}
		d := deed(say, e, rq.view.zone)
		d.side, d.Hits = who(e), hits[visible(e.Identity())]
		slices.Sort(d.Hits)
		d.First = i == first
		d.Hot = first >= 0 && i >= first && d.side == stranger
		b.add(groupOf(say, e, d.side), d)
	}
	b.Picture = paint(say, b.Groups, fs, entries, c.now(rq))
	return b
}

// tell says who each event came from: what the events with findings came from and was not there an hour before the first of them is the
// stranger's.
func tell(events []*event.Event, hits map[string][]int) func(*event.Event) side {
	from := func(e *event.Event) string {
		switch {
		case e.Device != "":
			return "device " + e.Device
		case e.IP != "":
			return "ip " + e.IP
		}
		return ""
	}
	strange, known := map[string]bool{}, map[string]bool{}
	var began time.Time
	for _, e := range events {
		if len(hits[visible(e.Identity())]) == 0 {
			continue
		}
		if began.IsZero() {
			began = e.Time
		}
		strange[from(e)] = true
	}
	for _, e := range events {
		if began.IsZero() || e.Time.Before(began.Add(-time.Hour)) {
			known[from(e)] = true
		}
	}
	return func(e *event.Event) side {
		switch f := from(e); {
		case f == "":
			return nobody
		case strange[f] && !known[f]:
			return stranger
		}
		return owner
	}
}

// firstBad is the event that the account's record names, else the first one of the stranger that went through; -1: none.
func firstBad(events []*event.Event, who func(*event.Event) side, named string) int {
	for i, e := range events {
		if e.Identity() == named {
			return i
		}
	}
	for i, e := range events {
		if who(e) == stranger && e.Type != event.LoginFailed {
			return i
		}
	}
	return -1
}

// add puts a deed at the end, in a new group when somebody else acts or half a day has passed.
func (b *storyBody) add(g groupBody, d deedBody) {
	b.Count++
	n := len(b.Groups)
	if n == 0 || b.Groups[n-1].Who != g.Who || b.Groups[n-1].Side != g.Side || b.Groups[n-1].Place != g.Place || !slices.Equal(b.Groups[n-1].Trace, g.Trace) ||
		d.At.Sub(b.Groups[n-1].Deeds[len(b.Groups[n-1].Deeds)-1].At) > 12*time.Hour {
		g.From = d.At
		b.Groups = append(b.Groups, g)
		n++
	}
	b.Groups[n-1].Deeds = append(b.Groups[n-1].Deeds, d)
}

func groupOf(say *web.Say, e *event.Event, s side) groupBody {
	g := groupBody{Side: s}
	switch {
	case e.UserAgent != "":
		g.Who = say.Device(e.UserAgent)
	case e.Device != "":
		g.Who = visible(e.Device)
	default:
		g.Who = visible(e.IP)
	}
	for _, s := range []string{e.IP, e.Device} {
		if s = visible(s); s != "" && s != g.Who {
			g.Trace = append(g.Trace, s)
		}
	}
	switch {
	case e.Geo != nil:
		g.Place = say.Place(visible(e.Geo.City), e.Geo.Country)
	case e.Country != "":
		g.Place = say.Country(e.Country)
	}
	return g
}

// lanes of the picture.
const (
	laneSignIn = iota
	laneChange
	laneMoney
)

func deed(say *web.Say, e *event.Event, z *time.Location) deedBody {
	d := deedBody{ID: visible(e.Identity()), At: e.Time.In(z), Text: "deed." + string(e.Type), Icon: "screen", minor: e.Amount}
	if !event.Known(e.Type) {
		d.Text, d.Type, d.Icon = "", visible(string(e.Type)), "info"
	}
	t := string(e.Type)
	d.failed = strings.HasSuffix(t, ".failed") || strings.HasSuffix(t, ".denied")
	switch {
	case d.failed && !strings.HasPrefix(t, "transaction."):
		d.Icon = "x"
	case strings.HasPrefix(t, "transaction."):
		d.Icon, d.lane = "money", laneMoney
	case strings.HasPrefix(t, "account.payee.") || strings.HasPrefix(t, "account.payout."):
		d.Icon, d.lane = "person", laneChange
	case strings.HasPrefix(t, "account.email."):
		d.Icon, d.lane = "mail", laneChange
	case strings.HasPrefix(t, "account."):
		d.Icon, d.lane = "key", laneChange
	case strings.HasPrefix(t, "report."):
		d.Icon, d.lane = "flag", laneChange
	}
	if e.HasAmount {
		d.Amount = say.Money(e.Amount, e.Currency)
		if e.Direction == "out" {
			d.Amount = "−" + d.Amount
		}
	}
	for _, x := range []detailBody{{"kind", e.Kind}, {"counterparty", e.Counterparty}, {"counterparty_kind", e.CounterpartyKind}, {"method", e.Method},
		{"factor", e.Factor}, {"reason", e.Reason}, {"via", e.Via}, {"field", e.Data.Field}, {"previous", masked(e.Previous)}, {"channel", e.Channel},
		{"transaction", e.Transaction}, {"refers_to", e.RefersTo}, {"note", e.Note}} {
		if x.Value != "" {
			d.Detail = append(d.Detail, detailBody{"field." + x.Name, visible(x.Value)})
		}
	}
	return d
}

// masked hides most of an address that a platform should have sent masked and may not have.
func masked(s string) string {
	if strings.ContainsAny(s, "*•") || s == "" {
		return s
	}
	return mask(s)
}
