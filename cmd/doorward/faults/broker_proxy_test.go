//go:build accept

package faults

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"
)

// proxy stands between Doorward and one node, and does to the bytes what networks do. Where the node says how itself and its neighbours
// are reached, the proxies' ports are put in place of theirs, so that Doorward stays behind the proxies and everybody else goes past them.
type proxy struct {
	l      net.Listener
	target string
	ports  map[string]string // as the nodes write their addresses -> as proxies'
	pumps  sync.WaitGroup

	mu     sync.Mutex
	way    weather
	turned chan struct{} // closed and made anew when the weather turns
	conns  map[net.Conn]bool
	closed bool
}

// weather is what the way is like. The zero value is a good one.
type weather struct {
	down  bool          // connections are cut, and new ones at once
	stall bool          // half-open: connections stay, new ones too, and no byte comes through
	delay time.Duration // before each piece of up to 16 KiB
	rate  int           // bytes a second; 0: as many as there are
	spoil []byte        // where this comes through from the broker, its last byte is another one
}

// proxies are one in front of each node.
func proxies(t *testing.T, nodes []string) (all []*proxy) {
	t.Helper()
	ports := map[string]string{}
	for _, node := range nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := &proxy{l: l, target: node, ports: ports, turned: make(chan struct{}), conns: map[net.Conn]bool{}}
		ports[wireAddress(t, node)] = wireAddress(t, p.addr())
		all = append(all, p)
	}
	for _, p := range all {
		p.pumps.Go(p.accept)
		t.Cleanup(p.close)
	}
	return all
}

// wireAddress is an address as Kafka's answers have it: the host's text, then the port in four bytes.
func wireAddress(t *testing.T, address string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	n, err2 := strconv.Atoi(port)
	if err != nil || err2 != nil {
		t.Fatalf("%s is not host:port", address)
	}
	return host + string(binary.BigEndian.AppendUint32(nil, uint32(n)))
}

func (p *proxy) addr() string { return p.l.Addr().String() }

// turn changes the weather. Connections that were stalled go on, as after a partition of the network that has healed.
func (p *proxy) turn(w weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.way = w
	close(p.turned)
	p.turned = make(chan struct{})
	if w.down {
		p.cut()
	}
}

// cut ends all connections; p.mu is held.
func (p *proxy) cut() {
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
}

func (p *proxy) close() {
	p.l.Close()
	p.mu.Lock()
	p.closed = true
	p.way = weather{down: true}
	close(p.turned)
	p.turned = make(chan struct{})
	p.cut()
	p.mu.Unlock()
	p.pumps.Wait()
}

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		down := p.way.down || p.closed
		p.mu.Unlock()
		var out net.Conn
		if !down {
			out, err = net.Dial("tcp", p.target)
		}
		if down || err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		down = p.way.down
		p.mu.Unlock()
		if down { // it turned meanwhile
			in.Close()
			out.Close()
		}
		p.pumps.Go(func() { p.pump(out, in, false) })
		p.pumps.Go(func() { p.pump(in, out, true) })
	}
}

// pump carries one direction until either end is closed.
func (p *proxy) pump(to, from net.Conn, answers bool) {
	defer func() {
		to.Close()
		from.Close()
		p.mu.Lock()
		delete(p.conns, to)
		delete(p.conns, from)
		p.mu.Unlock()
	}()
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		if answers {
			p.advertise(b[:n])
		}
		if n > 0 && p.pass(b[:n], answers) {
			_, err = to.Write(b[:n])
		}
		if err != nil {
			return
		}
	}
}

// advertise puts the proxies in the nodes' place. Answers with addresses are small: they come in one piece.
func (p *proxy) advertise(answer []byte) {
	for node, stand := range p.ports {
		for rest := answer; ; {
			i := bytes.Index(rest, []byte(node))
			if i < 0 {
				break
			}
			copy(rest[i:], stand)
			rest = rest[i+len(node):]
		}
	}
}

// pass lets a piece wait for as long as the weather wants; false: it is lost with its connection.
func (p *proxy) pass(piece []byte, answers bool) bool {
	began := time.Now()
	for {
		p.mu.Lock()
		w, turned := p.way, p.turned
		p.mu.Unlock()
		wait := w.delay
		if w.rate > 0 {
			wait += time.Duration(len(piece)) * time.Second / time.Duration(w.rate)
		}
		switch {
		case w.down:
			return false
		case w.stall:
			<-turned
			continue
		case time.Since(began) < wait:
			t := time.NewTimer(wait - time.Since(began))
			select {
			case <-t.C:
			case <-turned:
				t.Stop()
			}
			continue
		}
		if i := bytes.Index(piece, w.spoil); answers && len(w.spoil) > 0 && i >= 0 {
			piece[i+len(w.spoil)-1] ^= 1
		}
		return true
	}
}

// The proxy itself does what it says: what is tested through it would pass without.
func TestProxy(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	p := proxies(t, []string{echo.Addr().String()})[0]
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", p.addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	say := func(c net.Conn, text string, limit time.Duration) string {
		c.SetDeadline(time.Now().Add(limit))
		b := make([]byte, len(text))
		if _, err := io.WriteString(c, text); err != nil {
			return err.Error()
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return err.Error()
		}
		return string(b)
	}
	c := dial()
	if got := say(c, "hello", 5*time.Second); got != "hello" {
		t.Fatalf("in good weather: %q", got)
	}
	if got := say(c, wireAddress(t, p.target), 5*time.Second); got != wireAddress(t, p.addr()) {
		t.Errorf("the node's address comes through as %q", got)
	}
	p.turn(weather{spoil: []byte("hel")})
	if got := say(c, "hello", 5*time.Second); got != "hemlo" {
		t.Errorf("spoilt: %q", got)
	}
	p.turn(weather{stall: true})
	if got := say(c, "hello", 50*time.Millisecond); got == "hello" {
		t.Error("half-open, and bytes come through")
	}
	p.turn(weather{})
	c.SetDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Errorf("healed: %q %v", b, err)
	}
	p.turn(weather{down: true})
	if got := say(c, "hello", 5*time.Second); got == "hello" {
		t.Error("down, and bytes come through")
	}
	if got := say(dial(), "hello", 5*time.Second); got == "hello" {
		t.Error("down, and a new connection is good")
	}
	p.turn(weather{delay: 60 * time.Millisecond})
	began := time.Now()
	if got := say(dial(), "hello", 5*time.Second); got != "hello" || time.Since(began) < 100*time.Millisecond {
		t.Errorf("slow: %q after %v", got, time.Since(began))
	}
}
