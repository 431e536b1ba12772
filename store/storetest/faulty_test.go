package storetest_test

import (
	"errors"
	"fmt"
	"testing"

	"doorward/store"
	"doorward/store/storetest"
)

func TestFaulty(t *testing.T) {
	e := storetest.Open(t)
	f := storetest.NewFaulty(e)
	commit := func(n int) error {
		_, err := f.Commit(t.Context(), &store.Batch{Shard: store.NoShard, Put: []store.Pair{{Key: fmt.Append(nil, "z", n), Value: []byte("1")}}})
		return err
	}
	f.FailAt(2, storetest.NotStored)
	f.FailAt(3, storetest.StoredFailed)
	for n, c := range []struct {
		err    error
		stored bool
	}{1: {nil, true}, 2: {storetest.ErrInjected, false}, 3: {storetest.ErrInjected, true}, 4: {nil, true}} {
		if n == 0 {
			continue
		}
		err := commit(n)
		v, getErr := f.Get(t.Context(), fmt.Append(nil, "z", n))
		if getErr != nil {
			t.Fatal(getErr)
		}
		if !errors.Is(err, c.err) || (v[0] != nil) != c.stored {
			t.Errorf("commit %d: %v, stored %v; want %v, %v", n, err, v[0] != nil, c.err, c.stored)
		}
	}
	f.FailAt(1, storetest.NotStored) // from now on
	if err := commit(5); !errors.Is(err, storetest.ErrInjected) || f.Commits() != 5 {
		t.Errorf("commit 5 of %d: %v", f.Commits(), err)
	}
}
