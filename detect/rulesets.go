package detect

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"time"

	"doorward/rules"
	"doorward/rules/window"
	"doorward/store"
)

// Every rule set that was ever in force stays in the store (store.KindRuleSet, fingerprint, piece): the files it was made of, compressed,
// written in the commit whose line of the shard's log names it. So a replay changes rules where the shard did, whatever the operator's
// directory holds by then.

// maxRuleText bounds what a stored rule set may unpack to, in bytes: thousands of times the shipped rules.
const maxRuleText = 256 << 20

// ruleSetPairs are the records that keep a rule set.
func ruleSetPairs(set *rules.Set) ([]store.Pair, error) {
	text, err := json.Marshal(set.Files())
	if err != nil {
		return nil, fmt.Errorf("encode a rule set: %w", err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(text)
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("pack a rule set: %w", err)
	}
	var pairs []store.Pair
	for n := uint32(0); packed.Len() > 0; n++ {
		pairs = append(pairs, store.Pair{Key: ruleSetKey(set.Fingerprint(), n), Value: bytes.Clone(packed.Next(pieceSize))})
	}
	return pairs, nil
}

func ruleSetKey(fingerprint string, n uint32) []byte {
	return binary.BigEndian.AppendUint32(append(store.Key(store.KindRuleSet, fingerprint), 0), n)
}

// loadRuleSet reads and compiles a rule set that was in force.
func loadRuleSet(ctx context.Context, engine store.Engine, fingerprint string) (*rules.Set, error) {
	prefix := append(store.Key(store.KindRuleSet, fingerprint), 0)
	var packed []byte
	if err := engine.Scan(ctx, prefix, store.After(prefix), false, func(_, v []byte) bool { packed = append(packed, v...); return true }); err != nil {
		return nil, fmt.Errorf("read rule set %.12s: %w", fingerprint, err)
	}
	if len(packed) == 0 {
		return nil, fmt.Errorf("rule set %.12s is not in the store", fingerprint)
	}
	set, err := unpackRuleSet(packed)
	if err != nil {
		return nil, fmt.Errorf("rule set %.12s: %w", fingerprint, err)
	}
	if set.Fingerprint() != fingerprint {
		return nil, fmt.Errorf("rule set %.12s: this program makes %.12s of its text: it reads rules otherwise than the one that wrote it", fingerprint, set.Fingerprint())
	}
	return set, nil
}

func unpackRuleSet(packed []byte) (*rules.Set, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxRuleText))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	var files []rules.File
	if err := json.Unmarshal(text, &files); err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return rules.LoadFiles(files)
}

// terms are what decides beside what is taken in and the rules, stored at store.KindProgress, shard, "terms", fingerprint. Names are added,
// never changed.
type terms struct {
	Program   string        `json:"program,omitempty"` // whose evaluation it was
	Geo       []string      `json:"geo,omitempty"`     // the operator's databases of places
	Probation time.Duration `json:"probation"`         // ns
	Reports   string        `json:"reports,omitempty"`
	Budget    int           `json:"budget"`  // records of windows per kind of key
	Repeats   int           `json:"repeats"` // identities remembered
}

func (v *Evaluator) terms() terms {
	c := &v.config
	return terms{c.Program, c.Geo, c.Probation, c.Reports, c.Budget, c.repeats}
}

func (t terms) encode() []byte {
	b, err := json.Marshal(t)
	if err != nil {
		panic("detect: texts and numbers always encode: " + err.Error())
	}
	return b
}

func (t terms) id() string {
	h := fnv.New64a()
	h.Write(t.encode())
	return hex.EncodeToString(h.Sum(nil))
}

// changed notes which windows of l the layout before it did not have, when the rules change at a shard's clock.
func (k knownFrom) changed(before, l *window.Layout, clock time.Time) {
	had := map[string]bool{}
	for slot := range before.Len() {
		had[before.Spec(slot).Text()] = true
	}
	for slot := range l.Len() {
		if text := l.Spec(slot).Text(); !had[text] { // one that comes back has missed what came meanwhile
			k[text] = clock
		}
	}
}

// tell makes windows unknown that were added later.
func (k knownFrom) tell(m *window.Memory) {
	l := m.Layout()
	for slot := range l.Len() {
		if from, ok := k[l.Spec(slot).Text()]; ok {
			m.KnownFrom(slot, from)
		}
	}
}

// begun is since which sequence windows go on without a gap: of those that were added to a rule set, or came back, when the rules changed. What
// pieces from before hold of one that was there in an earlier life does not go on: whether a record still holds it depends on when the record
// changed and on when a checkpoint was written, and neither is in the log.
type begun map[string]uint64

// readBegun is what is stored, and what begins with the rule set that is to be in force.
func (s *Shard) readBegun(ctx context.Context) (begun, error) {
	b, err := s.config.Store.Get(ctx, s.progressKey("begun"), s.progressKey("layout", s.progress.Layout))
	if err != nil {
		return nil, fmt.Errorf("read windows' beginnings: %w", err)
	}
	all := begun{}
	if b[0] != nil {
		if err := json.Unmarshal(b[0], &all); err != nil {
			return nil, fmt.Errorf("read windows' beginnings: %w: %w", errNotOurs, err)
		}
	}
	if b[1] == nil {
		return all, nil
	}
	old, err := window.UnmarshalLayout(b[1])
	if err != nil {
		return nil, fmt.Errorf("read layout: %w: %w", errNotOurs, err)
	}
	for _, text := range s.evaluator.config.Rules.Layout().Begun(old) {
		all[text] = s.progress.Sequence + 1
	}
	return all, nil
}

func (b begun) encode() []byte {
	e, err := json.Marshal(b)
	if err != nil {
		panic("detect: texts and numbers always encode: " + err.Error())
	}
	return e
}

// after are the windows that begin after a sequence.
func (b begun) after(sequence uint64) (texts []string) {
	for text, from := range b {
		if from > sequence {
			texts = append(texts, text)
		}
	}
	return texts
}
