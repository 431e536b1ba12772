package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// listenPrivate listens on a unix socket that only its owner can use, from its first moment.
func listenPrivate(path string) (net.Listener, error) {
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}

// serveUntil serves until ctx ends, then gives running requests five seconds.
func serveUntil(ctx context.Context, server *http.Server, l net.Listener) error {
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("listener %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		server.Close() // streams that never end are cut
	}
	<-done
	return nil
}

// newServer is a server with limits on everything that comes from outside (reference: security S-42).
func newServer(h http.Handler, certificate *tls.Config) *http.Server {
	return &http.Server{
		Handler: h, TLSConfig: certificate, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
}

// site is one of the listeners with what answers there.
type site struct {
	name    string
	address string
	handler http.Handler
	l       net.Listener
}

// listen opens a listener; spare takes any free port when the wanted one is taken (the demo).
func listen(address string, spare bool) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l, nil
	}
	if spare && errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(address)
		return net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another program: set another address, or stop that program", address)
	}
	return nil, err
}

// loadCertificate is the certificate of all listeners; nil without one.
func (c *Config) loadCertificate() (*tls.Config, error) {
	if c.TLS.CertFile == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile)
	if err != nil {
		return nil, fail(exitUsage, "tls.cert_file, tls.key_file: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// publicURL is by which browsers reach a site: as set, or the address it listens on.
func (c *Config) publicURL(l listener) string {
	if l.PublicURL != "" {
		return strings.TrimSuffix(l.PublicURL, "/")
	}
	scheme := "http"
	if c.TLS.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + l.Listen
}

func (c *Config) consoleURL() string { return c.publicURL(c.Console) }
func (c *Config) portalURL() string  { return c.publicURL(c.Portal) }
