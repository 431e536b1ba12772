package window

import (
	"encoding/hex"
	"testing"
)

// The vectors of the reference implementation: key 00..0f, message 00, 01, ... of the given length.
func TestHashIsSipHash128(t *testing.T) {
	var key [16]byte
	for i := range key {
		key[i] = byte(i)
	}
	h := newHasher(key)
	for n, want := range map[int]string{0: "a3817f04ba25a8e66df67214c7550293", 1: "da87c1d86b99af44347659119b22fc45"} {
		message := make([]byte, n)
		for i := range message {
			message[i] = byte(i)
		}
		if sum := h.sum(string(message)); hex.EncodeToString(sum[:]) != want {
			t.Errorf("hash of %d bytes = %x, want %s", n, sum, want)
		}
	}
	if h.sum("12345678") == h.sum("12345679") || h.sum("1234567") == h.sum("1234567\x00") || h.short("a") == newHasher([16]byte{9}).short("a") {
		t.Error("different messages or keys have one hash")
	}
}
