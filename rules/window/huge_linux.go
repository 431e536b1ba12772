package window

import "golang.org/x/sys/unix"

// adviseHuge asks for huge pages. A kernel that gives none costs time, nothing else, so its refusal is no error.
func adviseHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
