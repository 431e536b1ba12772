package outbox

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"doorward/store"
)

// A parcel is what is stored at one key of the outbox: the rows that one commit owes, or as many of them as a parcel takes. They are published
// together and the parcel is deleted then, so that a busy shard writes and deletes one record and not one for each row.
//
// Its bytes: version 1, number of rows, then of each row id, topic, partition + 1, key, number of headers, each header's name and value, value.
// Numbers are varints; texts and bytes have their length before them. A value that begins with "{" is one row in JSON, as stores had it before.
const parcelVersion = 1

// parcelBytes is how many bytes of rows a parcel takes before another is begun. One row may be larger.
const parcelBytes = 128 << 10

// Parcel is one record of the outbox.
type Parcel struct {
	store.Pair
	Rows []Row
}

// Parcels are rows, in their order, in their stored form: what the shard's sequence caused.
func Parcels(shard int, sequence uint64, rows []Row) ([]Parcel, error) {
	var all []Parcel
	for first := 0; first < len(rows); {
		n, size := 0, 0
		for first+n < len(rows) && n < atOnce && (n == 0 || size+rows[first+n].size() <= parcelBytes) {
			size += rows[first+n].size()
			n++
		}
		part := rows[first : first+n : first+n]
		value, err := Pack(part)
		if err != nil {
			return nil, err
		}
		all = append(all, Parcel{store.Pair{Key: parcelKey(shard, sequence, uint32(first)), Value: value}, part})
		first += n
	}
	return all, nil
}

// Pair is the stored form of one row: number n of what the shard's sequence caused.
func Pair(shard int, sequence uint64, n uint32, r Row) (store.Pair, error) {
	value, err := Pack([]Row{r})
	return store.Pair{Key: parcelKey(shard, sequence, n), Value: value}, err
}

func parcelKey(shard int, sequence uint64, n uint32) []byte {
	return store.Key(store.KindOutbox, store.Shard(shard), sequence, n)
}

// Pack is the stored form of rows. Each has an id and a topic.
func Pack(rows []Row) ([]byte, error) {
	size := 0
	for i := range rows {
		size += rows[i].size()
	}
	b := binary.AppendUvarint(append(make([]byte, 0, size+16), parcelVersion), uint64(len(rows)))
	for i := range rows {
		if rows[i].ID == "" || rows[i].Topic == "" {
			return nil, errors.New("outbox: a row has an id and a topic")
		}
		b = rows[i].append(b)
	}
	return b, nil
}

// size is more than the row's stored bytes.
func (r *Row) size() int {
	n := 64 + len(r.ID) + len(r.Topic) + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += 8 + len(h.Key) + len(h.Value)
	}
	return n
}

func (r *Row) append(b []byte) []byte {
	b = appendText(appendText(b, r.ID), r.Topic)
	b = binary.AppendUvarint(b, uint64(r.Partition+1))
	b = appendText(b, string(r.Key))
	b = binary.AppendUvarint(b, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		b = appendText(appendText(b, h.Key), string(h.Value))
	}
	return appendText(b, string(r.Value))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Unpack reads the rows of a stored parcel. They share no memory with it.
func Unpack(value []byte) ([]Row, error) {
	if len(value) > 0 && value[0] == '{' {
		var r Row
		if err := json.Unmarshal(value, &r); err != nil {
			return nil, fmt.Errorf("outbox: a row is damaged: %w", err)
		}
		return []Row{r}, nil
	}
	u, n := open(value)
	rows := make([]Row, 0, n)
	for range n {
		r := Row{ID: string(u.text()), Topic: string(u.text()), Partition: int(u.number()) - 1, Key: u.own()}
		for k := u.count(2); k > 0; k-- {
			r.Headers = append(r.Headers, Header{Key: string(u.text()), Value: u.own()})
		}
		r.Value = u.own()
		rows = append(rows, r)
	}
	if u.bad || len(u.b) > 0 {
		return nil, errParcel
	}
	return rows, nil
}

var errParcel = errors.New("outbox: a parcel is damaged, or a newer program wrote it")

// count is how many rows a stored parcel holds.
func count(value []byte) (int, error) {
	if len(value) > 0 && value[0] == '{' {
		return 1, nil
	}
	u, n := open(value)
	if u.bad {
		return 0, errParcel
	}
	return n, nil
}

// open begins to read a parcel and says how many rows it has.
func open(value []byte) (*unpacking, int) {
	if len(value) == 0 || value[0] != parcelVersion {
		return &unpacking{bad: true}, 0
	}
	u := &unpacking{b: value[1:]}
	return u, u.count(6)
}

// unpacking reads numbers and texts; what is not there sets bad and reads as nothing.
type unpacking struct {
	b   []byte
	bad bool
}

func (u *unpacking) number() uint64 {
	v, n := binary.Uvarint(u.b)
	if n <= 0 {
		u.bad, u.b = true, nil
		return 0
	}
	u.b = u.b[n:]
	return v
}

// count is the number of things that follow, of so many bytes each at least.
func (u *unpacking) count(least int) int {
	n := u.number()
	if n > uint64(len(u.b)/least) {
		u.bad, u.b = true, nil
		return 0
	}
	return int(n)
}

func (u *unpacking) text() []byte {
	n := u.count(1)
	s := u.b[:n]
	u.b = u.b[n:]
	return s
}

// own is a copy of the text; nil when it is empty.
func (u *unpacking) own() []byte { return append([]byte(nil), u.text()...) }
