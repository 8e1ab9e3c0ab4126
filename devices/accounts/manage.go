package accounts

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"quantrac"
	"quantrac/internal/audit"
)

// tokenPrefix begins every API token, so that scanners of secrets know one
// when they see it, and the guard tells it from a device's.
const tokenPrefix = "qt_"

type setupCode struct {
	hash    [32]byte
	expires quantrac.Millis
}

// SetupCode returns a code with which the first administrator is made, "" once
// there is an account. A code asked for again replaces the one before; none
// outlives the process.
func (s *Store) SetupCode() (code string, expires quantrac.Millis) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.accounts) > 0 {
		return "", 0
	}
	raw := rand.Text()[:20] // 100 bits
	s.setup = &setupCode{sha256.Sum256([]byte(raw)), s.o.Clock.Now().Add(s.o.SetupFor)}
	return strings.Join([]string{raw[:5], raw[5:10], raw[10:15], raw[15:]}, "-"), s.setup.expires
}

// NeedsSetup says whether there is no account yet.
func (s *Store) NeedsSetup() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.accounts) == 0
}

// Setup makes the first account, an administrator, for whoever has the setup
// code, and begins a session. Wrong codes are not counted: 100 bits cannot be
// guessed, and a count would let strangers keep the operator out.
func (s *Store) Setup(ctx context.Context, code, name, password string) (secret string, a Account, err error) {
	name = normalName(name)
	given := sha256.Sum256([]byte(strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))))
	err = s.locked(ctx, func() error {
		s.mu.RLock()
		setup, exist := s.setup, len(s.accounts) > 0
		s.mu.RUnlock()
		switch {
		case exist:
			return quantrac.Errorf(quantrac.Conflict, "the service has been set up; sign in")
		case setup == nil || s.o.Clock.Now() >= setup.expires || subtle.ConstantTimeCompare(given[:], setup.hash[:]) != 1:
			return quantrac.Errorf(quantrac.Denied, "the setup code is wrong or has expired; a restart of the service prints a new one")
		}
		hash, err := s.newPassword(name, password)
		if err != nil {
			return err
		}
		err = s.append(ctx, &audit.Event{Actor: name, Role: quantrac.RoleAdmin, Action: "setup", Object: name},
			edit{Account: &accountEdit{Name: name, Role: quantrac.RoleAdmin}}, edit{Password: &passwordEdit{Name: name, Hash: hash}})
		if err == nil {
			s.mu.Lock()
			s.setup = nil
			s.mu.Unlock()
		}
		return err
	})
	if err != nil {
		return "", Account{}, err
	}
	return s.Login(ctx, name, password, "")
}

func (s *Store) newPassword(name, password string) (hash string, err error) {
	if !accountName.MatchString(name) {
		return "", quantrac.Errorf(quantrac.Invalid, "account name %.64q: want 1 to 64 of a-z 0-9 . _ @ + - beginning with a letter or digit", name)
	}
	if err := fitPassword(name, password); err != nil {
		return "", err
	}
	return hashPassword(password, s.o.Cost), nil
}

// Accounts returns all accounts, by name.
func (s *Store) Accounts() []Account {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Account, 0, len(s.accounts))
	for _, name := range slices.Sorted(maps.Keys(s.accounts)) {
		out = append(out, s.accounts[name].Account)
	}
	return out
}

// PutAccount makes an account or changes it; a new one has no password until
// SetPassword. A Revision that is not the present one is a Conflict, and so is
// taking away the last administrator who can sign in.
func (s *Store) PutAccount(ctx context.Context, a Account) error {
	a.Name, a.Display = normalName(a.Name), strings.TrimSpace(a.Display)
	if !accountName.MatchString(a.Name) {
		return quantrac.Errorf(quantrac.Invalid, "account name %.64q: want 1 to 64 of a-z 0-9 . _ @ + - beginning with a letter or digit", a.Name)
	}
	if err := checkScope(a.Role, personRoles, a.Stations, a.Display); err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		s.mu.RLock()
		old, admins := s.accounts[a.Name], s.admins(a.Name)
		s.mu.RUnlock()
		var present Account
		if old != nil {
			present = old.Account
		}
		if a.Revision != 0 && a.Revision != present.Revision {
			return quantrac.Errorf(quantrac.Conflict, "account %q was changed meanwhile: read it again and decide", a.Name)
		}
		stays := a.Role == quantrac.RoleAdmin && !a.Disabled && a.Stations == nil
		if old != nil && admins == 0 && present.Role == quantrac.RoleAdmin && !stays {
			return quantrac.Errorf(quantrac.Conflict, "account %q is the last administrator: make another one first", a.Name)
		}
		return s.append(ctx, &audit.Event{Action: "account.put", Object: a.Name, Detail: map[string]string{"role": string(a.Role)}},
			edit{Account: &accountEdit{a.Name, a.Display, a.Role, a.Stations, a.Disabled}})
	})
}

// admins counts administrators who can sign in, but for one name.
func (s *state) admins(but string) (n int) {
	for _, a := range s.accounts {
		if a.Name != but && a.Role == quantrac.RoleAdmin && !a.Disabled && a.password != "" && a.Stations == nil {
			n++
		}
	}
	return n
}

// SetPassword sets an account's password and ends its sessions.
func (s *Store) SetPassword(ctx context.Context, name, password string) error {
	name = normalName(name)
	hash, err := s.newPassword(name, password)
	if err != nil {
		return err
	}
	return s.locked(ctx, func() error {
		s.mu.RLock()
		found := s.accounts[name] != nil
		s.mu.RUnlock()
		if !found {
			return quantrac.Errorf(quantrac.NotFound, "there is no account %q", name)
		}
		return s.append(ctx, &audit.Event{Action: "account.password", Object: name}, edit{Password: &passwordEdit{Name: name, Hash: hash}})
	})
}

// Tokens returns all API tokens, newest first.
func (s *Store) Tokens() []Token {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Token, 0, len(s.tokens))
	for _, t := range s.tokens {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b Token) int { return cmp.Or(cmp.Compare(b.Created, a.Created), cmp.Compare(a.ID, b.ID)) })
	return out
}

// NewToken makes an API token of the given name, role, stations and expiry
// and returns its secret, the one time it is seen.
func (s *Store) NewToken(ctx context.Context, t Token) (secret string, made Token, err error) {
	t.Name = strings.TrimSpace(t.Name)
	roles := append(slices.Clone(personRoles), quantrac.RoleDevice)
	if err := checkScope(t.Role, roles, t.Stations, t.Name); err != nil {
		return "", Token{}, err
	}
	now := s.o.Clock.Now()
	if t.Name == "" || t.Expires != 0 && t.Expires <= now {
		return "", Token{}, quantrac.Errorf(quantrac.Invalid, "a token wants a name that says what it is for, and an end, if any, that is not past")
	}
	secret = tokenPrefix + rand.Text()
	hash := sha256.Sum256([]byte(secret))
	t.ID, t.Created, t.By = hex.EncodeToString(hash[:6]), now, quantrac.PrincipalFrom(ctx).Name
	err = s.locked(ctx, func() error {
		return s.append(ctx, &audit.Event{Action: "apitoken.new", Object: t.ID, Detail: map[string]string{"name": t.Name, "role": string(t.Role)}},
			edit{Token: &tokenEdit{Token: t, Hash: hash[:]}})
	})
	if err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

// RevokeToken ends an API token at once.
func (s *Store) RevokeToken(ctx context.Context, id string) error {
	return s.locked(ctx, func() error {
		if !slices.ContainsFunc(s.Tokens(), func(t Token) bool { return t.ID == id }) {
			return quantrac.Errorf(quantrac.NotFound, "there is no token %q", id)
		}
		return s.append(ctx, &audit.Event{Action: "apitoken.revoke", Object: id}, edit{RevokeToken: id})
	})
}
