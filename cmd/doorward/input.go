package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"doorward/rules/event"
)

// line is one line of an event file with what came of decoding it.
type line struct {
	file   string
	number int
	raw    []byte
	event  *event.Event
	poison *event.Error
}

// maxLine is the longest line that is read: the largest event and its line end.
const maxLine = 1 << 20

// job is a batch of lines on its way through a worker; done is closed when all of it is decoded.
type job struct {
	lines []line
	done  chan struct{}
}

func (j *job) decode() {
	for i := range j.lines {
		j.lines[i].event, j.lines[i].poison = event.DecodeLine(j.lines[i].raw)
	}
	close(j.done)
}

// readEvents decodes the events of NDJSON files (gzip too, "-" is standard input) in batches by several workers and calls take for each
// line in the order of the input, whatever the batches and workers. Empty lines are skipped.
func readEvents(ctx context.Context, t *terminal, files []string, batch, workers int, what string, take func(*line) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := make(chan *job, workers)
	ordered := make(chan *job, 2*workers)
	var readErr error
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for j := range jobs {
				j.decode()
			}
		})
	}
	wg.Go(func() {
		defer close(jobs)
		defer close(ordered)
		readErr = readLines(ctx, t, files, batch, what, func(lines []line) bool {
			j := &job{lines, make(chan struct{})}
			for _, to := range []chan *job{jobs, ordered} {
				select {
				case <-ctx.Done():
					return false
				case to <- j:
				}
			}
			return true
		})
	})
	err := takeInOrder(ctx, ordered, take)
	if ctx.Err() != nil { // interrupted: whoever reads standard input may wait for ever, and nobody waits for it
		return ctx.Err()
	}
	cancel()
	for range ordered {
	}
	wg.Wait()
	if err == nil {
		err = readErr
	}
	return err
}

// takeInOrder calls take for each line of the jobs, each as soon as it and all before it are decoded.
func takeInOrder(ctx context.Context, ordered <-chan *job, take func(*line) error) error {
	for {
		var j *job
		select {
		case <-ctx.Done():
			return ctx.Err()
		case next, more := <-ordered:
			if !more {
				return nil
			}
			j = next
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-j.done:
		}
		for i := range j.lines {
			if err := take(&j.lines[i]); err != nil {
				return err
			}
		}
	}
}

// readLines cuts files into batches of lines.
func readLines(ctx context.Context, t *terminal, files []string, batch int, what string, send func([]line) bool) error {
	p := t.newProgress(what, totalSize(files), true)
	defer p.end()
	var before int64
	for _, name := range files {
		in, size, err := openInput(t, name)
		if err != nil {
			return err
		}
		counted := &countingReader{r: in}
		err = readFile(ctx, counted, name, batch, send, func() { p.to(before + counted.n) })
		in.Close()
		before += size
		if err != nil {
			return err
		}
	}
	return nil
}

func readFile(ctx context.Context, in io.Reader, name string, batch int, send func([]line) bool, moved func()) error {
	r := bufio.NewReaderSize(in, 1<<20)
	if magic, _ := r.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r = bufio.NewReaderSize(z, 1<<20)
	}
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	lines := make([]line, 0, batch)
	number := 0
	for s.Scan() {
		number++
		if len(s.Bytes()) == 0 {
			continue
		}
		lines = append(lines, line{file: name, number: number, raw: append([]byte(nil), s.Bytes()...)})
		if len(lines) == batch {
			if !send(lines) {
				return ctx.Err()
			}
			lines = make([]line, 0, batch)
			moved()
		}
	}
	if err := s.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return fmt.Errorf("%s:%d: the line is longer than 1 MiB; an event is at most 64 KiB", name, number+1)
		}
		return fmt.Errorf("%s:%d: %w", name, number+1, err)
	}
	if len(lines) > 0 && !send(lines) {
		return ctx.Err()
	}
	moved()
	return nil
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// openInput opens a file, or standard input for "-".
func openInput(t *terminal, name string) (io.ReadCloser, int64, error) {
	if name == "-" {
		return io.NopCloser(t.in), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if st.IsDir() {
		f.Close()
		return nil, 0, fmt.Errorf("%s is a directory, not a file of events", name)
	}
	return f, st.Size(), nil
}

func totalSize(files []string) (n int64) {
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil || f == "-" {
			return -1
		}
		n += st.Size()
	}
	return n
}
