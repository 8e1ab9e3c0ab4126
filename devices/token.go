package devices

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"quantrac"
)

// A device's token is 26 letters and digits drawn by the machine, 130 bits
// (crypto/rand.Text): short enough for a technician to type into a logger.
// What is kept is its SHA-256. A slow, salted hash such as argon2 makes
// guessing expensive where people choose the secret; nobody guesses 130 random
// bits, whatever the hash, so the fast one loses nothing, and a province of
// devices that reconnect at once costs microseconds, with no cache of
// passwords to keep safe.

func newToken() (secret string, hash []byte, id string) {
	secret = rand.Text()
	sum := sha256.Sum256([]byte(secret))
	return secret, sum[:], hex.EncodeToString(sum[:4])
}

// AuthenticateDevice says whether the secret is one of the device's tokens in
// force and the device is allowed to send. It takes no lock and makes no
// query; the comparison takes the same time whatever the secret.
func (r *Registry) AuthenticateDevice(id, secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	d := r.snap.Load().devices[id]
	if d == nil || d.Disabled {
		return false
	}
	match := 0
	for _, t := range d.Tokens {
		match |= subtle.ConstantTimeCompare(sum[:], t.Hash)
	}
	return match == 1
}

// AuthenticateStation is AuthenticateDevice for those who ask whose readings
// the device sends.
func (r *Registry) AuthenticateStation(id, secret string) (station string, ok bool) {
	if !r.AuthenticateDevice(id, secret) {
		return "", false
	}
	b, ok := r.Binding(id)
	if !ok {
		return "", false
	}
	return b.Station, true
}

// planToken adds a token to a device.
func (d *draft) planToken(device, actor string, now quantrac.Millis) (secret string, t Token) {
	secret, hash, id := newToken()
	t = Token{ID: id, Hash: hash, Created: now, By: actor}
	d.do(edit{AddToken: &tokenEdit{Device: device, ID: id, Hash: hash, Created: now, By: actor}})
	return secret, t
}
