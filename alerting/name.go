package alerting

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"quantrac"
)

// where names the station.
func (s *scene) where() quantrac.Text {
	name := quantrac.Text{Vi: s.station.Name, En: s.station.NameEn}
	if name.Vi == "" {
		name.Vi = s.w.Station
	}
	if name.En == "" {
		name.En = name.Vi
	}
	return name
}

// place names it within a sentence: "trạm Tân Quới". A name that says itself what
// it is the name of does not have it said twice.
func (s *scene) place() quantrac.Text {
	name := s.where()
	first, rest, _ := strings.Cut(name.Vi, " ")
	if !strings.EqualFold(first, "trạm") || rest == "" {
		rest = name.Vi
	}
	name.Vi = "trạm " + rest
	if !strings.Contains(strings.ToLower(name.En), "station") {
		name.En = "station " + name.En
	}
	return name
}

// head names it where a sentence begins.
func (s *scene) head() quantrac.Text {
	name := s.place()
	return quantrac.Text{Vi: upper(name.Vi), En: upper(name.En)}
}

func upper(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// what names the property in the middle of a sentence.
func (s *scene) what() quantrac.Text {
	return quantrac.Text{Vi: lower(s.prop.HumanName), En: lower(s.prop.HumanNameEn)}
}

func lower(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if next, _ := utf8.DecodeRuneInString(s[n:]); n == 0 || unicode.IsUpper(next) {
		return s // an abbreviation such as pH or EC
	}
	return string(unicode.ToLower(r)) + s[n:]
}
