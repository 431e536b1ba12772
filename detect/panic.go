package detect

import (
	"errors"
	"fmt"
	"strings"

	"doorward/rules/event"
)

// A panic while an event is taken in is a fault of this program, and this event's alone: the engine lives, and so does the partition
// (reference: security F-26). Its memory may be half changed, so that it is dropped as after a commit that failed, with the whole batch,
// and loaded again. When the record comes again it is not evaluated: it goes to the dead letters with reason internal, and the shard's log
// says so, because a replay would panic as well, and a program that is mended would find what this one did not. Nothing is decided of it:
// no state changes and no call is answered.

// recordAt is a record of the shard's partition.
type recordAt struct {
	topic  string
	offset int64
}

var errPanicked = errors.New("the program failed at a record; what was not stored is taken in again")

// panicked notes what a panic was about: the record in hand. When many were, as they were looked ahead at, the next try finds out which:
// it looks at each of them alone, and at those before them in the batch.
func (s *Shard) panicked(inHand []Record, before int, cause any, stack []byte) error {
	s.evaluator.counts.Panics++
	if len(inHand) != 1 {
		s.alone = before + len(inHand)
		s.config.Log.Error("panic while looking ahead", "shard", s.n, "panic", cause, "stack", string(stack))
		return errPanicked
	}
	at := &inHand[0]
	problem := fmt.Sprint(cause)
	problem = strings.ToValidUTF8(problem[:min(len(problem), maxDeadProblem)], "")
	s.config.Log.Error("panic while evaluating an event; it goes to the dead letters", "shard", s.n, "topic", at.Topic, "offset", at.Offset,
		"panic", problem, "stack", string(stack))
	if s.failed == nil {
		s.failed = map[recordAt]*event.Error{}
	}
	s.failed[recordAt{at.Topic, at.Offset}] = &event.Error{Code: event.Internal, Problem: "doorward failed while evaluating it (" + problem +
		"): report this, and replay it with a version that is mended"}
	return fmt.Errorf("%w: offset %d of topic %s", errPanicked, at.Offset, at.Topic)
}

// failedAt is why a record is not evaluated; nil: it is.
func (s *Shard) failedAt(r *Record) *event.Error {
	if len(s.failed) == 0 {
		return nil
	}
	return s.failed[recordAt{r.Topic, r.Offset}]
}

// ahead is how many records are looked ahead at.
func (s *Shard) ahead() int {
	if s.alone > 0 {
		s.alone--
		return 1
	}
	return aheadRecords
}

// passed forgets the records that a commit is past.
func (s *Shard) passed() {
	for at := range s.failed {
		if s.position(at.topic).Offset > at.offset {
			delete(s.failed, at)
		}
	}
}
