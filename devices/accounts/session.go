package accounts

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"quantrac"
	"quantrac/internal/audit"
)

// WaitError says that a sign-in was refused unheard because too many failed.
type WaitError struct{ After time.Duration }

// Error implements error.
func (e *WaitError) Error() string {
	return fmt.Sprintf("too many failed attempts; try again in %s", e.After.Round(time.Second))
}

// errWrong is the same whatever was wrong.
var errWrong = errors.New("the name or the password is wrong")

// newSecret draws a secret, 260 bits, and its hash. One hash suffices: see
// the device tokens in package devices.
func newSecret() (secret string, hash [32]byte) {
	secret = rand.Text() + rand.Text()
	return secret, sha256.Sum256([]byte(secret))
}

// normalName brings a name to the form it is kept in.
func normalName(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Login checks a name and password and begins a session; the secret goes into
// the cookie. mark is the browser's, "" where it has none. Refusals are of kind
// Denied, or Busy with a WaitError.
func (s *Store) Login(ctx context.Context, name, password, mark string) (secret string, a Account, err error) {
	name = normalName(name)
	try, wait := s.limits.begin(name, audit.OriginFrom(ctx), s.knows(name, mark))
	if wait > 0 {
		return "", Account{}, quantrac.WithKind(quantrac.Busy, &WaitError{wait})
	}
	s.mu.RLock()
	found := s.accounts[name]
	s.mu.RUnlock()
	hash := s.dummy // as much work as for an account that is there
	if found != nil && found.password != "" {
		hash = found.password
	}
	ok, outdated, err := s.check(ctx, try, password, hash)
	if err != nil {
		return "", Account{}, err
	}
	if !ok || found == nil || found.password == "" || found.Disabled {
		s.failed(ctx, name)
		return "", Account{}, quantrac.WithKind(quantrac.Denied, errWrong)
	}
	try.succeed()
	var more []edit
	if outdated {
		more = append(more, edit{Password: &passwordEdit{Name: name, Hash: hashPassword(password, s.o.Cost), Keep: true}})
	}
	secret, err = s.begin(ctx, found, hash, "login", more...)
	return secret, found.Account, err
}

// lanes hold one token for each password being hashed: strangers' and those of
// people who are known.
type lanes struct{ strangers, known chan struct{} }

// strangersWait is how long a stranger's password waits to be hashed.
const strangersWait = 10 * time.Second

// check hashes the password of a try, a few at a time: each takes megabytes.
// Those who are known do not wait for strangers. A try that is not heard does
// not count.
func (s *Store) check(ctx context.Context, try *attempt, password, hash string) (ok, outdated bool, err error) {
	if len(password) > MaxPassword {
		return false, false, nil
	}
	lane := s.hashing.known
	if !try.known {
		lane = s.hashing.strangers
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, strangersWait, quantrac.WithKind(quantrac.Busy, &WaitError{firstBlock}))
		defer cancel()
	}
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	case <-ctx.Done():
		try.withdraw()
		return false, false, context.Cause(ctx)
	}
	ok, outdated = checkPassword(password, hash, s.o.Cost)
	return ok, outdated, nil
}

// begin starts a session of an account, unless the password that was checked
// is no longer the account's.
func (s *Store) begin(ctx context.Context, a *account, checked, action string, more ...edit) (secret string, err error) {
	secret, hash := newSecret()
	err = s.locked(ctx, func() error {
		s.mu.RLock()
		now := s.accounts[a.Name]
		s.mu.RUnlock()
		if now == nil || now.Disabled || now.password != checked {
			return quantrac.WithKind(quantrac.Denied, errWrong)
		}
		at := s.o.Clock.Now()
		edits := append(more, edit{Begin: &sessionEdit{
			Hash: hash[:], Account: a.Name, Created: at, Expires: at.Add(min(s.o.SessionIdle, s.o.SessionMax)), Ends: at.Add(s.o.SessionMax),
		}})
		return s.append(ctx, &audit.Event{Actor: a.Name, Role: a.Role, Action: action, Object: a.Name}, edits...)
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// Session returns whose session a secret is of.
func (s *Store) Session(secret string) (quantrac.Principal, bool) {
	_, a, ok := s.session(secret)
	if !ok {
		return quantrac.Principal{}, false
	}
	return principal(&a.Account), true
}

func principal(a *Account) quantrac.Principal {
	return quantrac.Principal{Name: a.Name, Role: a.Role, Stations: a.Stations}
}

func (s *Store) session(secret string) (*session, *account, bool) {
	if secret == "" || len(secret) > 200 {
		return nil, nil, false
	}
	hash := sha256.Sum256([]byte(secret))
	now := s.o.Clock.Now()
	s.mu.RLock()
	defer s.mu.RUnlock()
	x := s.sessions[hash]
	if x == nil || now >= x.expires || now >= x.end {
		return nil, nil, false
	}
	a := s.accounts[x.account]
	if a == nil || a.Disabled || x.revision <= a.signedOut {
		return nil, nil, false
	}
	return x, a, true
}

// touch moves the end of a session in use. It is written down only when a
// quarter of the idle time has passed, so that a page that polls is not a
// write a second.
func (s *Store) touch(ctx context.Context, secret string) {
	x, a, ok := s.session(secret)
	now := s.o.Clock.Now()
	if !ok || x.expires.Sub(now) > s.o.SessionIdle*3/4 || x.expires == x.end {
		return
	}
	err := s.locked(ctx, func() error {
		if y, _, ok := s.session(secret); !ok || y.expires != x.expires {
			return nil // somebody was quicker
		}
		hash := sha256.Sum256([]byte(secret))
		return s.append(ctx, nil, edit{Renew: &renewEdit{Hash: hash[:], Expires: min(x.end, now.Add(s.o.SessionIdle))}})
	})
	if err != nil { // the session goes on until it would have ended
		s.o.Logger.Warn("session could not be renewed", "account", a.Name, "error", err)
	}
}

// Logout ends a session; of one that is not there nothing happens.
func (s *Store) Logout(ctx context.Context, secret string) error {
	_, a, ok := s.session(secret)
	if !ok {
		return nil
	}
	hash := sha256.Sum256([]byte(secret))
	return s.locked(ctx, func() error {
		return s.append(ctx, &audit.Event{Actor: a.Name, Role: a.Role, Action: "logout", Object: a.Name}, edit{End: hash[:]})
	})
}

// ChangePassword changes one's own password, with the old one at hand, ends
// all sessions and begins a new one.
func (s *Store) ChangePassword(ctx context.Context, name, old, password string) (secret string, err error) {
	name = normalName(name)
	// Who asks is signed in as it; strangers' failures are none of their concern.
	try, wait := s.limits.begin(name, audit.OriginFrom(ctx), "signed in")
	if wait > 0 {
		return "", quantrac.WithKind(quantrac.Busy, &WaitError{wait})
	}
	s.mu.RLock()
	a := s.accounts[name]
	s.mu.RUnlock()
	if a == nil || a.password == "" {
		return "", quantrac.WithKind(quantrac.Denied, errWrong)
	}
	ok, _, err := s.check(ctx, try, old, a.password)
	if err != nil {
		return "", err
	}
	if !ok {
		s.failed(ctx, name)
		return "", quantrac.WithKind(quantrac.Denied, errWrong)
	}
	try.succeed()
	if err := s.SetPassword(ctx, name, password); err != nil {
		return "", err
	}
	s.mu.RLock()
	a = s.accounts[name]
	s.mu.RUnlock()
	return s.begin(ctx, a, a.password, "login")
}

// Authenticate returns whose API token a secret is.
func (s *Store) Authenticate(secret string) (quantrac.Principal, bool) {
	if !strings.HasPrefix(secret, tokenPrefix) || len(secret) > 200 {
		return quantrac.Principal{}, false
	}
	hash := sha256.Sum256([]byte(secret))
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tokens[hash]
	if t == nil || t.Expires != 0 && s.o.Clock.Now() >= t.Expires {
		return quantrac.Principal{}, false
	}
	return quantrac.Principal{Name: "token " + cmp.Or(t.Name, t.ID), Role: t.Role, Stations: t.Stations}, true
}
