//go:build accept

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// disk is a file system of its own (ext4 as it comes) on a loop device, whose backing file holds what a real disk would hold if the power
// went: what is only in the kernel's memory is not in it.
type disk struct {
	*testing.T
	file  string // the image
	loop  string // /dev/loopN
	mount string
}

// smallDisk is the size, in MiB, of a disk on which the store keeps 768 MiB free (D-7) and lays no ballast.
const smallDisk = 1500

// newDisk makes one of a size in MiB.
func newDisk(t *testing.T, mebibytes int64) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this row makes and mounts a loop device: run as root")
	}
	dir := t.TempDir()
	d := &disk{T: t, file: filepath.Join(dir, "image-0"), mount: filepath.Join(dir, "mount")}
	f, err := os.Create(d.file)
	if err == nil {
		err = errors.Join(f.Truncate(mebibytes<<20), f.Close(), os.Mkdir(d.mount, 0o700))
	}
	if err != nil {
		t.Fatal(err)
	}
	// lazy initialising would write in the background for minutes
	d.tool("mkfs.ext4", "-q", "-F", "-m", "0", "-N", "4096", "-J", "size=16", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.file)
	d.attach()
	t.Cleanup(d.detach)
	return d
}

// tool runs a program that has to work.
func (d *disk) tool(name string, args ...string) string {
	d.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		d.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// attach mounts the image; the kernel plays the file system's journal, as after a cut. Nobody repairs anything by hand.
func (d *disk) attach() {
	d.Helper()
	d.loop = d.tool("losetup", "--find", "--show", d.file)
	d.tool("mount", "-t", "ext4", d.loop, d.mount)
}

// detach is safe to call again. No process may have files open there.
func (d *disk) detach() {
	d.Helper()
	if d.loop == "" {
		return
	}
	d.tool("umount", d.mount)
	d.tool("losetup", "--detach", d.loop)
	d.loop = ""
}

// snapshot copies the image as it is at one moment: whoever writes must have been stopped, and what the kernel still had under way is
// waited for by copying until nothing has changed meanwhile.
func (d *disk) snapshot(to string) {
	d.Helper()
	if err := copyExtents(d.file, to); err != nil {
		d.Fatal(err)
	}
	for tries := 0; ; tries++ {
		same, err := refresh(d.file, to)
		if err != nil {
			d.Fatal(err)
		}
		if same {
			return
		}
		if tries == 100 {
			d.Fatal("the image does not come to rest")
		}
	}
}

// become goes on with another image, which must pass the check that a machine makes at its start.
func (d *disk) become(image string) {
	d.Helper()
	d.detach()
	os.Remove(d.file)
	d.file = image
	out, err := exec.Command("fsck.ext4", "-p", image).CombinedOutput()
	if e, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || e.ExitCode() > 1) {
		d.Fatalf("fsck.ext4 of the copy: %v\n%s", err, out)
	}
	d.attach()
}

// shutDown makes the file system fail every request from here on, without writing what is in memory: the power is gone while the engine is
// in the middle of whatever it does.
func (d *disk) shutDown() {
	d.Helper()
	f, err := os.Open(d.mount)
	if err != nil {
		d.Fatal(err)
	}
	defer f.Close()
	const ioctlShutdown, noLogFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH (linux/ext4.h)
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ioctlShutdown, noLogFlush); err != nil {
		d.Fatalf("shut the file system down: %v", err)
	}
}

const extent = 1 << 20

// copyExtents copies what a sparse file has, and makes holes of the rest.
func copyExtents(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	st, err := src.Stat()
	if err == nil {
		err = dst.Truncate(st.Size())
	}
	if err != nil {
		return err
	}
	b := make([]byte, extent)
	return eachExtent(src, st.Size(), func(at, n int64) error {
		if _, err := io.ReadFull(io.NewSectionReader(src, at, n), b[:n]); err != nil {
			return err
		}
		_, err := dst.WriteAt(b[:n], at)
		return err
	})
}

// refresh brings a copy up to date and reports whether it was.
func refresh(from, to string) (same bool, err error) {
	src, err := os.Open(from)
	if err != nil {
		return false, err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer dst.Close()
	st, err := src.Stat()
	if err != nil {
		return false, err
	}
	same = true
	b, was := make([]byte, extent), make([]byte, extent)
	err = eachExtent(src, st.Size(), func(at, n int64) error {
		if _, err := io.ReadFull(io.NewSectionReader(src, at, n), b[:n]); err != nil {
			return err
		}
		if _, err := io.ReadFull(io.NewSectionReader(dst, at, n), was[:n]); err != nil {
			return err
		}
		if bytes.Equal(b[:n], was[:n]) {
			return nil
		}
		same = false
		_, err := dst.WriteAt(b[:n], at)
		return err
	})
	return same, err
}

// eachExtent calls f for pieces of at most extent bytes of a file that are no holes.
func eachExtent(f *os.File, size int64, each func(at, n int64) error) error {
	for at := int64(0); at < size; {
		begin, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("find data: %w", err)
		}
		end, err := unix.Seek(int(f.Fd()), begin, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("find a hole: %w", err)
		}
		for at = begin; at < end; at += extent {
			if err := each(at, min(extent, end-at)); err != nil {
				return err
			}
		}
		at = end
	}
	return nil
}
