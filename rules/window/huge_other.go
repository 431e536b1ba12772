//go:build !linux

package window

// adviseHuge asks for huge pages where that can be done.
func adviseHuge([]byte) {}
