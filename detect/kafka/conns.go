package kafka

import (
	"context"
	"net"
	"sync"
)

// openConns are the group's connections, so that they can be cut.
type openConns struct {
	mu   sync.Mutex
	open map[net.Conn]bool
}

type openConn struct {
	net.Conn
	all *openConns
}

func (o *openConns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTime}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[net.Conn]bool{}
	}
	o.open[conn] = true
	return &openConn{conn, o}, nil
}

func (c *openConn) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c.Conn)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

func (o *openConns) cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for conn := range o.open {
		conn.Close()
	}
}
