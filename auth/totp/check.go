package totp

import (
	"bytes"
	"encoding/json"
	"fmt"

	"doorward/auth"
)

// CheckStored reads a stored factor (a record of store.KindFactor) and opens its seed, whosever it is, and keeps nothing of it.
func (f *Factors) CheckStored(key, value []byte) error {
	account, name, found := bytes.Cut(key[1:], []byte{0})
	if !found || string(name) != active && string(name) != pending {
		return fmt.Errorf("there is no factor %.20q", name)
	}
	var r factor
	if err := json.Unmarshal(value, &r); err != nil {
		return fmt.Errorf("read a factor: %w", err)
	}
	if r.Format != factorFormat {
		return fmt.Errorf("read a factor: format %d is not known", r.Format)
	}
	_, err := f.open(auth.AccountID(account), &r)
	return err
}
