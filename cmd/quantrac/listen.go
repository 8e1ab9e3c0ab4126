package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
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

// brokerAddress takes the address of an MQTT broker apart: as the client
// library writes it, and the user it names.
func brokerAddress(address string) (broker, user string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", "", fmt.Errorf("%q: write it as mqtt://HOST:PORT or mqtts://HOST:PORT", address)
	}
	if _, ok := u.User.Password(); ok { // it would be printed and logged
		return "", "", fmt.Errorf("%s: leave the password out of the address; it has a setting of its own", u.Redacted())
	}
	user, u.User = u.User.Username(), nil
	port := ""
	switch u.Scheme {
	case "mqtt", "tcp":
		u.Scheme, port = "tcp", ":1883"
	case "mqtts", "ssl", "tls":
		u.Scheme, port = "ssl", ":8883"
	case "ws", "wss":
	default:
		return "", "", fmt.Errorf("%q: scheme %q is neither mqtt nor mqtts", address, u.Scheme)
	}
	if u.Port() == "" {
		u.Host += port
	}
	return u.String(), user, nil
}
