package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go"
)

// LZ4 frames (lz4 frame format 1.6.x), as far as Kafka's producers write them: blocks that stand by themselves.
const (
	lz4Magic     = 0x184D2204
	lz4Version   = 0xc0 // bits of the first flag byte
	lz4Alone     = 1 << 5
	lz4BlockSum  = 1 << 4
	lz4Size      = 1 << 3
	lz4Sum       = 1 << 2
	lz4Dict      = 1 << 0
	lz4Verbatim  = 1 << 31 // bit of a block's length: it is not compressed
	lz4LeastHead = 7
)

// unlz4 reads the frames of a batch block by block, straight to where its records will be read. A frame's own checksums are passed over: the
// batch has one over all of it, which has been looked at. Frames whose blocks need one another are left to the library's reader.
func unlz4(out, in []byte, limit int) ([]byte, error) {
	for rest := in; len(rest) > 0; {
		if len(rest) < lz4LeastHead || binary.LittleEndian.Uint32(rest) != lz4Magic || rest[4]&lz4Version != 1<<6 {
			return nil, fmt.Errorf("lz4: no frame: %w", errMalformed)
		}
		flags, size := rest[4], int(rest[5]>>4&7)
		if flags&lz4Alone == 0 || flags&lz4Dict != 0 || size < 4 {
			return readLZ4(out, in, limit)
		}
		head := lz4LeastHead
		if flags&lz4Size != 0 {
			head += 8
		}
		if len(rest) < head {
			return nil, fmt.Errorf("lz4: %w", io.ErrUnexpectedEOF)
		}
		var err error
		if out, rest, err = lz4Blocks(out, rest[head:], flags, 1<<(8+2*size), limit); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// lz4Blocks reads the blocks of a frame, of so many bytes each at most, and returns what follows the frame.
func lz4Blocks(out, in []byte, flags byte, size, limit int) (_, rest []byte, err error) {
	take := func(n int) []byte {
		if n > len(in) {
			err = fmt.Errorf("lz4: %w", io.ErrUnexpectedEOF)
			return nil
		}
		b := in[:n]
		in = in[n:]
		return b
	}
	for {
		word := take(4)
		if err != nil {
			return nil, nil, err
		}
		length := binary.LittleEndian.Uint32(word)
		if length == 0 {
			break
		}
		block := take(int(length &^ lz4Verbatim))
		if flags&lz4BlockSum != 0 {
			take(4)
		}
		if err != nil {
			return nil, nil, err
		}
		if out, err = lz4Block(out, block, length&lz4Verbatim != 0, size, limit); err != nil {
			return nil, nil, err
		}
	}
	if flags&lz4Sum != 0 {
		take(4)
	}
	return out, in, err
}

func lz4Block(out, block []byte, verbatim bool, size, limit int) ([]byte, error) {
	at := len(out)
	if verbatim {
		if len(block) > size {
			return nil, fmt.Errorf("lz4: a block of %d bytes: %w", len(block), errMalformed)
		}
		if len(block) > limit-at {
			return nil, errBomb
		}
		return append(out, block...), nil
	}
	room := min(size, limit-at)
	if cap(out)-at < room {
		out = append(make([]byte, 0, min(2*cap(out)+size, limit)), out...)
	}
	n, err := lz4.UncompressBlock(block, out[at:at+room])
	switch {
	case err != nil && room < size:
		return nil, errBomb // or broken, which the larger limit will tell
	case err != nil:
		return nil, fmt.Errorf("lz4: %w", err)
	}
	return out[:at+n], nil
}

func readLZ4(out, in []byte, limit int) ([]byte, error) {
	z := kafka.Lz4.Codec().NewReader(bytes.NewReader(in)) // kafka-go's own pooled ones
	defer z.Close()
	return drain(out, z, limit)
}
