package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// lz4Frame compresses with the library's writer.
func lz4Frame(t testing.TB, text []byte, options ...lz4.Option) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lz4.NewWriter(&b)
	if err := w.Apply(options...); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLZ4: whatever kind of frame, the text comes out, behind what was there; cut anywhere it is an error; a limit is kept.
func TestLZ4(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var text, noise []byte
	for i := range 20_000 {
		text = fmt.Appendf(text, `{"id":"%d","amount":%d},`, i, r.IntN(50))
		noise = append(noise, byte(r.Uint32()))
	}
	for name, options := range map[string][]lz4.Option{
		"plain":    nil,
		"no sum":   {lz4.ChecksumOption(false)},
		"sums":     {lz4.BlockChecksumOption(true)},
		"size":     {lz4.SizeOption(uint64(len(text))), lz4.BlockSizeOption(lz4.Block64Kb)},
		"smallest": {lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)},
	} {
		for what, want := range map[string][]byte{"text": text, "noise": noise, "nothing": {}} {
			if name == "size" && what != "text" {
				continue
			}
			frame := lz4Frame(t, want, options...)
			got, err := unlz4([]byte("before"), frame, maxInflated)
			if err != nil || !bytes.Equal(got, append([]byte("before"), want...)) {
				t.Fatalf("%s %s: %d bytes, %v", name, what, len(got), err)
			}
			twice, err := unlz4(nil, append(bytes.Clone(frame), frame...), maxInflated)
			if err != nil || !bytes.Equal(twice, append(bytes.Clone(want), want...)) {
				t.Fatalf("%s %s, two frames: %d bytes, %v", name, what, len(twice), err)
			}
			for cut := 1; cut < len(frame); cut += 1 + cut/7 {
				if got, err := unlz4(nil, frame[:cut], maxInflated); err == nil {
					t.Fatalf("%s %s cut after %d of %d: %d bytes", name, what, cut, len(frame), len(got))
				}
			}
			if len(want) == 0 {
				continue
			}
			if _, err := unlz4(nil, frame, len(want)-1); !errors.Is(err, errBomb) {
				t.Errorf("%s %s over the limit: %v", name, what, err)
			}
			if _, err := unlz4(nil, frame, len(want)); err != nil {
				t.Errorf("%s %s at the limit: %v", name, what, err)
			}
		}
	}
}

// FuzzLZ4: what the library's reader reads, unlz4 reads the same, and nothing makes it read beyond its limits.
func FuzzLZ4(f *testing.F) {
	f.Add(lz4Frame(f, []byte("a few bytes, a few bytes, a few bytes")))
	f.Add(lz4Frame(f, bytes.Repeat([]byte("block "), 30_000), lz4.BlockSizeOption(lz4.Block64Kb), lz4.BlockChecksumOption(true)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		const limit = 1 << 20
		got, err := unlz4(nil, frame, limit)
		if len(got) > limit {
			t.Fatalf("%d bytes", len(got))
		}
		want, wrong := readLZ4(nil, frame, limit)
		if wrong == nil && len(frame) > 0 && (err != nil || !bytes.Equal(got, want)) {
			t.Errorf("%d bytes and %v, the library %d", len(got), err, len(want))
		}
	})
}
