package window

import (
	"encoding/binary"
	"math"
)

// Times inside records: milliseconds since 1970 plus one in 8 bytes, or seconds since 1970 plus one in 4, so that zeroed bytes mean
// "never". Times before 1970 count as 1970, seconds beyond 2106 as 2106.

func putMillis(b []byte, ms int64) { binary.LittleEndian.PutUint64(b, uint64(ms)+1) }

// millis is -1 for never.
func millis(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b)) - 1 }

func putSeconds(b []byte, s int64) {
	binary.LittleEndian.PutUint32(b, uint32(min(max(0, s), math.MaxUint32-1))+1)
}

// seconds is -1 for never.
func seconds(b []byte) int64 { return int64(binary.LittleEndian.Uint32(b)) - 1 }
