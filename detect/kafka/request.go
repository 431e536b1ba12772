package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/segmentio/kafka-go/protocol"
)

// maxResponse is the most bytes taken from a broker at once: the largest batch, and what comes with it.
const maxResponse = maxInflated + 1<<20

// fetchRequest asks for records of one partition. kafka-go's Transport finds the leader, dials, speaks TLS and SASL and pools the
// connection; as a protocol.RawExchanger the request writes and reads its own bytes, which no other way through kafka-go shows whole:
// aborted transactions, log start, holes of compacted topics.
//
// A request is used once. Its buffer may still be written to after RoundTrip gave up waiting, so it is only taken over from an answer.
type fetchRequest struct {
	topic    string
	part     int32
	offset   int64
	maxBytes int32
	maxWait  int32 // ms
	client   string
	buf      []byte // memory to read the answer into
}

type fetchResponse struct{ body []byte }

var _ protocol.RawExchanger = (*fetchRequest)(nil)

func (*fetchResponse) ApiKey() protocol.ApiKey                { return protocol.Fetch }
func (*fetchRequest) ApiKey() protocol.ApiKey                 { return protocol.Fetch }
func (*fetchRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// Broker is the partition's leader.
func (r *fetchRequest) Broker(c protocol.Cluster) (b protocol.Broker, err error) {
	t, ok := c.Topics[r.topic]
	if !ok {
		return b, protocol.NewErrNoTopic(r.topic)
	}
	p, ok := t.Partitions[r.part]
	if !ok {
		return b, protocol.NewErrNoPartition(r.topic, r.part)
	}
	if b, ok = c.Brokers[p.Leader]; !ok {
		return b, protocol.NewErrNoLeader(r.topic, r.part)
	}
	return b, nil
}

var be = binary.BigEndian

func (r *fetchRequest) encode(correlation uint32) []byte {
	if len(r.topic) > math.MaxInt16 || len(r.client) > math.MaxInt16 {
		panic("kafka: topics are at most 249 bytes long, client ids come from the configuration")
	}
	text := func(b []byte, s string) []byte { return append(be.AppendUint16(b, uint16(len(s))), s...) }
	const none = math.MaxUint32 // -1
	b := make([]byte, 4, 128+len(r.topic)+len(r.client))
	b = be.AppendUint16(b, uint16(protocol.Fetch))
	b = be.AppendUint16(b, fetchVersion)
	b = be.AppendUint32(b, correlation)
	b = text(b, r.client)
	b = be.AppendUint32(b, none) // replica: a consumer
	b = be.AppendUint32(b, uint32(r.maxWait))
	b = be.AppendUint32(b, 1) // at least one byte
	b = be.AppendUint32(b, uint32(r.maxBytes))
	b = append(b, 1)             // read_committed
	b = be.AppendUint32(b, 0)    // session
	b = be.AppendUint32(b, none) // session epoch: no session
	b = be.AppendUint32(b, 1)    // topics
	b = text(b, r.topic)
	b = be.AppendUint32(b, 1) // partitions
	b = be.AppendUint32(b, uint32(r.part))
	b = be.AppendUint32(b, none) // leader epoch: unknown
	b = be.AppendUint64(b, uint64(r.offset))
	b = be.AppendUint64(b, math.MaxUint64) // log start of a follower
	b = be.AppendUint32(b, uint32(r.maxBytes))
	b = be.AppendUint32(b, 0) // forgotten topics
	b = text(b, "")           // rack
	be.PutUint32(b, uint32(len(b)-4))
	return b
}

// RawExchange follows protocol.RawExchanger. One request at a time is on a pooled connection, so any correlation id serves.
func (r *fetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	const correlation = 7
	if _, err := rw.Write(r.encode(correlation)); err != nil {
		return nil, fmt.Errorf("ask for records: %w", err)
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	n := int64(int32(be.Uint32(head[:]))) - 4
	if n < 0 || n > maxResponse {
		return nil, fmt.Errorf("an answer of %d bytes: %w", n, errMalformed)
	}
	if be.Uint32(head[4:]) != correlation {
		return nil, fmt.Errorf("an answer to another question: %w", errMalformed)
	}
	body := r.buf
	if int64(cap(body)) < n {
		body = make([]byte, n+n/4)
	}
	body = body[:n]
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return &fetchResponse{body}, nil
}

// errMalformed says that bytes do not follow the protocol or the format of record batches.
var errMalformed = errors.New("malformed")
