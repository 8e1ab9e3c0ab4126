package devices

import (
	"strings"
	"unicode"
)

// vietnamese maps the base letters of Vietnamese to the marked ones, as they
// stand in composed text (NFC).
var vietnamese = map[rune]string{
	'a': "àáảãạăằắẳẵặâầấẩẫậ",
	'd': "đ",
	'e': "èéẻẽẹêềếểễệ",
	'i': "ìíỉĩị",
	'o': "òóỏõọôồốổỗộơờớởỡợ",
	'u': "ùúủũụưừứửữự",
	'y': "ỳýỷỹỵ",
}

// fold brings a heading or keyword to the form it is compared in: lower case,
// no marks, whether composed or not, what stands in brackets left out, and
// one _ for each run of anything but letters and digits. "Mã trạm " and
// "MA_TRAM" are the same.
func fold(s string) string {
	var b strings.Builder
	depth, gap := 0, false
	for _, r := range strings.ToLower(s) {
		switch {
		case r == '(' || r == '[':
			depth++
			gap = true
		case r == ')' || r == ']':
			depth = max(0, depth-1)
		case depth > 0 || unicode.Is(unicode.Mn, r):
		default:
			r = unmarked(r)
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				gap = true
				continue
			}
			if gap && b.Len() > 0 {
				b.WriteByte('_')
			}
			gap = false
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unmarked(r rune) rune {
	if r < 0x80 {
		return r
	}
	for base, marked := range vietnamese {
		if strings.ContainsRune(marked, r) {
			return base
		}
	}
	return r
}
