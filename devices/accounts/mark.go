package accounts

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// MarkName is the name of the cookie by which a browser is known that has signed
// in before. It lets nobody in; it keeps strangers who guess at a name from
// locking its owner out, as their failures are not counted for such a browser
// (OWASP, Slow Down Online Guessing Attacks with Device Cookies).
const MarkName = "quantrac_known"

const (
	markDays = 180
	maxMarks = 8 // names that share a browser, as on a duty desk
)

// A mark is the browser's own id and, for each name that has signed in there, a
// seal: id.seal.seal….
var markForm = regexp.MustCompile(`^[A-Z2-7]{26}(\.[A-Za-z0-9_-]{22})*$`)

// seal binds an id to a name by the hash of its password: nobody outside knows
// it, and with another password old marks are worth nothing. No further key has
// to be kept.
func seal(password, name, id string) string {
	h := hmac.New(sha256.New, []byte(password))
	h.Write([]byte("quantrac mark\x00" + name + "\x00" + id))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// knows returns the id of a browser where a mark is good for a name, else "".
func (s *Store) knows(name, mark string) string {
	if len(mark) > 1000 || !markForm.MatchString(mark) {
		return ""
	}
	s.mu.RLock()
	a := s.accounts[name]
	s.mu.RUnlock()
	if a == nil || a.password == "" {
		return ""
	}
	parts := strings.Split(mark, ".")
	want := []byte(seal(a.password, name, parts[0]))
	if !slices.ContainsFunc(parts[1:], func(got string) bool { return hmac.Equal([]byte(got), want) }) {
		return ""
	}
	return parts[0]
}

// Mark returns the mark of a browser where a name has just signed in, given the
// one that it had before, if any.
func (s *Store) Mark(name, before string) string {
	name = normalName(name)
	s.mu.RLock()
	a := s.accounts[name]
	s.mu.RUnlock()
	if a == nil {
		return before
	}
	id, seals := rand.Text(), []string(nil)
	if len(before) <= 1000 && markForm.MatchString(before) {
		id, seals = before[:26], strings.Split(before, ".")[1:]
	}
	own := seal(a.password, name, id)
	seals = slices.DeleteFunc(seals, func(x string) bool { return x == own })
	seals = append([]string{own}, seals...)
	return id + "." + strings.Join(seals[:min(len(seals), maxMarks)], ".")
}
