package badger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"doorward/store"

	"golang.org/x/sys/unix"
)

// Guard stops writing long before the disk is full, since Badger writes through mapped memory: on a full disk the kernel ends the
// process (SIGBUS), and ends it again at every start until there is room. Reading goes on. Writing resumes by itself.
type Guard struct {
	// Free tells the free and total bytes of the disk; nil asks the file system of the store.
	Free func() (free, total uint64, err error)
	// Least is the free bytes below which commits are refused, given the total; nil is LeastFree.
	Least func(total uint64) uint64
	// Every is how often Free is asked beside every group of commits; 0 is a second.
	Every time.Duration
	// Ballast is the size of the file that Create puts aside, in bytes: 0 is 256 MiB, below 0 none.
	Ballast int64
}

const (
	gib            = 1 << 30
	defaultBallast = 256 << 20
	// roomToOpen is what Badger may write before the first commit: a new log, and the tables of the logs it finds. Less than the
	// ballast, so that deleting that is enough.
	roomToOpen = 192 << 20
	// checkAfter is how much may be committed without asking for the free space again.
	checkAfter = 64 << 20
)

// LeastFree is the default: 10 % of the disk and at least 2 GiB (reference: security D-7), which on disks below 20 GiB would be too
// much to ask; there it is 10 % and at least 768 MiB, what five full write buffers and one compaction may take after the last commit.
func LeastFree(total uint64) uint64 {
	if total < 20*gib {
		return max(total/10, 768<<20)
	}
	return max(total/10, 2*gib)
}

// guard is a Guard at work.
type guard struct {
	Guard
	dir     string
	log     *slog.Logger
	full    atomic.Pointer[string] // why; nil: there is room
	written atomic.Int64           // bytes since the last look
	blind   atomic.Bool            // the last look failed
}

func newGuard(cfg Config) (*guard, error) {
	g := &guard{Guard: cfg.Guard, dir: cfg.Dir, log: cfg.log()}
	if g.Free == nil {
		g.Free = func() (uint64, uint64, error) { return statfs(g.dir) }
	}
	if g.Least == nil {
		g.Least = LeastFree
	}
	if g.Every == 0 {
		g.Every = time.Second
	}
	if g.Ballast == 0 {
		g.Ballast = defaultBallast
	}
	if g.Every < 0 {
		return nil, errors.New("opening the store: the disk guard's interval is negative")
	}
	g.look()
	return g, nil
}

func statfs(dir string) (free, total uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
}

// look asks for the free space and changes its mind only when the answer is clear: after a refusal there must be 5 % more than the
// least, so that a disk on the edge does not flap.
func (g *guard) look() {
	g.written.Store(0)
	free, total, err := g.Free()
	if err != nil {
		if !g.blind.Swap(true) {
			g.log.Error("the disk guard can't see the free space and keeps its last answer", "dir", g.dir, "err", err)
		}
		return
	}
	g.blind.Store(false)
	least := g.Least(total)
	switch was := g.full.Load(); {
	case was == nil && free < least:
		why := fmt.Sprintf("%d MiB are free on the disk of %s and %d are kept free; make room there (at worst delete %s), writing resumes by itself",
			free>>20, g.dir, least>>20, filepath.Join(g.dir, ballastName))
		if !g.full.CompareAndSwap(nil, &why) {
			return
		}
		g.log.Error("stopped writing: too little free disk", "dir", g.dir, "free", free, "least", least)
	case was != nil && free >= least+least/20:
		g.full.Store(nil)
		g.log.Warn("writing again: there is room on the disk", "dir", g.dir, "free", free)
	}
}

// allow refuses a commit of so many bytes when there is no room.
func (g *guard) allow(bytes int64) error {
	if g == nil {
		return nil
	}
	if g.written.Add(bytes) > checkAfter {
		g.look()
	}
	return g.refuse()
}

// now looks and refuses what is about to be written when there is no room: asking costs a microsecond, and a neighbour takes gibibytes in
// less time than is between two looks by the clock.
func (g *guard) now() error {
	if g == nil {
		return nil
	}
	g.look()
	return g.refuse()
}

func (g *guard) refuse() error {
	if why := g.full.Load(); why != nil {
		return fmt.Errorf("%w: %s", store.ErrFull, *why)
	}
	return nil
}

// watch looks until stop is closed.
func (g *guard) watch(stop <-chan struct{}) {
	t := time.NewTicker(g.Every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			g.look()
		case <-stop:
			return
		}
	}
}

func (g *guard) roomToStart() error {
	free, total, err := g.Free()
	if err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", g.dir, err)
	}
	if need := min(roomToOpen, g.Least(total)); free < need {
		return fmt.Errorf("%w: %d MiB are free on the disk of %s and opening the store may take %d; make room there (at worst delete %s), then start again",
			store.ErrFull, free>>20, g.dir, need>>20, filepath.Join(g.dir, ballastName))
	}
	return nil
}

const ballastName = "ballast"

// layBallast puts a file of zeros aside where the disk has ample room.
func (g *guard) layBallast() error {
	free, total, err := g.Free()
	if err != nil {
		return fmt.Errorf("asking for the free space of %s: %w", g.dir, err)
	}
	if g.Ballast < 0 || free < 2*g.Least(total)+uint64(g.Ballast) {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(g.dir, ballastName), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("laying the ballast: %w", err)
	}
	zeros := make([]byte, 1<<20)
	for left := g.Ballast; left > 0 && err == nil; left -= int64(len(zeros)) {
		_, err = f.Write(zeros[:min(left, int64(len(zeros)))])
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("laying the ballast: %w", err)
	}
	return nil
}
