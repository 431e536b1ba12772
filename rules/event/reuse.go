package event

// mostReused bounds the maps that are used again: clearing one costs what its largest use did, for ever.
const mostReused = 64

// reclaim takes back what e points to, to be used for this event or a later one. It never holds more than the Events that are read into
// have had at one time.
func (d *Decoder) reclaim(e *Event) {
	if e.Geo != nil {
		d.geos = append(d.geos, e.Geo)
	}
	if e.Labels != nil {
		if len(e.Labels) <= mostReused {
			clear(e.Labels)
			d.labels = append(d.labels, e.Labels)
		}
	}
	if e.Extra != nil {
		if len(e.Extra) <= mostReused {
			clear(e.Extra)
			d.extras = append(d.extras, e.Extra)
		}
	}
}

// pop takes the last of a list of spare things; the zero value when there is none.
func pop[T any](list *[]T) (last T) {
	n := len(*list) - 1
	if n < 0 {
		return last
	}
	var none T
	last, (*list)[n] = (*list)[n], none
	*list = (*list)[:n]
	return last
}

func (d *Decoder) newGeo() *Geo {
	if g := pop(&d.geos); g != nil {
		return g
	}
	return new(Geo)
}

func (d *Decoder) newLabels() map[string]string {
	if m := pop(&d.labels); m != nil {
		return m
	}
	return make(map[string]string)
}

func (d *Decoder) newExtra() map[string]any {
	if m := pop(&d.extras); m != nil {
		return m
	}
	return make(map[string]any)
}
