package console

import (
	"math"
	"time"

	"doorward/auth"
	"doorward/auth/web"
)

// The picture of a story is 1040 by 210 units: five lanes from x = 84 on, of which what is before the trouble has the first 56.
const (
	left, broken, right = 92.0, 140.0, 1024.0
	laneTop, laneStep   = 44.0, 32.0
	findingY, stateY    = 140.0, 172.0
	mostMarks           = 240
)

// picture is what the template draws; numbers are SVG units.
type picture struct {
	Marks    []markBody
	Numbers  []numberBody
	Ticks    []tickBody
	Segments []segmentBody
	Broken   bool
	First    float64 // x of the first bad event, 0: none
	FirstAt  time.Time
	Hot      float64 // width of the hot zone behind it
	From, To time.Time
}

type markBody struct {
	Shape string // disc, diamond, cross, bar
	Side  side
	X, Y  float64
	H     float64
}

type numberBody struct {
	N    int
	X, Y float64
}

type tickBody struct {
	X    float64
	Text string
}

type segmentBody struct {
	State auth.State
	X, W  float64
	Text  string // key, "" when there is no room
}

// axis maps times to x: what is before start is pressed into the band on the left.
type axis struct{ start, end, before time.Time }

func (a axis) x(t time.Time) float64 {
	if t.Before(a.start) {
		whole := a.start.Sub(a.before)
		if whole <= 0 {
			return left
		}
		return round(left + (broken-16-left)*float64(t.Sub(a.before))/float64(whole))
	}
	from := broken + 12
	return round(from + (right-from)*math.Min(1, float64(t.Sub(a.start))/float64(a.end.Sub(a.start))))
}

func round(f float64) float64 { return math.Round(f*10) / 10 }

// paint draws the story; nil when there is nothing to draw.
func paint(say *web.Say, groups []groupBody, fs []findingBody, entries []entryBody, now time.Time) *picture {
	var deeds []deedBody
	for _, g := range groups {
		deeds = append(deeds, g.Deeds...)
	}
	if len(deeds) == 0 {
		return nil
	}
	if len(deeds) > mostMarks {
		deeds = deeds[len(deeds)-mostMarks:]
	}
	a := stretch(deeds, entries, now)
	p := &picture{From: a.before, To: a.end, Broken: a.before.Before(a.start)}
	p.mark(a, deeds)
	for _, d := range deeds {
		if d.First {
			p.First, p.FirstAt = a.x(d.At), d.At
		}
	}
	p.number(a, fs)
	p.states(a, entries, now)
	if p.First > 0 {
		p.Hot = math.Max(0, round(p.endOfTrouble(a, deeds)-p.First))
	}
	p.tick(say, a)
	return p
}

// stretch finds the axis: from half an hour before the trouble to a little after the last thing that happened.
func stretch(deeds []deedBody, entries []entryBody, now time.Time) axis {
	a := axis{before: deeds[0].At, start: deeds[0].At, end: deeds[len(deeds)-1].At}
	trouble := a.end
	for _, d := range deeds {
		if d.side == stranger || len(d.Hits) > 0 {
			trouble = d.At
			break
		}
	}
	for _, d := range deeds {
		if !d.At.Before(trouble.Add(-30 * time.Minute)) {
			a.start = d.At
			break
		}
	}
	for _, e := range entries {
		if e.At.After(a.end) && !e.At.After(now) {
			a.end = e.At
		}
	}
	span := max(a.end.Sub(a.start), time.Minute)
	a.end = a.start.Add(span + span/6)
	return a
}

func (p *picture) mark(a axis, deeds []deedBody) {
	most := int64(1)
	for _, d := range deeds {
		most = max(most, d.minor)
	}
	for _, d := range deeds {
		m := markBody{Side: d.side, X: a.x(d.At), Y: laneTop + laneStep*float64(d.lane)}
		switch {
		case d.failed && d.lane != laneMoney:
			m.Shape = "cross"
		case d.lane == laneMoney:
			m.Shape, m.H = "bar", round(6+18*float64(d.minor)/float64(most))
			m.Y = round(m.Y + 12 - m.H)
		case d.side == owner:
			m.Shape = "disc"
		default:
			m.Shape = "diamond"
		}
		p.Marks = append(p.Marks, m)
	}
}

// number puts the findings side by side where they came at the same time.
func (p *picture) number(a axis, fs []findingBody) {
	byN := make([]*findingBody, len(fs))
	for i := range fs {
		if n := fs[i].N - 1; n < len(byN) {
			byN[n] = &fs[i]
		}
	}
	last := -100.0
	for _, f := range byN {
		if f == nil {
			continue
		}
		x := math.Max(a.x(f.At), last+19)
		if x > right+8 {
			return // no room; the table has them all
		}
		p.Numbers = append(p.Numbers, numberBody{f.N, round(x), findingY})
		last = x
	}
}

// states draws the state's lane from the journal, newest entry first.
func (p *picture) states(a axis, entries []entryBody, now time.Time) {
	end := a.x(a.end)
	if now.Before(a.end) {
		end = a.x(now)
	}
	from := auth.Open
	for _, e := range entries {
		if e.Text != "entry.state.changed" || e.To == "" {
			continue
		}
		x := math.Max(a.x(e.At), left-8)
		if x < end {
			p.Segments = append(p.Segments, segment(e.To, x, end))
			end = x
		}
		from = e.From
	}
	if from == "" {
		from = auth.Open
	}
	if end > left-8 {
		p.Segments = append(p.Segments, segment(from, left-8, end))
	}
}

func segment(s auth.State, from, to float64) segmentBody {
	b := segmentBody{State: s, X: round(from), W: round(to - from)}
	if b.W > 72 {
		b.Text = "state." + string(s)
	}
	return b
}

// endOfTrouble is where the last of the stranger's deeds is.
func (p *picture) endOfTrouble(a axis, deeds []deedBody) float64 {
	x := p.First
	for _, d := range deeds {
		if d.Hot {
			x = a.x(d.At)
		}
	}
	return x
}

var steps = []time.Duration{time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 3 * time.Hour,
	12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

func (p *picture) tick(say *web.Say, a axis) {
	whole := a.end.Sub(a.start)
	step := steps[len(steps)-1]
	for _, s := range steps {
		if whole/s <= 14 {
			step = s
			break
		}
	}
	for t := a.start.Truncate(step).Add(step); t.Before(a.end); t = t.Add(step) {
		text := say.Clock(t)
		if step < time.Minute {
			text = t.Format("15:04:05")
		}
		p.Ticks = append(p.Ticks, tickBody{a.x(t), text})
		if len(p.Ticks) > 16 {
			return
		}
	}
}
