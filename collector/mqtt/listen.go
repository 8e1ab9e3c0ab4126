package mqtt

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Listen opens the listeners of an address HOST:PORT. The host localhost is
// both 127.0.0.1 and ::1, on one port; an empty host is every address of the
// machine, of IPv4 and IPv6.
func Listen(addr string) ([]net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("MQTT address %q: %w", addr, err)
	}
	if host != "localhost" {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("MQTT: %w", err)
		}
		return []net.Listener{l}, nil
	}
	for range 10 {
		var ls []net.Listener
		ls, err = listenBoth(port)
		if err == nil {
			return ls, nil
		}
		if port != "0" || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf("MQTT: %w", err)
}

// listenBoth listens on both loopback addresses, with port 0 on the same free
// port. A machine without IPv6, or without IPv4, has one of them.
func listenBoth(port string) ([]net.Listener, error) {
	four, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil && !absent(err) {
		return nil, err
	}
	if err == nil {
		_, port, _ = net.SplitHostPort(four.Addr().String())
	}
	six, err6 := net.Listen("tcp6", net.JoinHostPort("::1", port))
	switch {
	case err6 == nil && err == nil:
		return []net.Listener{four, six}, nil
	case err6 == nil:
		return []net.Listener{six}, nil
	case err == nil && absent(err6):
		return []net.Listener{four}, nil
	}
	if err == nil {
		four.Close()
	}
	return nil, err6
}

// absent says whether the error means that the machine has no such address.
func absent(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}
