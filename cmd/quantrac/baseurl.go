package main

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// baseURL is where people reach the page, for links in messages. An address to
// listen on is none to go to where it is every address of the machine; then the
// machine's name stands in its place.
func (c *serveCmd) baseURL() string {
	if c.BaseURL != "" {
		return strings.TrimSuffix(c.BaseURL, "/")
	}
	host, port, err := net.SplitHostPort(c.HTTP)
	if err != nil {
		return "http://" + c.HTTP // check has refused it
	}
	return "http://" + net.JoinHostPort(reachable(host), port)
}

// reachable is a host to go to of one to listen on.
func reachable(host string) string {
	if a, err := netip.ParseAddr(host); host != "" && (err != nil || !a.IsUnspecified()) {
		return host
	}
	name, _ := os.Hostname() // a machine without a name is reached by nobody else
	return cmp.Or(name, "localhost")
}

func checkBaseURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%q: write https://HOST, as people type it", text)
	}
	return nil
}
