package window

import "fmt"

// Check reads the frames that Dirty or Page wrote, one behind another: each whole, of a known version, and as its checksum says. It needs no
// memory of its own and keeps nothing.
func Check(b []byte) error {
	for len(b) > 0 {
		_, _, rest, err := openFrame(b)
		if err != nil {
			return fmt.Errorf("check windows: %w", err)
		}
		b = rest
	}
	return nil
}
