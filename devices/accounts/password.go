package accounts

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"quantrac"
)

// Cost is what one password check costs whoever guesses, and us.
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
}

// DefaultCost is the first of the settings for argon2id that the OWASP
// Password Storage Cheat Sheet recommends: 19 MiB, 2 passes, 1 lane. RFC 9106
// §4 recommends 64 MiB, 3 passes and 4 lanes where memory is plentiful; on two
// cores that also ingest, several sign-ins at once would be felt. Hashes
// carry their cost, and a sign-in renews a hash of another one.
var DefaultCost = Cost{MemoryKiB: 19 << 10, Passes: 2}

const (
	saltBytes = 16 // RFC 9106 §3.1
	keyBytes  = 32

	// Bounds of what is accepted in a stored hash, so that a damaged one
	// cannot ask for all memory.
	maxMemoryKiB = 256 << 10
	maxPasses    = 16

	// MinPassword is in characters: OWASP ASVS 4.0.3 §2.1.1. MaxPassword, in
	// bytes, keeps a request from being work; §2.1.2 asks for at least 64.
	MinPassword = 12
	MaxPassword = 256
)

// hashPassword returns the PHC string form of argon2id:
// $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
func hashPassword(password string, c Cost) string {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails
	return formatHash(c, salt, argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, 1, keyBytes))
}

// unmatchedHash returns what looks like the hash of a password and costs as much to
// check, but is of none: making it takes neither time nor memory.
func unmatchedHash(c Cost) string {
	text := make([]byte, saltBytes+keyBytes)
	rand.Read(text) // never fails
	return formatHash(c, text[:saltBytes], text[saltBytes:])
}

func formatHash(c Cost, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, c.MemoryKiB, c.Passes,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parseHash reads what formatHash writes.
func parseHash(s string) (c Cost, salt, key []byte, err error) {
	bad := func() (Cost, []byte, []byte, error) {
		return Cost{}, nil, nil, quantrac.Errorf(quantrac.Corrupt, "password hash is not argon2id in PHC form")
	}
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return bad()
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &c.MemoryKiB, &c.Passes); err != nil || n != 2 {
		return bad()
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(key) != keyBytes ||
		c.MemoryKiB < 8 || c.MemoryKiB > maxMemoryKiB || c.Passes < 1 || c.Passes > maxPasses {
		return bad()
	}
	return c, salt, key, nil
}

// checkPassword says whether the password has the hash, and whether the hash
// was made at another cost.
func checkPassword(password, hash string, now Cost) (ok, outdated bool) {
	c, salt, key, err := parseHash(hash)
	if err != nil {
		return false, false
	}
	got := argon2.IDKey([]byte(password), salt, c.Passes, c.MemoryKiB, 1, keyBytes)
	return subtle.ConstantTimeCompare(got, key) == 1, c != now
}

// fitPassword refuses a password that is too short, too long, or what anybody
// would try first.
func fitPassword(name, password string) error {
	refuse := func(why string) error { return quantrac.Errorf(quantrac.Invalid, "password: %s", why) }
	lower := strings.ToLower(password)
	user, _, _ := strings.Cut(name, "@")
	switch {
	case !utf8.ValidString(password):
		return refuse("is not UTF-8")
	case utf8.RuneCountInString(password) < MinPassword:
		return refuse(fmt.Sprintf("want at least %d characters; a few words will do", MinPassword))
	case len(password) > MaxPassword:
		return refuse(fmt.Sprintf("want at most %d bytes", MaxPassword))
	case len(user) > 2 && strings.Contains(lower, user):
		return refuse("holds the account's name")
	case fewCharacters(lower):
		return refuse("repeats too few characters")
	}
	for _, common := range []string{"password", "matkhau", "quantrac", "dongthap", "qwerty", "abcdef", "123456", "admin"} {
		if rest := strings.ReplaceAll(lower, common, ""); len(rest) < MinPassword/2 {
			return refuse(fmt.Sprintf("is little more than %q", common))
		}
	}
	return nil
}

func fewCharacters(s string) bool {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen) < 5
}
