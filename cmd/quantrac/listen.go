package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen opens an address. localhost means both loopback addresses, IPv4 and
// IPv6, on one port; an empty host means every address of both families. A
// machine without IPv6 serves IPv4 alone.
func listen(ctx context.Context, address string) ([]net.Listener, error) {
	var lc net.ListenConfig
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q: write HOST:PORT, IPv6 hosts in brackets: %w", address, err)
	}
	if host != "localhost" {
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	v4, err4 := lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", port))
	if err4 == nil {
		_, port, _ = net.SplitHostPort(v4.Addr().String()) // the port chosen, where 0 was asked
	}
	v6, err6 := lc.Listen(ctx, "tcp6", net.JoinHostPort("::1", port))
	switch {
	case err4 != nil && err6 != nil:
		return nil, errors.Join(err4, err6)
	case err4 != nil && noFamily(err4):
		return []net.Listener{v6}, nil
	case err4 != nil:
		return nil, errors.Join(err4, v6.Close())
	case err6 != nil && noFamily(err6):
		return []net.Listener{v4}, nil
	case err6 != nil:
		return nil, errors.Join(err6, v4.Close())
	}
	return []net.Listener{v4, v6}, nil
}

// loopback says whether an address is reachable from this machine alone.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// noFamily says whether the machine lacks the address family altogether.
func noFamily(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

// checkAddress says what is wrong with HOST:PORT.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q: write HOST:PORT, IPv6 hosts in brackets: %w", address, err)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%q: %q is no port", address, port)
	}
	return nil
}
