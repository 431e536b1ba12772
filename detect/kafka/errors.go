package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// ConnectError says which step towards a broker failed and what to do about it.
type ConnectError struct {
	Step   string // reach, tls, greet, sign in, ask
	Broker string // host:port as configured
	Advice string // one sentence: what to check or change
	Err    error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("connect to Kafka at %s: %s: %v. %s", e.Broker, e.Step, e.Err, e.Advice)
}
func (e *ConnectError) Unwrap() error { return e.Err }

// GapError says that records which were never read are gone: the topic's retention was shorter than the pause.
type GapError struct {
	Topic     string
	Partition int
	From, To  int64 // lost are the offsets From <= offset < To
}

func (e *GapError) Error() string {
	return fmt.Sprintf("topic %s, partition %d: records %d to %d are lost: the broker deleted them before they were read. "+
		"Lengthen the topic's retention; what to do about the loss is an operator's decision", e.Topic, e.Partition, e.From, e.To-1)
}

// RecreatedError says that the log is not the one that was read before: deleted and made again, truncated, or another cluster's.
type RecreatedError struct {
	Topic     string
	Partition int
	Offset    int64  // where reading should have gone on
	Problem   string // what differs
}

func (e *RecreatedError) Error() string {
	return fmt.Sprintf("topic %s, partition %d: the log was recreated: %s, and %d was to be read next. "+
		"Check that this is the right cluster; starting over on the new log is an operator's decision", e.Topic, e.Partition, e.Problem, e.Offset)
}

// BatchError says that the broker hands out something that can't be read, again and again.
type BatchError struct {
	Topic     string
	Partition int
	Offset    int64 // the first one that can't be read
	Err       error
}

func (e *BatchError) Error() string {
	return fmt.Sprintf("topic %s, partition %d, offset %d: the batch of records can't be read: %v", e.Topic, e.Partition, e.Offset, e.Err)
}
func (e *BatchError) Unwrap() error { return e.Err }

// TooLargeError says that a message is longer than its topic takes (max.message.bytes).
type TooLargeError struct {
	Topic string
	Index int // which of the published messages
	Size  int // its key, value and headers, in bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("publish to %s: a message of %d bytes is longer than the topic's max.message.bytes", e.Topic, e.Size)
}

// PartitionsError says that an input topic has not the partitions that shards were made from.
type PartitionsError struct {
	Topic     string
	Have, Was int
	Other     string // the topic that has Was partitions; empty: this topic, when it was last looked at
}

func (e *PartitionsError) Error() string {
	if e.Other != "" {
		return fmt.Sprintf("input topic %s has %d partitions, %s has %d: an account would live on two shards. "+
			"Give all input topics the same number of partitions and the same partitioner", e.Topic, e.Have, e.Other, e.Was)
	}
	return fmt.Sprintf("input topic %s has %d partitions now, it had %d: accounts' events go elsewhere than before. "+
		"Partitions of an input topic can't be added under a running Doorward", e.Topic, e.Have, e.Was)
}

// transient reports whether err is what a fresh, moving or restarting broker says, so that asking again helps
// (reference: architecture 6.4, 2.3k).
func transient(err error) bool {
	var code kafka.Error
	if errors.As(err, &code) {
		switch code {
		case kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition, kafka.RequestTimedOut,
			kafka.BrokerNotAvailable, kafka.ReplicaNotAvailable, kafka.NetworkException, kafka.GroupLoadInProgress,
			kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup, kafka.NotEnoughReplicas,
			kafka.NotEnoughReplicasAfterAppend, kafka.KafkaStorageError, kafka.FencedLeaderEpoch, kafka.UnknownLeaderEpoch,
			kafka.OffsetNotAvailable, kafka.PreferredLeaderNotAvailable, kafka.RebalanceInProgress, kafka.NotController,
			kafka.ListenerNotFound:
			return true
		}
		return false
	}
	var network net.Error
	var syscall *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition) || errors.Is(err, protocol.ErrNoLeader) ||
		errors.As(err, &syscall) || errors.As(err, &network)
}
