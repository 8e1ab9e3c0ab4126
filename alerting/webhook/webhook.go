// Package webhook delivers warnings by HTTP POST as the Standard Webhooks
// specification says (standardwebhooks.com): the message as JSON, its id
// (episode.revision.epoch, the idempotency key), a timestamp, and a signature
// by HMAC-SHA256 for each secret of the subscription, so that a secret can be
// changed without losing a message.
//
// What it promises: a revision counts as delivered on any 2xx and on nothing
// else; redirects are not followed; the time is bounded; a target at a
// loopback, private or other special address is refused at the moment of
// connecting, whatever its name resolved to before, unless Options allow it;
// no proxy is used. 410 disables a subscription, Retry-After is honoured, 400,
// 413, 415 and 422 refuse the one revision.
//
// It implements outbox.Sender and imports its parent alerting and the root;
// cmd wires it.
package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"quantrac"
	"quantrac/alerting"
)

// Options of a sender. The zero value is the strict one.
type Options struct {
	// Clock stamps messages; SystemClock. Receivers compare the stamp with
	// their own time, so it is the true time also in a service whose clock is
	// driven by a recording.
	Clock quantrac.Clock
	// AllowPrivate lets deliveries go to loopback and private addresses, for
	// receivers on the province's own network, development and tests.
	AllowPrivate bool
	// AllowHTTP lets them go without TLS.
	AllowHTTP bool
	Timeout   time.Duration // of a delivery from connecting to the answer; 15 s
	UserAgent string        // "quantrac-webhook/1"
}

// maxAnswer is how much of an answer is read: for the log, and so that the
// connection can be used again.
const maxAnswer = 4 << 10

// Sender delivers webhooks. It may be used by several goroutines.
type Sender struct {
	o      Options
	client *http.Client
}

// New makes a sender.
func New(o Options) *Sender {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.UserAgent == "" {
		o.UserAgent = "quantrac-webhook/1"
	}
	s := &Sender{o: o}
	dialer := &net.Dialer{Timeout: min(o.Timeout, 10*time.Second), Control: s.control}
	s.client = &http.Client{
		Timeout: o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext,
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: o.Timeout,
			MaxResponseHeaderBytes: 32 << 10, MaxIdleConnsPerHost: 2, MaxIdleConns: 100, IdleConnTimeout: time.Minute,
			ForceAttemptHTTP2: true,
		},
	}
	return s
}

// Close ends idle connections.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Check says whether an address may be subscribed: its scheme and, if it is
// written as an IP address, where it leads. Names are judged when connecting.
func (s *Sender) Check(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return quantrac.Errorf(quantrac.Invalid, "webhook url: %w", err)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && s.o.AllowHTTP) {
		return quantrac.Errorf(quantrac.Invalid, "webhook url %q: https is required", u.Redacted())
	}
	if u.Hostname() == "" || u.User != nil {
		return quantrac.Errorf(quantrac.Invalid, "webhook url %q: a host and no credentials are wanted", u.Redacted())
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !s.o.AllowPrivate {
		return special(ip)
	}
	return nil
}

// control judges the address that is about to be connected to.
func (s *Sender) control(_, address string, _ syscall.RawConn) error {
	if s.o.AllowPrivate {
		return nil
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return special(ap.Addr())
}

// reserved are ranges that are no place for a receiver and that netip's
// methods do not name (IANA special-purpose registries).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // shared by carriers
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), // IPv4 in disguise
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("fec0::/10"),
}

// special returns an error for an address that is not a public unicast one.
func special(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	bad := !ip.IsValid() || ip.IsLoopback() || ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() ||
		ip.IsMulticast() || ip.IsInterfaceLocalMulticast() || ip.IsLinkLocalMulticast()
	for _, p := range reserved {
		bad = bad || p.Contains(ip)
	}
	if bad {
		return quantrac.Errorf(quantrac.Denied, "webhook address %s is private or special; not allowed", ip)
	}
	return nil
}

// ID is the message id of a revision, its idempotency key.
func ID(w *quantrac.Warning) string { return fmt.Sprintf("%s.%d.%d", w.ID, w.Revision, w.Epoch) }

// Send implements outbox.Sender.
func (s *Sender) Send(ctx context.Context, sub alerting.Subscription, w *quantrac.Warning) error {
	body, err := alerting.Message(w, false)
	if err != nil {
		return err
	}
	return s.deliver(ctx, sub, w, body)
}

// SendStanding implements outbox.Teller.
func (s *Sender) SendStanding(ctx context.Context, sub alerting.Subscription, w *quantrac.Warning) error {
	body, err := alerting.Message(w, true)
	if err != nil {
		return err
	}
	return s.deliver(ctx, sub, w, body)
}

// deliver posts the message of a revision.
func (s *Sender) deliver(ctx context.Context, sub alerting.Subscription, w *quantrac.Warning, body []byte) error {
	if err := s.Check(sub.URL); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := s.sign(req.Header, sub.Secrets, ID(w), body); err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.o.UserAgent)
	resp, err := s.client.Do(req)
	if err != nil {
		var uerr *url.Error
		if errors.As(err, &uerr) {
			err = uerr.Err // without the address, which may hold a token
		}
		return fmt.Errorf("webhook %s: %w", host(sub.URL), err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return s.judge(sub.URL, resp, answer)
}

// sign sets the three headers of the specification.
func (s *Sender) sign(h http.Header, secrets []alerting.Secret, id string, body []byte) error {
	now := s.o.Clock.Now()
	var sigs []string
	for _, x := range secrets {
		if x.Until != 0 && now >= x.Until {
			continue
		}
		wh, err := standardwebhooks.NewWebhook(x.Key)
		if err != nil {
			return fmt.Errorf("webhook secret cannot be used: %w", err)
		}
		sig, err := wh.Sign(id, now.Time(), body)
		if err != nil {
			return err
		}
		sigs = append(sigs, sig)
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Time().Unix(), 10))
	h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(sigs, " "))
	return nil
}

// judge maps an answer to what the outbox does.
func (s *Sender) judge(address string, resp *http.Response, answer []byte) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	err := fmt.Errorf("webhook %s answered %s: %.200q", host(address), resp.Status, answer)
	if resp.StatusCode/100 == 3 {
		err = fmt.Errorf("webhook %s answered %s; redirects are not followed", host(address), resp.Status)
	}
	f := &alerting.Failure{Err: err, RetryAfter: retryAfter(resp.Header.Get("Retry-After"), s.o.Clock.Now())}
	switch resp.StatusCode {
	case http.StatusGone:
		f.Gone = true
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		f.Refused = true
	}
	return f
}

// retryAfter reads the header: seconds, or a date.
func retryAfter(text string, now quantrac.Millis) time.Duration {
	if n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, t.Sub(now.Time()))
	}
	return 0
}

// host is what of an address may be logged: paths and queries hold tokens.
func host(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Scheme + "://" + u.Host
	}
	return "(bad address)"
}
