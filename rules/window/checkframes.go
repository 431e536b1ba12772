package window

import "fmt"

// Check reads what Dirty or Page wrote under the stored layout, and keeps nothing of it: frames whole, every record as long as its layout
// says. Several frames may follow one another.
func Check(b []byte, stored *Layout) error {
	for len(b) > 0 {
		version, entries, rest, err := openFrame(b)
		if err == nil {
			err = walk(version, entries, stored, func(byte, int, int64, []byte) {})
		}
		if err != nil {
			return fmt.Errorf("check windows: %w", err)
		}
		b = rest
	}
	return nil
}
