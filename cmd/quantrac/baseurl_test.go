package main

import (
	"os"
	"testing"
)

func TestBaseURL(t *testing.T) {
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	f := func(http, base, want string, advised bool, proxies ...string) {
		t.Helper()
		c := serveCmd{HTTP: http, BaseURL: base, TrustedProxies: proxies}
		if got := c.baseURL(); got != want || len(c.advise()) > 0 != advised {
			t.Errorf("http %q, base-url %q, proxies %v: %q, %q; want %q", http, base, proxies, got, c.advise(), want)
		}
	}
	f("localhost:8420", "", "http://localhost:8420", false)
	f("[::1]:8420", "", "http://[::1]:8420", false)
	f(":8420", "", "http://"+machine+":8420", true)
	f("0.0.0.0:8420", "", "http://"+machine+":8420", true)
	f("[::]:8420", "", "http://"+machine+":8420", true)
	f("192.0.2.1:8420", "", "http://192.0.2.1:8420", true)
	f("localhost:8420", "", "http://localhost:8420", true, "127.0.0.1")
	f(":8420", "https://quantrac.example.vn/", "https://quantrac.example.vn", false)
	f(":8420", "https://example.vn/quantrac", "https://example.vn/quantrac", false, "127.0.0.1")
}
