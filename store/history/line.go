package history

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"doorward/store"
)

// Line is one event as it is remembered.
type Line struct {
	Account   string
	At        time.Time // the event's time, to the millisecond in the order of lines
	Arrival   time.Time
	Source    string
	ID        string
	Type      string
	Topic     string
	Partition int
	Offset    int64
	Flagged   bool   // its own time was not believed
	Raw       []byte // the event in structured form, JSON, as given
}

// stored is a line's header; names are added, never changed. The raw event follows it as it is.
type stored struct {
	At        time.Time `json:"at"`
	Arrival   time.Time `json:"arrival"`
	Account   string    `json:"account"`
	Source    string    `json:"source"`
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Topic     string    `json:"topic,omitempty"`
	Partition int       `json:"partition"`
	Offset    int64     `json:"offset"`
	Flagged   bool      `json:"flagged,omitempty"`
}

func (l *Line) check() error {
	switch {
	case l.Account == "" || strings.IndexByte(l.Account, 0) >= 0:
		return fmt.Errorf("history: %q is no account", l.Account)
	case l.ID == "" || l.Source == "":
		return errors.New("history: an event has an id and a source")
	case l.At.IsZero():
		return fmt.Errorf("history: event %s has no time", l.ID)
	}
	return nil
}

// encode is uvarint length of the header, the header as JSON, the raw event.
func (l *Line) encode() ([]byte, error) {
	header, err := json.Marshal(stored{
		At: l.At.UTC(), Arrival: l.Arrival.UTC(), Account: l.Account, Source: l.Source, ID: l.ID, Type: l.Type,
		Topic: l.Topic, Partition: l.Partition, Offset: l.Offset, Flagged: l.Flagged,
	})
	if err != nil {
		return nil, fmt.Errorf("history: encoding event %s: %w", l.ID, err)
	}
	b := binary.AppendUvarint(make([]byte, 0, len(header)+len(l.Raw)+4), uint64(len(header)))
	return append(append(b, header...), l.Raw...), nil
}

func decode(value []byte) (Line, error) {
	n, size := binary.Uvarint(value)
	if size <= 0 || n > uint64(len(value)-size) {
		return Line{}, errors.New("history: a line is cut short")
	}
	header, raw := value[size:size+int(n)], value[size+int(n):]
	var s stored
	if err := json.Unmarshal(header, &s); err != nil {
		return Line{}, fmt.Errorf("history: a line is damaged: %w", err)
	}
	return Line{
		Account: s.Account, At: s.At, Arrival: s.Arrival, Source: s.Source, ID: s.ID, Type: s.Type,
		Topic: s.Topic, Partition: s.Partition, Offset: s.Offset, Flagged: s.Flagged, Raw: append([]byte(nil), raw...),
	}, nil
}

func hash16(parts ...string) []byte {
	h := sha256.New()
	for _, p := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return h.Sum(nil)[:16]
}

// instant is a time as it stands in keys: milliseconds with the sign bit flipped, for events before 1970.
func instant(t time.Time) uint64 { return uint64(t.UnixMilli()) ^ 1<<63 }

const dayMillis = 24 * 60 * 60 * 1000

// day is the number of a time's UTC day since 1970, held within what two bytes take; lines outside are swept with the outermost days.
func day(t time.Time) uint16 {
	return uint16(min(max(t.UnixMilli()/dayMillis, 0), 0xffff))
}

func accountKey(account string) []byte { return store.Key(store.KindHistory, account, []byte(nil)) }
func timeKey(account string, t time.Time) []byte {
	return store.Key(store.KindHistory, account, instant(t))
}
func (l *Line) key() []byte { return append(timeKey(l.Account, l.At), hash16(l.Source, l.ID)...) }
func (l *Line) idKey() []byte {
	return store.Key(store.KindHistoryID, hash16(l.ID), hash16(l.Source, l.ID))
}
func (l *Line) dayKey() []byte { return store.Key(store.KindHistoryDay, day(l.At), l.Account) }
