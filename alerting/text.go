package alerting

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"quantrac"
	"quantrac/alerting/level"
)

// Heading stands above every text of ours. The service measures; official
// bulletins are the hydrometeorological service's (Decree 38/2016).
var heading = quantrac.Text{
	Vi: "Thông tin quan trắc – cảnh báo kỹ thuật",
	En: "Observation information – technical warning",
}

// scene is what a text is written from.
type scene struct {
	w       *quantrac.Warning
	station quantrac.Station
	prop    quantrac.Property
	levels  []quantrac.Threshold // of the warning's kind, in force at the valid time
	from    int                  // level before this revision
	why     reason
	silent  bool // at a renewal: no usable reading for long

	// Of a forecast:
	run   *quantrac.Outlook
	says  *quantrac.Exceedance // of the level quoted
	again bool                 // the run was made again for the issue time quoted before
}

// reason is what brought a revision about, beyond its state.
type reason uint8

const (
	byReading reason = iota
	byCorrection
	byWithdrawal // of the thresholds
	byTime       // renewed before it expires
)

func text(vi, en string, args ...any) quantrac.Text {
	t := quantrac.Text{Vi: vi, En: en}
	if len(args) > 0 {
		t.Vi, t.En = fmt.Sprintf(vi, pick(args, true)...), fmt.Sprintf(en, pick(args, false)...)
	}
	return t
}

// pick takes each argument in one language.
func pick(args []any, vi bool) []any {
	out := make([]any, len(args))
	for i, a := range args {
		if t, ok := a.(quantrac.Text); ok {
			if a = t.En; vi || t.En == "" {
				a = t.Vi
			}
		}
		out[i] = a
	}
	return out
}

func join(sep string, parts ...quantrac.Text) quantrac.Text {
	var vi, en []string
	for _, p := range parts {
		if p.Vi != "" {
			vi, en = append(vi, p.Vi), append(en, p.En)
		}
	}
	return quantrac.Text{Vi: strings.Join(vi, sep), En: strings.Join(en, sep)}
}

// write sets the texts of the scene's warning.
func (s *scene) write() {
	var head, body quantrac.Text
	switch s.w.Rule {
	case quantrac.RuleSilence:
		head, body = s.silence()
	case quantrac.RuleForecast:
		head, body = s.forecast()
	default:
		head, body = s.level()
	}
	if s.w.Simulated {
		head = head.Simulated()
		body = join(" ", body, text("Số liệu mô phỏng, không phải số đo thật.", "Simulated readings, not real measurements."))
	}
	s.w.Headline = head
	s.w.Detail = join("\n", heading, body)
	s.w.Advice = s.advice()
}

// label is the public name of a level: báo động only where a decision sets it.
func (s *scene) label(lvl int) quantrac.Text {
	vi, en := quantrac.Threshold{Kind: s.w.Kind, Level: lvl}.Label()
	return quantrac.Text{Vi: vi, En: en}
}

// value writes a figure with its unit, with a decimal comma in Vietnamese.
func (s *scene) value(v float64) quantrac.Text { return figure(v, s.prop.Decimals, s.w.Unit) }

func figure(v float64, decimals int, unit string) quantrac.Text {
	en := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Trim(en, "-0.") == "" {
		en = strings.TrimPrefix(en, "-")
	}
	if unit != "" {
		unit = " " + unit
	}
	return quantrac.Text{Vi: strings.Replace(en, ".", ",", 1) + unit, En: en + unit}
}

// against says how a value lies to the nearest level, as bulletins do: "trên
// báo động II 14 cm".
func (s *scene) against(v float64) quantrac.Text {
	var near *quantrac.Threshold
	for i := range s.levels {
		th := &s.levels[i]
		if near == nil || math.Abs(v-th.Value) <= math.Abs(v-near.Value) {
			near = th
		}
	}
	if near == nil {
		return quantrac.Text{}
	}
	lb := s.label(near.Level)
	d := math.Abs(v - near.Value)
	diff := figure(d, s.prop.Decimals, s.w.Unit)
	if s.w.Unit == "m" && d < 0.995 {
		diff = figure(d*100, 0, "cm")
	}
	switch {
	case strings.Trim(diff.En, "0. "+s.w.Unit+"cm") == "":
		return text("bằng %s", "at %s", lb)
	case v > near.Value:
		return text("trên %s %s", "%[2]s above %[1]s", lb, diff)
	}
	return text("dưới %s %s", "%[2]s below %[1]s", lb, diff)
}

// when writes a time at +07:00.
func when(t quantrac.Millis) quantrac.Text {
	at := t.Time().In(quantrac.Zone)
	return quantrac.Text{Vi: at.Format("15 giờ 04 phút ngày 02/01/2006"), En: at.Format("15:04 on 2 January 2006")}
}

// level writes a revision of the level rule.
func (s *scene) level() (head, body quantrac.Text) {
	w := s.w
	now, was := s.label(w.Level), s.label(s.from)
	at, p, v := s.head(), s.what(), s.value(w.Value)
	switch {
	case w.State == quantrac.WarningCancel && s.why == byWithdrawal:
		head = text("%s: hủy cảnh báo mức %s, ngưỡng không còn hiệu lực", "%s: warning of %s cancelled, the threshold is no longer in force", at, was)
	case w.State == quantrac.WarningCancel:
		head = text("%s: hủy cảnh báo mức %s, số liệu đã được hiệu chỉnh", "%s: warning of %s cancelled, the readings were corrected", at, was)
	case w.State == quantrac.WarningClear:
		head = text("%s: %s đã xuống dưới %s, kết thúc cảnh báo", "%s: %s has fallen below %s, end of warning", at, p, s.label(1))
	case s.why == byTime:
		head = text("%s: cảnh báo mức %s còn hiệu lực", "%s: warning of %s remains in force", at, now)
	case w.Level < s.from:
		head = text("%s: %s xuống dưới %s, còn mức %s", "%s: %s below %s, still at %s", at, p, was, now)
	case s.why == byCorrection:
		head = text("%s: %s ở mức %s theo số liệu đã hiệu chỉnh", "%s: %s at %s by corrected readings", at, p, now)
	default:
		head = text("%s: %s vượt %s", "%s: %s above %s", at, p, now)
		if w.Value <= w.Threshold {
			head = text("%s: %s đạt %s", "%s: %s has reached %s", at, p, now)
		}
	}
	river := quantrac.Text{}
	if s.station.River != "" {
		river = text(" (%s)", " (%s)", s.station.River)
	}
	body = text("Lúc %s, %s tại %s%s là %s", "At %s the %s at %s%s was %s", when(w.ValidTime), p, s.place(), river, v)
	if rel := s.against(w.Value); rel.Vi != "" {
		body = text("%s, %s", "%s, %s", body, rel)
	}
	body = text("%s.", "%s.", body)
	if w.Suspect {
		body = join(" ", body, text("Số liệu đang bị nghi vấn, chờ kiểm tra.", "Quality control doubts this reading; it is being checked."))
	}
	if s.silent {
		body = join(" ", body, text("Từ đó chưa có số liệu mới; cảnh báo được giữ nguyên.", "There has been no newer reading; the warning stands."))
	}
	switch {
	case w.State == quantrac.WarningClear:
		body = join(" ", body, s.held())
	case w.State == quantrac.WarningCancel && s.why != byWithdrawal:
		body = join(" ", body, text("Cảnh báo trước đó dựa trên số liệu sai, nay hủy bỏ.", "The earlier warning rested on wrong readings and is withdrawn."))
	}
	return head, join(" ", body, s.basis())
}

// held says what showed that the water is down.
func (s *scene) held() quantrac.Text {
	for _, th := range s.levels {
		if th.Level != 1 {
			continue
		}
		limit := s.value(th.Value - th.Hysteresis)
		if th.Hold <= 0 {
			return text("Đã dưới %s.", "It is below %s.", limit)
		}
		return text("Các số liệu liên tục dưới %s trong ít nhất %s.", "Readings have stayed below %s for at least %s.", limit, span(th.Hold))
	}
	return quantrac.Text{}
}

func span(d time.Duration) quantrac.Text {
	if d >= time.Hour && d%time.Hour == 0 {
		return text("%d giờ", "%d h", int(d/time.Hour))
	}
	return text("%d phút", "%d min", int(d/time.Minute))
}

// basis names the law a level rests on, or says that there is none.
func (s *scene) basis() quantrac.Text {
	if s.w.Kind != quantrac.ThresholdAlarm {
		return text("Ngưỡng theo dõi nội bộ, không phải mức do cơ quan có thẩm quyền quy định.", "A watch level of the network, not one set by an authority.")
	}
	for _, th := range s.levels {
		if th.LegalBasis != "" {
			return text("Căn cứ: %s.", "Legal basis: %s.", th.LegalBasis)
		}
	}
	return quantrac.Text{}
}

// silence writes a revision of the rule on silent gauges.
func (s *scene) silence() (head, body quantrac.Text) {
	at, p, last := s.head(), s.what(), when(s.w.ValidTime)
	switch s.w.State {
	case quantrac.WarningClear:
		return text("%s: đã có số liệu %s trở lại", "%s: %s readings are back", at, p),
			text("Số liệu dùng được mới nhất: %s lúc %s.", "Newest usable reading: %s at %s.", s.value(s.w.Value), last)
	case quantrac.WarningCancel:
		return text("%s: thôi theo dõi mất số liệu %s", "%s: silence of %s is no longer watched", at, p),
			text("Không còn ngưỡng nào cho đại lượng này.", "No threshold is registered for it any more.")
	}
	return text("%s: mất số liệu %s", "%s: no %s readings", at, p),
		text("Không có số liệu dùng được kể từ %s. Các cảnh báo đang có được giữ nguyên.", "No usable reading since %s. Warnings in force stand.", last)
}

// advice says what to do. It stays with watching and preparing: orders are the
// authorities'.
func (s *scene) advice() quantrac.Text {
	w := s.w
	switch {
	case w.Rule == quantrac.RuleSilence && w.Ended():
		return text("Không cần xử lý thêm.", "Nothing more to be done.")
	case w.Rule == quantrac.RuleSilence:
		return text("Kiểm tra nguồn điện, đường truyền và cảm biến của trạm.", "Check power, link and sensor of the station.")
	case w.Ended():
		return text("Tiếp tục theo dõi các bản tin chính thức.", "Keep following official bulletins.")
	case !strings.HasPrefix(w.Property, "water_level_"):
		return text("Theo dõi diễn biến và hướng dẫn của cơ quan chuyên môn.", "Watch how it develops and follow the advice of the responsible office.")
	case w.Level >= 3:
		return text("Làm theo hướng dẫn của chính quyền địa phương; không đi qua vùng ngập có dòng chảy; theo dõi bản tin lũ chính thức.",
			"Follow the instructions of local authorities; keep out of flowing flood water; follow official flood bulletins.")
	case w.Level == 2:
		return text("Kiểm tra bờ bao, cống và trạm bơm; chuẩn bị bảo vệ lúa, hoa màu và tài sản ở vùng trũng; theo dõi bản tin chính thức.",
			"Check dikes, sluices and pumps; get ready to protect crops and property in low places; follow official bulletins.")
	}
	return text("Theo dõi diễn biến mực nước và bản tin của cơ quan khí tượng thủy văn.", "Watch the water level and the bulletins of the hydrometeorological service.")
}

// stateOf maps a transition to the warning's state.
func stateOf(c level.Change) quantrac.WarningState {
	switch c {
	case level.Issue:
		return quantrac.WarningIssued
	case level.Clear:
		return quantrac.WarningClear
	case level.Cancel:
		return quantrac.WarningCancel
	}
	return quantrac.WarningUpdated
}
