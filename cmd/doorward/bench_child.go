package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// child is another process of the same program: a hidden part of bench that talks in lines of JSON, so that its CPU and memory are its own.
type child struct {
	part    string
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

func startChild(ctx context.Context, t *terminal, part string, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	c := &child{part: part, command: exec.CommandContext(ctx, program, append([]string{"bench", part}, args...)...)}
	c.command.Stderr = t.talk
	if c.in, err = c.command.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", part, err)
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", part, err)
	}
	c.out = bufio.NewScanner(out)
	c.out.Buffer(nil, 1<<20)
	if err := c.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", part, err)
	}
	return c, nil
}

func (c *child) read(into any) error {
	if !c.out.Scan() {
		return errors.Join(fmt.Errorf("%s ended: %w", c.part, io.ErrUnexpectedEOF), c.out.Err())
	}
	if err := json.Unmarshal(c.out.Bytes(), into); err != nil {
		return fmt.Errorf("what %s says: %w", c.part, err)
	}
	return nil
}

func (c *child) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err = c.in.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("tell %s: %w", c.part, err)
	}
	return nil
}

// ask writes v and reads the answer.
func (c *child) ask(v, into any) error {
	if err := c.write(v); err != nil {
		return err
	}
	return c.read(into)
}

// end lets the process finish: its input ends. It reads to the end what the process still says.
func (c *child) end() {
	c.in.Close()
	for c.out.Scan() {
	}
	c.command.Wait() // how it ended was said on stderr; the measurement is over
}

// kill does not let it finish.
func (c *child) kill() {
	c.command.Process.Kill()
	c.command.Wait()
}

// line writes v as a line of JSON, whatever -o says.
func (t *terminal) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = t.out.Write(append(b, '\n'))
	return err
}

// orders calls f with each line of JSON that the parent writes, until it writes no more.
func orders[T any](t *terminal, f func(T) error) error {
	in := bufio.NewScanner(t.in)
	for in.Scan() {
		var o T
		if err := json.Unmarshal(in.Bytes(), &o); err != nil {
			return fmt.Errorf("an order: %w", err)
		}
		if err := f(o); err != nil {
			return err
		}
	}
	return in.Err()
}

// cpuTime is this process's user and system time.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic("getrusage of oneself has no way to fail: " + err.Error())
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// residentBytes is this process's memory; 0 where the system does not tell.
func residentBytes() int64 { return procField("/proc/self/status", "VmRSS:") << 10 }

// writtenBytes is what this process has sent to its disks; 0 where the system does not tell.
func writtenBytes() int64 { return procField("/proc/self/io", "write_bytes:") }

// procField is the first number behind a name in a file of /proc.
func procField(file, name string) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), name)
	var n int64
	if _, err := fmt.Sscan(rest, &n); err != nil {
		return 0
	}
	return n
}

// openFiles is how many file descriptors this process has; 0 where the system does not tell.
func openFiles() int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(files)
}

// blocks is what a file takes on its disk.
func blocks(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
