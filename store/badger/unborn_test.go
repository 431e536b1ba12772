package badger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A process that is killed while a log is made leaves one without a length: the store opens all the same, with everything in it. Found by
// the fault harness (row kill, seed 11).
func TestLogWithoutALength(t *testing.T) {
	for pattern, next := range map[string]string{"*.mem": "%05d.mem", "*.vlog": "%06d.vlog"} {
		t.Run(pattern, func(t *testing.T) {
			db, cfg := fill(t)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			state := filepath.Join(cfg.Dir, "state")
			newest := 0
			logs, err := filepath.Glob(filepath.Join(state, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range logs {
				var n int
				if _, err := fmt.Sscanf(filepath.Base(l), "%d", &n); err != nil {
					t.Fatal(err)
				}
				newest = max(newest, n)
			}
			if err := os.WriteFile(filepath.Join(state, fmt.Sprintf(next, newest+1)), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if refused, missing := whole(t, cfg); refused != nil || missing != 0 {
				t.Errorf("%d records are missing, refused: %v", missing, refused)
			}
		})
	}
}
