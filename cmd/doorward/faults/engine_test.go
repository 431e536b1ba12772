//go:build accept

package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// engine is a running serve.
type engine struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of its end; after done
	at   map[string]string

	mu    sync.Mutex
	said  []string // the newest lines
	crash []string // the first lines of a crash
}

// log is the end of what it said.
func (e *engine) log() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	lines := e.said[max(0, len(e.said)-30):]
	if len(e.crash) > 0 { // why a process of Go's died stands above what all of its goroutines did
		lines = e.crash
	}
	return strings.Join(lines, "\n")
}

// keep keeps a line.
func (e *engine) keep(line string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, begin := range []string{"panic: ", "fatal error: ", "unexpected fault", "SIG"} {
		if len(e.crash) > 0 && len(e.crash) < 40 || strings.HasPrefix(line, begin) {
			e.crash = append(e.crash, line)
			break
		}
	}
	if e.said = append(e.said, line); len(e.said) > 2000 {
		e.said = append([]string(nil), e.said[1000:]...)
	}
}

// logged reports whether a line with this text was said.
func (e *engine) logged(text string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.said {
		if strings.Contains(l, text) {
			return true
		}
	}
	return false
}

func (e *engine) kill() {
	e.cmd.Process.Kill() // it may have ended by itself
	<-e.done
}

func (e *engine) ended() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

func (w *world) running() *engine {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.engine
}

// launch starts serve. ready gets the listeners once, or is closed when serve ended before.
func (w *world) launch() (e *engine, ready <-chan struct{}) {
	w.Helper()
	e = &engine{cmd: w.command("serve"), done: make(chan struct{}), at: map[string]string{}}
	talk, err := e.cmd.StderrPipe()
	if err == nil {
		err = e.cmd.Start()
	}
	if err != nil {
		w.Fatal(err)
	}
	named := make(chan struct{})
	go func() { // ends with the process
		s := bufio.NewScanner(talk)
		s.Buffer(nil, 1<<20)
		first := true
		for s.Scan() {
			e.keep(s.Text())
			var l map[string]any
			if first && strings.Contains(s.Text(), `"msg":"ready"`) && json.Unmarshal(s.Bytes(), &l) == nil {
				for k, v := range l {
					e.at[k] = fmt.Sprint(v)
				}
				first = false
				close(named)
			}
		}
		e.err = e.cmd.Wait()
		close(e.done)
	}()
	return e, named
}

// begin starts serve and waits until it names its listeners.
func (w *world) begin() {
	w.Helper()
	e, named := w.launch()
	select {
	case <-named:
	case <-e.done:
		w.Fatalf("serve ended: %v\n%s", e.err, e.log())
	case <-time.After(time.Minute):
		e.kill()
		w.Fatalf("serve is not ready after a minute\n%s", e.log())
	}
	w.mu.Lock()
	w.engine = e
	w.mu.Unlock()
}

// start begins and waits until every shard is fed.
func (w *world) start() {
	w.Helper()
	w.begin()
	w.ready(2 * time.Minute)
}

func (w *world) ready(limit time.Duration) {
	w.Helper()
	w.await(limit, "every shard is fed", func() bool { ready, _ := w.readiness(); return ready })
}

// await waits for something of the running engine, and shows its log when it does not come.
func (w *world) await(limit time.Duration, what string, is func() bool) {
	w.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !is(); <-tick.C {
		e := w.running()
		if time.Now().After(end) || e.ended() {
			_, reasons := w.readiness()
			w.Fatalf("not within %v: %s (%s)\n%s", limit, what, reasons, e.log())
		}
	}
}

// kill is kill -9.
func (w *world) kill() { w.running().kill() }

// end asks serve to end; it does so within ten seconds and with code 0.
func (w *world) end() {
	w.Helper()
	e := w.running()
	began := time.Now()
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		w.Fatal(err)
	}
	select {
	case <-e.done:
	case <-time.After(30 * time.Second):
		e.kill()
		w.Fatalf("serve does not end\n%s", e.log())
	}
	if took := time.Since(began); e.err != nil || took > 10*time.Second {
		w.Errorf("serve ended after %v with %v\n%s", took, e.err, e.log())
	}
}

var quick = &http.Client{Timeout: 15 * time.Second}

// readiness is what /readyz says; false when nobody answers.
func (w *world) readiness() (ready bool, reasons string) {
	resp, err := quick.Get(w.running().at["metrics"] + "/readyz")
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	var r struct {
		Ready   bool
		Reasons []string
	}
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		return false, err.Error()
	}
	return r.Ready && resp.StatusCode == http.StatusOK, strings.Join(r.Reasons, "; ")
}

// metric is the value of one without labels.
func (w *world) metric(name string) (float64, error) {
	resp, err := quick.Get(w.running().at["metrics"] + "/metrics")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(l, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(v), 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}

// call is the platform's HTTP; status 0 when nobody answers.
func (w *world) call(ctx context.Context, method, path string, body, v any) (status int, raw string) {
	e := w.running()
	b, err := json.Marshal(body)
	if s, ok := body.(string); ok {
		b, err = []byte(s), nil
	}
	if err != nil {
		w.Error(err)
		return 0, ""
	}
	req, err := http.NewRequestWithContext(ctx, method, e.at["api"]+path, bytes.NewReader(b))
	if err != nil {
		w.Error(err)
		return 0, ""
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := quick.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	if v != nil && resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, v); err != nil {
			w.Errorf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return resp.StatusCode, string(text)
}

// record is the state that the API, the topic and the commands name.
type record struct {
	Account string   `json:"account"`
	State   string   `json:"state"`
	Refuse  []string `json:"refuse"`
	Version uint64   `json:"version"`
	Unknown bool     `json:"unknown"`
}

// administer asks the running engine through its socket, as the commands do.
func (w *world) administer(ctx context.Context, operation string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	path := filepath.Join(w.store, "admin.sock")
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://doorward/"+operation, bytes.NewReader(b))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", operation, text)
	}
	return json.Unmarshal(text, out)
}

func lastLine(s string) string { return s[strings.LastIndexByte(strings.TrimSpace(s), '\n')+1:] }
