package exchange

import (
	"fmt"
	"math"
	"strconv"

	"quantrac"
)

// AppendValue appends a value as text that ParseValue reads back bit for bit:
// the shortest decimal, Infinity, -Infinity, NaN for the canonical one
// (math.NaN), NaN: and sixteen digits of its bits for others.
func AppendValue(dst []byte, v float64) []byte {
	switch {
	case v != v:
		dst = append(dst, "NaN"...)
		if bits := math.Float64bits(v); bits != math.Float64bits(math.NaN()) {
			dst = fmt.Appendf(dst, ":%016x", bits)
		}
		return dst
	case v > math.MaxFloat64:
		return append(dst, "Infinity"...)
	case v < -math.MaxFloat64:
		return append(dst, "-Infinity"...)
	}
	return appendFinite(dst, v)
}

// appendFinite appends a finite value, which is a JSON number: 0.5 and not .5,
// plain digits where they are short and 1e-07 where they are not.
func appendFinite(dst []byte, v float64) []byte {
	form := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	return strconv.AppendFloat(dst, v, form, -1, 64)
}

// ParseValue reads what AppendValue wrote, any other decimal, and the words for
// infinity and NaN that other programs write.
func ParseValue[T string | []byte](text T) (float64, error) {
	if v, ok := exact(text); ok {
		return v, nil
	}
	s := string(text)
	if v, err := strconv.ParseFloat(s, 64); err == nil && v == v && !hexFloat(s) {
		return v, nil
	}
	if len(s) == 20 && s[:4] == "NaN:" {
		bits, err := strconv.ParseUint(s[4:], 16, 64)
		if v := math.Float64frombits(bits); err == nil && v != v {
			return v, nil
		}
		return 0, fmt.Errorf("%q: the digits behind NaN: are not the bits of a NaN", s)
	}
	switch s {
	case "NaN", "nan", "NAN":
		return math.NaN(), nil
	}
	return 0, fmt.Errorf("%s is no number: want a decimal that a float64 holds, Infinity, -Infinity, NaN or NaN: with 16 digits", quoted(text))
}

// hexFloat says whether what ParseFloat has read is in a form that is Go's own.
func hexFloat(s string) bool {
	for i := range len(s) {
		if s[i] == 'x' || s[i] == 'X' || s[i] == '_' {
			return true
		}
	}
	return false
}

// exactPowers are the powers of ten that a float64 holds exactly, as far as
// mantissas of up to 2^53 are divided by them with one rounding.
var exactPowers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// exact reads the plain decimals that instruments write: up to 15 digits, with
// a point perhaps. Both numbers are exact, so that their quotient is the nearest
// float64, as the full way would find.
func exact[T string | []byte](text T) (float64, bool) {
	i, n := 0, len(text)
	negative := n > 0 && text[0] == '-'
	if negative {
		i++
	}
	m, digits, places := uint64(0), 0, -1
	for ; i < n; i++ {
		switch c := text[i]; {
		case '0' <= c && c <= '9':
			m = m*10 + uint64(c-'0')
			digits++
			if places >= 0 {
				places++
			}
		case c == '.' && places < 0 && digits > 0:
			places = 0
		default:
			return 0, false
		}
		if digits > 15 {
			return 0, false
		}
	}
	if digits == 0 || places == 0 {
		return 0, false
	}
	v := float64(m)
	if places > 0 {
		v /= exactPowers[places]
	}
	if negative {
		v = -v // of zero too
	}
	return v, true
}

// parseMillis reads whole milliseconds.
func parseMillis[T string | []byte](text T) (quantrac.Millis, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || quantrac.Millis(n) <= quantrac.MinMillis || quantrac.Millis(n) >= quantrac.MaxMillis {
		return 0, fmt.Errorf("%s is no time: want whole milliseconds since 1970-01-01 UTC", quoted(text))
	}
	return quantrac.Millis(n), nil
}

func parseQuality[T string | []byte](text T) (quantrac.Quality, error) {
	n, err := strconv.ParseUint(string(text), 10, 8)
	if err != nil {
		return 0, fmt.Errorf("%s is no quality: want a flag such as 1 (good), 2 (not evaluated), 3, 4 or 9", quoted(text))
	}
	return quantrac.QualityFromCode(uint8(n))
}

func parseLayer[T string | []byte](text T) (quantrac.Layer, error) {
	switch string(text) {
	case "device":
		return quantrac.LayerDevice, nil
	case "human":
		return quantrac.LayerHuman, nil
	}
	return 0, fmt.Errorf("%s is no layer: want device or human", quoted(text))
}

func parseCount[T string | []byte](text T) (uint64, error) {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is no number of a commit", quoted(text))
	}
	return n, nil
}
