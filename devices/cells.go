package devices

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"quantrac"
)

// cleanCell takes off what spreadsheets put around a value.
func cleanCell(s string) string {
	s = strings.Map(func(r rune) rune {
		switch r {
		case '\u00a0', '\u202f', '\u2007': // no-break, narrow no-break and figure space
			return ' '
		case '\u2212': // minus sign
			return '-'
		case '\ufeff', '\u200b': // byte-order mark and zero-width space
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// parseNumber reads a decimal number. A comma is taken for a decimal point
// only where it can be nothing else: "10,6568" and "0,125", but not "1,250",
// which may be one and a quarter or twelve hundred and fifty.
func parseNumber(s string) (float64, error) {
	text := s
	if before, after, comma := strings.Cut(s, ","); comma {
		digits := strings.TrimLeft(before, "+-")
		switch {
		case strings.Contains(after, ",") || strings.Contains(s, "."):
			return 0, fmt.Errorf("a number with one decimal point and no thousands separators")
		case len(after) == 3 && len(digits) <= 3 && strings.TrimLeft(digits, "0") != "":
			return 0, fmt.Errorf("a number that can be read in one way: write %s.%s or %s%s", before, after, before, after)
		}
		text = before + "." + after
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsAny(text, "xX_pP") {
		return 0, fmt.Errorf("a number such as 2.35")
	}
	return v, nil
}

var (
	isoDate   = regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})$`)
	civilDate = regexp.MustCompile(`^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})$`)
)

// parseDate reads a date or time: 2025-07-01 or 01/07/2025 (day before month,
// as dates are written in Vietnam) for the midnight at +07:00 that begins the
// day, "2025-07-01 06:30" at +07:00, or RFC 3339.
func parseDate(s string) (quantrac.Millis, error) {
	want := fmt.Errorf("a date such as 2025-07-01 or 01/07/2025 (day/month/year)")
	if m := isoDate.FindStringSubmatch(s); m != nil {
		return civil(m[1], m[2], m[3], want)
	}
	if m := civilDate.FindStringSubmatch(s); m != nil {
		return civil(m[3], m[2], m[1], want)
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, quantrac.Zone); err == nil {
			return quantrac.FloorMillis(t), nil
		}
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return quantrac.FloorMillis(t), nil
	}
	return 0, want
}

func civil(year, month, day string, want error) (quantrac.Millis, error) {
	y, _ := strconv.Atoi(year) // digits, by the expressions above
	m, _ := strconv.Atoi(month)
	d, _ := strconv.Atoi(day)
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, quantrac.Zone)
	if t.Day() != d || int(t.Month()) != m {
		return 0, want
	}
	return quantrac.FloorMillis(t), nil
}

var plainSpan = regexp.MustCompile(`^(\d+(?:[.,]\d+)?)_?([a-z]+)$`)

// spanUnits are the units of a length of time, folded, English and Vietnamese.
var spanUnits = map[string]time.Duration{
	"s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second, "giay": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute, "phut": time.Minute, "ph": time.Minute,
	"h": time.Hour, "hour": time.Hour, "hours": time.Hour, "gio": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour, "ngay": 24 * time.Hour,
}

// parseSpan reads a length of time with its unit: 10m, 10 phút, 1h30m, 1 ngày.
func parseSpan(s string) (time.Duration, error) {
	want := fmt.Errorf("a length of time with its unit, such as 10m, 10 phút, 1h or 1 ngày")
	text := strings.ToLower(s)
	if m := plainSpan.FindStringSubmatch(foldSpan(text)); m != nil && spanUnits[m[2]] != 0 {
		n, err := parseNumber(m[1])
		d := n * float64(spanUnits[m[2]])
		if err != nil || d > float64(math.MaxInt64/2) {
			return 0, want
		}
		return time.Duration(d).Round(time.Millisecond), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, want
	}
	return d.Round(time.Millisecond), nil
}

// foldSpan folds the unit but keeps the point of the number.
func foldSpan(s string) string {
	at := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != ',' })
	if at <= 0 {
		return s
	}
	return s[:at] + fold(s[at:])
}

func parseBool(s string) (bool, error) {
	switch fold(s) {
	case "yes", "y", "true", "1", "x", "co", "dung":
		return true, nil
	case "no", "n", "false", "0", "khong", "sai":
		return false, nil
	}
	return false, fmt.Errorf("yes or no (có or không)")
}

// familyNames are the families as people write them, folded.
var familyNames = map[string]quantrac.Family{
	"gauge": quantrac.FamilyGauge, "water_level": quantrac.FamilyGauge, "muc_nuoc": quantrac.FamilyGauge, "thuy_van": quantrac.FamilyGauge,
	"rain": quantrac.FamilyRain, "mua": quantrac.FamilyRain, "do_mua": quantrac.FamilyRain,
	"lightning": quantrac.FamilyLightning, "giong_set": quantrac.FamilyLightning, "dong_set": quantrac.FamilyLightning, "set": quantrac.FamilyLightning,
	"water": quantrac.FamilyWater, "water_quality": quantrac.FamilyWater, "chat_luong_nuoc": quantrac.FamilyWater, "do_man": quantrac.FamilyWater, "man": quantrac.FamilyWater,
	"insect": quantrac.FamilyInsect, "insect_trap": quantrac.FamilyInsect, "bay_den": quantrac.FamilyInsect, "con_trung": quantrac.FamilyInsect, "sau_ray": quantrac.FamilyInsect,
	"field": quantrac.FamilyField, "dong_ruong": quantrac.FamilyField,
}

func parseFamily(s string) (quantrac.Family, error) {
	if f, ok := familyNames[fold(s)]; ok {
		return f, nil
	}
	return "", fmt.Errorf("gauge (mực nước), rain (mưa), lightning (giông sét), water (chất lượng nước), insect (bẫy đèn) or field (đồng ruộng)")
}

func parseThresholdKind(s string) (quantrac.ThresholdKind, error) {
	switch fold(s) {
	case "bao_dong", "alarm", "bd":
		return quantrac.ThresholdAlarm, nil
	case "theo_doi", "nguong_theo_doi", "watch":
		return quantrac.ThresholdWatch, nil
	}
	return "", fmt.Errorf("bao_dong (báo động, with its legal basis) or theo_doi (ngưỡng theo dõi)")
}

func parseLevel(s string) (Level, error) {
	switch fold(s) {
	case "province", "tinh", "thanh_pho_truc_thuoc_trung_uong":
		return Province, nil
	case "district", "huyen", "quan", "thi_xa", "thanh_pho":
		return District, nil
	case "commune", "xa", "phuong", "thi_tran", "dac_khu":
		return Commune, nil
	}
	return "", fmt.Errorf("province (tỉnh), district (huyện) or commune (xã, phường)")
}
