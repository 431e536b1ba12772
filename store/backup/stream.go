package backup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"doorward/store"
)

const magic = "doorward backup 1\n"

// Limits of what is read from a backup.
const (
	maxKey   = 4096
	maxValue = 1 << 20
	maxLine  = 64 << 10
)

// Header says what a backup is of. Names are added, never changed.
type Header struct {
	Format  int       `json:"format"`            // of the store
	Store   string    `json:"store"`             // its identity
	Made    time.Time `json:"made"`              // when the store was made
	MadeBy  string    `json:"made_by"`           // the version of the program that made it
	Check   string    `json:"check"`             // what the store knows its master key by, hex
	Taken   time.Time `json:"taken"`             // when the backup was begun
	Version string    `json:"version,omitempty"` // of the program that took it
}

// Summary is what a backup holds.
type Summary struct {
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`  // of keys and values
	SHA256  string `json:"sha256"` // of everything before the trailer, hex
	// Entries and Head are the end of the journal in it.
	Entries uint64 `json:"entries"`
	Head    string `json:"head"`
}

// ErrDamaged says that a backup was cut or altered.
var ErrDamaged = errors.New("backup: cut or altered")

// ErrNewer says that a newer program wrote a backup.
var ErrNewer = errors.New("backup: written by a newer version")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Write writes a store as of one moment, without the records that own says are the engine's. progress may be nil.
func Write(ctx context.Context, w io.Writer, e store.Engine, h Header, own func(key []byte) bool, progress func(Summary)) (s Summary, err error) {
	head, err := json.Marshal(h)
	if err != nil {
		return s, fmt.Errorf("encode the header of a backup: %w", err)
	}
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 64<<10)
	out.WriteString(magic) // a failed write is told by every later one
	out.Write(append(head, '\n'))
	var bad error
	var lengths []byte
	journal := store.HeadKey(store.Journal)
	err = e.Scan(ctx, nil, nil, false, func(k, v []byte) bool {
		if own(k) {
			return true
		}
		if len(k) > maxKey || len(v) > store.MaxValue {
			bad = fmt.Errorf("a record at %.40x has a key of %d and a value of %d bytes", k, len(k), len(v))
			return false
		}
		if bytes.Equal(k, journal) {
			h, err := store.DecodeHead(v)
			if err != nil {
				bad = err
				return false
			}
			s.Entries, s.Head = h.Position, hex.EncodeToString(h.Hash[:])
		}
		lengths = binary.AppendUvarint(lengths[:0], uint64(len(k)))
		lengths = binary.AppendUvarint(lengths, uint64(len(v)))
		out.Write(lengths)
		out.Write(k)
		_, bad = out.Write(v)
		s.Records++
		s.Bytes += uint64(len(k) + len(v))
		if progress != nil && s.Records%1024 == 0 {
			progress(s)
		}
		return bad == nil
	})
	if err := errors.Join(err, bad); err != nil {
		return s, fmt.Errorf("write a backup: %w", err)
	}
	out.WriteByte(0)
	if err := out.Flush(); err != nil {
		return s, fmt.Errorf("write a backup: %w", err)
	}
	s.SHA256 = hex.EncodeToString(sum.Sum(nil))
	tail, err := json.Marshal(s)
	if err != nil {
		return s, fmt.Errorf("encode the end of a backup: %w", err)
	}
	if _, err := w.Write(append(tail, '\n')); err != nil {
		return s, fmt.Errorf("write a backup: %w", err)
	}
	return s, nil
}

// Reader reads a backup.
type Reader struct {
	b   *bufio.Reader
	sum hash.Hash
}

// Begin reads what a backup is of.
func Begin(r io.Reader) (*Reader, Header, error) {
	in := &Reader{b: bufio.NewReaderSize(r, 64<<10), sum: sha256.New()}
	var h Header
	first, err := in.line()
	if err != nil {
		return nil, h, err
	}
	if string(first) != magic {
		if bytes.HasPrefix(first, []byte("doorward backup ")) {
			return nil, h, ErrNewer
		}
		return nil, h, damaged("it does not begin as a backup")
	}
	line, err := in.line()
	if err != nil {
		return nil, h, err
	}
	if err := json.Unmarshal(line, &h); err != nil || h.Format < 1 {
		return nil, h, damaged("its header can't be read")
	}
	return in, h, nil
}

// Rest reads the records behind the header and calls put with each; its bytes are only good during the call. What put does must be undone
// when Rest fails: only its end says that a backup is whole.
func (r *Reader) Rest(put func(key, value []byte) error) (s Summary, err error) {
	if err := r.records(&s, put); err != nil {
		return s, err
	}
	return s, r.end(&s)
}

// line reads a line that belongs to the sum.
func (r *Reader) line() ([]byte, error) {
	var line []byte
	for {
		c, err := r.byte()
		if err != nil {
			return nil, err
		}
		if line = append(line, c); c == '\n' {
			return line, nil
		}
		if len(line) > maxLine {
			return nil, damaged("its header is too long")
		}
	}
}

func (r *Reader) byte() (byte, error) {
	c, err := r.b.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	r.sum.Write([]byte{c})
	return c, nil
}

// ReadByte lets binary.ReadUvarint read lengths.
func (r *Reader) ReadByte() (byte, error) { return r.byte() }

func (r *Reader) records(s *Summary, put func(key, value []byte) error) error {
	var buf, last []byte
	for {
		klen, err := binary.ReadUvarint(r)
		if err != nil {
			return cut(err)
		}
		if klen == 0 {
			return nil
		}
		vlen, err := binary.ReadUvarint(r)
		if err != nil {
			return cut(err)
		}
		if klen > maxKey || vlen > maxValue {
			return damaged("record %d is %d and %d bytes long", s.Records+1, klen, vlen)
		}
		if n := int(klen + vlen); cap(buf) < n {
			buf = make([]byte, n)
		}
		buf = buf[:klen+vlen]
		if _, err := io.ReadFull(r.b, buf); err != nil {
			return cut(err)
		}
		r.sum.Write(buf)
		key := buf[:klen:klen]
		if bytes.Compare(key, last) <= 0 {
			return damaged("record %d is not in its place", s.Records+1)
		}
		last = append(last[:0], key...)
		if err := put(key, buf[klen:]); err != nil {
			return err
		}
		s.Records++
		s.Bytes += klen + vlen
	}
}

// end compares the trailer with what was read, and sees that nothing comes behind it.
func (r *Reader) end(s *Summary) error {
	s.SHA256 = hex.EncodeToString(r.sum.Sum(nil))
	line, err := r.line()
	if err != nil {
		return err
	}
	var t Summary
	if err := json.Unmarshal(line, &t); err != nil {
		return damaged("its end can't be read")
	}
	if t.Records != s.Records || t.Bytes != s.Bytes || t.SHA256 != s.SHA256 {
		return damaged("it holds %d records and %d bytes, its end says %d and %d, or their checksum differs", s.Records, s.Bytes, t.Records, t.Bytes)
	}
	s.Entries, s.Head = t.Entries, t.Head
	switch _, err := r.b.ReadByte(); {
	case err == nil:
		return damaged("something comes behind its end")
	case err != io.EOF:
		return cut(err)
	}
	return nil
}

// cut tells an end that comes too early, and a seal that does not hold, from a disk or pipe that fails.
func cut(err error) error {
	if errors.Is(err, ErrDamaged) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it ends too early")
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}
