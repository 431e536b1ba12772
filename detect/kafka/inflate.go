package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go"
)

// maxInflated is the most bytes that one batch of records may become (reference: security S-24).
const maxInflated = 64 << 20

// smallInflated is the most that the batches of one answer may become together, unless the first alone becomes more: few do, and those are
// inflated one at a time in this process, so that a bomb in every partition takes no more memory than one.
const smallInflated = 8 << 20

// large is the memory for that. Once it was needed it stays: what it is filled with comes again, as a batch that can't be read is asked for
// again.
var large struct {
	sync.Mutex
	room []byte
}

// keepInflated is the buffer that is kept between fetches; a larger one goes back to the collector.
const keepInflated = 8 << 20

// Codecs as the attributes of a batch number them.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

var (
	errBomb = fmt.Errorf("a batch inflates to more than %d MiB", maxInflated>>20)
	// errFull says that an answer holds as many inflated bytes as it may, and the batch is to be asked for again.
	errFull = errors.New("inflated enough")
	xerial  = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}
)

// Decoders are shared. One has the largest window of a well-meant batch, so that a few bytes can't ask for more; most batches need far less.
var smallZstd, largeZstd = zstdDecoders(smallInflated), zstdDecoders(maxInflated)

func zstdDecoders(limit uint64) *sync.Pool {
	return &sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(limit), zstd.WithDecoderMaxWindow(limit))
		if err != nil {
			panic("kafka: the options of the zstd decoder are constants: " + err.Error())
		}
		return d
	}}
}

type inflater struct{}

// inflate appends a batch's records to b.inflated and returns them; those of an uncompressed batch stay where they are.
func (inflater) inflate(b *batch, codec int, in []byte) ([]byte, error) {
	if codec == codecNone {
		return in, nil
	}
	at := len(b.inflated)
	out, err := inflateTo(b.inflated, codec, in, smallInflated)
	switch {
	case errors.Is(err, errBomb) && at > 0:
		return nil, errFull
	case errors.Is(err, errBomb):
		out, err = inflateLarge(codec, in)
	}
	if err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	b.inflated = out
	return out[at:len(out):len(out)], nil
}

// inflateLarge inflates in memory that is as large as it may get from the start: growing would take it twice over.
func inflateLarge(codec int, in []byte) ([]byte, error) {
	large.Lock()
	defer large.Unlock()
	if large.room == nil {
		large.room = make([]byte, 0, maxInflated+1<<20)
	}
	out, err := inflateTo(large.room, codec, in, maxInflated)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(out), nil
}

// inflateTo appends to out, which gets no longer than limit: smallInflated or maxInflated.
func inflateTo(out []byte, codec int, in []byte, limit int) ([]byte, error) {
	switch codec {
	case codecSnappy:
		return unsnappy(out, in, limit)
	case codecZstd:
		return unzstd(out, in, limit)
	case codecLZ4:
		return unlz4(out, in, limit)
	case codecGzip:
		z := kafka.Compression(codec).Codec().NewReader(bytes.NewReader(in)) // kafka-go's own pooled ones
		defer z.Close()
		return drain(out, z, limit)
	}
	return nil, fmt.Errorf("codec %d: %w", codec, errMalformed)
}

func unzstd(out, in []byte, limit int) ([]byte, error) {
	decoders := smallZstd
	if limit > smallInflated {
		decoders = largeZstd
	}
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	got, err := d.DecodeAll(in, out)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, errBomb
	case err != nil:
		return nil, fmt.Errorf("zstd: %w", err)
	case len(got) > limit:
		return nil, errBomb
	}
	return got, nil
}

// unsnappy reads plain snappy and the framing of xerial's Java library, which most Kafka clients write.
func unsnappy(out, in []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(in, xerial) {
		return unblock(out, in, limit)
	}
	if len(in) < 16 {
		return nil, fmt.Errorf("snappy: %w", io.ErrUnexpectedEOF)
	}
	for in = in[16:]; len(in) > 0; {
		if len(in) < 4 || int64(be.Uint32(in)) > int64(len(in)-4) {
			return nil, fmt.Errorf("snappy: %w", io.ErrUnexpectedEOF)
		}
		n := int(be.Uint32(in))
		var err error
		if out, err = unblock(out, in[4:4+n], limit); err != nil {
			return nil, err
		}
		in = in[4+n:]
	}
	return out, nil
}

func unblock(out, in []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(in)
	if err != nil {
		return nil, fmt.Errorf("snappy: %w", err)
	}
	if n > limit-len(out) {
		return nil, errBomb
	}
	at := len(out)
	if cap(out)-at < n {
		out = append(make([]byte, 0, min(2*(at+n), limit)), out...)
	}
	out = out[:at+n]
	if _, err := s2.Decode(out[at:], in); err != nil {
		return nil, fmt.Errorf("snappy: %w", err)
	}
	return out, nil
}

// drain reads z to its end into the memory behind out.
func drain(out []byte, z io.Reader, limit int) ([]byte, error) {
	for {
		if len(out) == cap(out) {
			out = append(make([]byte, 0, min(max(2*cap(out), 64<<10), limit+1)), out...)
		}
		n, err := z.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > limit:
			return nil, errBomb
		case err == io.EOF:
			return out, nil
		case err != nil:
			return nil, err
		}
	}
}
