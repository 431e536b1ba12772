package storetest

import (
	"context"
	"errors"
	"sync"

	"doorward/store"
)

// ErrInjected is the error of a commit that Faulty failed.
var ErrInjected = errors.New("storetest: injected failure")

// Form is what an injected failure leaves behind.
type Form int

const (
	NotStored    Form = iota // the batch was not applied
	StoredFailed             // the batch was applied and is on disk, and its maker is told otherwise
)

// Faulty is an engine whose commits fail where a test says.
type Faulty struct {
	store.Engine

	mu      sync.Mutex
	commits int
	failAt  map[int]Form
}

// NewFaulty wraps an engine.
func NewFaulty(e store.Engine) *Faulty { return &Faulty{Engine: e, failAt: make(map[int]Form)} }

// FailAt lets the n-th commit from now on fail, counted from 1.
func (f *Faulty) FailAt(n int, form Form) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failAt[f.commits+n] = form
}

// Commits is how many commits were tried so far, failed ones among them.
func (f *Faulty) Commits() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits
}

// Commit implements store.Engine.
func (f *Faulty) Commit(ctx context.Context, b *store.Batch) ([]uint64, error) {
	f.mu.Lock()
	f.commits++
	form, fail := f.failAt[f.commits]
	f.mu.Unlock()
	if fail && form == NotStored {
		return nil, ErrInjected
	}
	positions, err := f.Engine.Commit(ctx, b)
	if fail && err == nil {
		return nil, ErrInjected
	}
	return positions, err
}
