package accounts

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"quantrac"
)

// ParseProxies reads addresses and networks: 10.0.0.7, 10.0.0.0/24, ::1.
func ParseProxies(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if addr, aerr := netip.ParseAddr(text); aerr == nil && addr.Zone() == "" {
			p, err = addr.Unmap().Prefix(addr.Unmap().BitLen())
		}
		if err != nil {
			return nil, quantrac.Errorf(quantrac.Invalid, "%q: want an address such as 10.0.0.7 or ::1, or a network such as 10.0.0.0/24", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// clientAddr returns the address of who asks: the last one in the line of
// forwarding that is no proxy of ours. What stands before it anybody may have
// written.
func (g *guard) clientAddr(r *http.Request) string {
	addr, ok := peer(r)
	if !ok {
		return r.RemoteAddr
	}
	line := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	if line != "" && !g.trusted(addr) && (addr.IsLoopback() || addr.IsPrivate()) {
		g.unnamed.Do(func() {
			g.store.o.Logger.Warn("requests are forwarded by a proxy that is not among the trusted ones: in sign-in limits and audit log it stands for everybody behind it", "proxy", addr)
		})
	}
	hops := strings.Split(line, ",")
	for i := len(hops) - 1; i >= 0 && g.trusted(addr); i-- {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		addr = hop
	}
	return addr.String()
}

// parseHop reads an address as proxies write it, some with a port.
func parseHop(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap(), true
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap(), err == nil
}

// peer is the other end of the connection.
func peer(r *http.Request) (netip.Addr, bool) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return from.Addr().Unmap(), err == nil
}

func (g *guard) trusted(addr netip.Addr) bool {
	return slices.ContainsFunc(g.Proxies, func(p netip.Prefix) bool { return p.Contains(addr.WithZone("")) })
}

// secure says whether a request has come over TLS: to us, or to a proxy that
// is believed.
func (g *guard) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	addr, ok := peer(r)
	proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	return ok && g.trusted(addr) && strings.EqualFold(strings.TrimSpace(proto), "https")
}

type securedKey struct{}

func withSecured(ctx context.Context, yes bool) context.Context {
	return context.WithValue(ctx, securedKey{}, yes)
}

// secured says what the guard has found about a request's way here.
func secured(ctx context.Context) bool {
	yes, _ := ctx.Value(securedKey{}).(bool)
	return yes
}
