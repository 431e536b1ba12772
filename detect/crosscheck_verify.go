package detect

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"doorward/rules/window"
	"doorward/store"
)

// VerifiedShard is what VerifyShard read of a shard.
type VerifiedShard struct {
	Sequence, Epoch, Checkpoint uint64
	Pages, Deltas               int
	Damages                     []Damage
}

// Damage is a record that is not as it was written.
type Damage struct {
	Key  []byte
	What string
}

// maxDamages bounds what is told of one shard: a store in which more is damaged is to be restored, not mended.
const maxDamages = 20

// VerifyShard reads what a shard would load: its epoch and progress, the pages of its newest whole checkpoint and the deltas behind it, each
// frame under the layout that it names, none of a sequence that the shard has not reached. It keeps nothing and changes nothing. A shard that
// runs meanwhile may delete what is being read: then it is read again.
func VerifyShard(ctx context.Context, engine store.Engine, n int) (v VerifiedShard, err error) {
	s := Shard{n: n, config: ShardConfig{Store: engine}}
	for range 5 {
		v = VerifiedShard{}
		p, ok, err := s.verifyProgress(ctx, &v)
		if err != nil || !ok {
			return v, err
		}
		c := pieceCheck{ctx: ctx, shard: &s, progress: p, layouts: map[string]*window.Layout{}, v: &v}
		if err := c.run(); err != nil {
			return v, err
		}
		after, _, err := s.verifyProgress(ctx, &VerifiedShard{})
		if err != nil {
			return v, err
		}
		if len(v.Damages) == 0 || after.Checkpoint == p.Checkpoint {
			return v, nil
		}
	}
	return v, nil
}

// verifyProgress reads epoch and progress; false: there is nothing to go on with.
func (s *Shard) verifyProgress(ctx context.Context, v *VerifiedShard) (p progress, ok bool, err error) {
	epochKey := store.Key(store.KindEpoch, store.Shard(s.n))
	b, err := s.config.Store.Get(ctx, epochKey, s.progressKey())
	if err != nil {
		return p, false, fmt.Errorf("read progress: %w", err)
	}
	if b[0] != nil && len(b[0]) < 8 {
		v.damaged(epochKey, "the epoch is cut short")
	} else if b[0] != nil {
		v.Epoch = binary.BigEndian.Uint64(b[0])
	}
	if b[1] == nil {
		return p, false, nil
	}
	if v.Epoch == 0 {
		v.damaged(epochKey, "the shard has progress and nobody ever claimed it")
	}
	if err := json.Unmarshal(b[1], &p); err != nil {
		v.damaged(s.progressKey(), "the progress can't be read: "+err.Error())
		return p, false, nil
	}
	v.Sequence, v.Checkpoint = p.Sequence, p.Checkpoint
	if p.Checkpoint > p.Sequence {
		v.damaged(s.progressKey(), fmt.Sprintf("the checkpoint began at %d, the shard is at %d", p.Checkpoint, p.Sequence))
	}
	for _, at := range p.Positions {
		if at.Topic == "" || at.Offset < 0 {
			v.damaged(s.progressKey(), fmt.Sprintf("offset %d of topic %q", at.Offset, at.Topic))
		}
	}
	return p, true, nil
}

func (v *VerifiedShard) damaged(key []byte, what string) {
	if len(v.Damages) < maxDamages {
		v.Damages = append(v.Damages, Damage{bytes.Clone(key), what})
	}
}

// pieceCheck reads pages and deltas as restoring does, and keeps nothing.
type pieceCheck struct {
	ctx      context.Context
	shard    *Shard
	progress progress
	layouts  map[string]*window.Layout
	v        *VerifiedShard

	content []byte // windows of the pieces that belong together
	of      []byte // the key of the first of them
	layout  string
	err     error
}

func (c *pieceCheck) run() error {
	shard := store.Shard(c.shard.n)
	pages := store.Key(store.KindCheckpoint, shard, c.progress.Checkpoint)
	deltas := store.Key(store.KindDelta, shard)
	for _, part := range []struct{ from, to []byte }{
		{pages, store.After(pages)},
		{store.Key(store.KindDelta, shard, c.progress.Checkpoint+1), store.After(deltas)},
	} {
		err := c.shard.config.Store.Scan(c.ctx, part.from, part.to, false, c.piece)
		if err = errors.Join(err, c.err); err == nil {
			err = c.flush()
		}
		if err != nil {
			return fmt.Errorf("read checkpoint of shard %d: %w", c.shard.n, err)
		}
	}
	if c.progress.Checkpoint > 0 && c.v.Pages == 0 && c.v.Deltas == 0 && c.progress.Sequence > c.progress.Checkpoint+1 {
		c.v.damaged(pages, "no page of the checkpoint is there")
	}
	return nil
}

func (c *pieceCheck) piece(key, value []byte) bool {
	if len(value) < 1+layoutIDSize || len(key) != 1+2+8+pieceNumberSize {
		c.v.damaged(key, "it is no piece of a checkpoint or delta")
		return true
	}
	if at := binary.BigEndian.Uint64(key[3:]); at > c.progress.Sequence {
		if c.later(at) {
			return false // the shard went on while this was read
		}
		c.v.damaged(key, fmt.Sprintf("it is of sequence %d, the shard is at %d", at, c.progress.Sequence))
		return true
	}
	same := bytes.Equal(key[:len(key)-pieceNumberSize], c.of) && key[0] == store.KindDelta && string(value[1:1+layoutIDSize]) == c.layout
	if key[0] == store.KindDelta {
		c.v.Deltas++
	} else {
		c.v.Pages++
	}
	if !same {
		if c.err = c.flush(); c.err != nil {
			return false
		}
		c.of, c.layout = append(c.of[:0], key[:len(key)-pieceNumberSize]...), string(value[1:1+layoutIDSize])
	}
	content := value[1+layoutIDSize:]
	switch value[0] {
	case pieceWindows:
		c.content = append(c.content, content...)
	case pieceSeen:
		if err := (&seenLoad{kept: 1}).take(content); err != nil {
			c.v.damaged(key, err.Error())
		}
	default:
		c.v.damaged(key, fmt.Sprintf("a piece of kind %q is not known", value[0]))
	}
	return true
}

// later reports whether the shard has come to a sequence since its progress was read.
func (c *pieceCheck) later(at uint64) bool {
	now, ok, err := c.shard.verifyProgress(c.ctx, &VerifiedShard{})
	return err == nil && ok && now.Sequence >= at
}

// flush checks the windows that were gathered.
func (c *pieceCheck) flush() error {
	content := c.content
	c.content = c.content[:0]
	if len(content) == 0 {
		return nil
	}
	l, known := c.layouts[c.layout]
	if !known {
		b, err := c.shard.config.Store.Get(c.ctx, c.shard.progressKey("layout", c.layout))
		if err != nil {
			return err
		}
		if b[0] == nil {
			c.v.damaged(c.shard.progressKey("layout", c.layout), "the layout that pieces name is not there")
		} else if l, err = window.UnmarshalLayout(b[0]); err != nil {
			c.v.damaged(c.shard.progressKey("layout", c.layout), err.Error())
			l = nil
		}
		c.layouts[c.layout] = l
	}
	if l == nil {
		return nil
	}
	if err := window.Check(content); err != nil {
		c.v.damaged(c.of, err.Error())
	}
	return nil
}
