package quantrac

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Names of labels with a meaning of their own.
const (
	// LabelMetric carries the property of a series, with its unit
	// (water_level_meters), as Prometheus carries a metric's name.
	LabelMetric = "__name__"
	// LabelStation carries the station's lasting identifier.
	LabelStation = "station"
	// LabelSensor tells two sensors of one property at one station apart.
	LabelSensor = "sensor"
	// LabelSpecies names the organism of an insect_catch series.
	LabelSpecies = "species"
	// LabelModel names the forecast model that wrote a series.
	LabelModel = "model"
	// LabelQuantile carries a forecast's quantile, "0.5" being the median.
	LabelQuantile = "quantile"
	// LabelSimulated is "true" of readings that are made up, else absent. A
	// payload says it of its rows; the registry keeps it of the station, and it
	// is joined to every series of that.
	LabelSimulated = "simulated"
)

// Limits of a label set. They bound what one foreign message can make the
// index hold.
const (
	MaxLabels          = 32   // labels of one series, its metric name included
	MaxLabelNameBytes  = 128  // bytes of one label name
	MaxLabelValueBytes = 1024 // bytes of one label value
)

// Label is one name and value of a series' identity.
type Label struct {
	Name, Value string
}

// Labels is a label set: sorted by name, names unique, no empty value (an
// empty value and an absent label are the same thing, as in Prometheus).
// A Labels is immutable once made; share it freely.
type Labels []Label

// NewLabels makes a label set of name, value pairs in any order. Of a name
// given twice the last value wins; empty values are dropped. It panics on an
// odd number of arguments, which is a programming mistake.
func NewLabels(pairs ...string) Labels {
	if len(pairs)%2 != 0 {
		panic("quantrac: NewLabels wants name, value pairs")
	}
	ls := make(Labels, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		ls = append(ls, Label{pairs[i], pairs[i+1]})
	}
	return ls.normalize()
}

// LabelsFromMap makes a label set of a map; empty values are dropped.
func LabelsFromMap(m map[string]string) Labels {
	ls := make(Labels, 0, len(m))
	for n, v := range m {
		ls = append(ls, Label{n, v})
	}
	return ls.normalize()
}

func (ls Labels) normalize() Labels {
	sort.SliceStable(ls, func(i, j int) bool { return ls[i].Name < ls[j].Name })
	out := ls[:0]
	for i, l := range ls {
		if i+1 < len(ls) && ls[i+1].Name == l.Name {
			continue // a later value of the same name follows
		}
		if l.Value != "" {
			out = append(out, l)
		}
	}
	return out
}

// Get returns the value of a label, "" where the set has none of that name.
func (ls Labels) Get(name string) string {
	for _, l := range ls {
		if l.Name == name {
			return l.Value
		}
	}
	return ""
}

// With returns the set with one label set to value, or removed where value
// is empty. The receiver is not changed.
func (ls Labels) With(name, value string) Labels {
	out := make(Labels, 0, len(ls)+1)
	done := value == ""
	for _, l := range ls {
		if !done && name < l.Name {
			out, done = append(out, Label{name, value}), true
		}
		if l.Name == name {
			if !done {
				out, done = append(out, Label{name, value}), true
			}
			continue
		}
		out = append(out, l)
	}
	if !done {
		out = append(out, Label{name, value})
	}
	return out
}

// Without returns the set less the named labels. The receiver is not changed.
func (ls Labels) Without(names ...string) Labels {
	out := make(Labels, 0, len(ls))
next:
	for _, l := range ls {
		for _, n := range names {
			if l.Name == n {
				continue next
			}
		}
		out = append(out, l)
	}
	return out
}

// Metric returns the metric name.
func (ls Labels) Metric() string { return ls.Get(LabelMetric) }

// Station returns the station's identifier, "" for a series of no station.
func (ls Labels) Station() string { return ls.Get(LabelStation) }

// AppendKey appends a byte string that is equal for equal sets and different
// for different ones: names and values, each behind its length.
func (ls Labels) AppendKey(dst []byte) []byte {
	for _, l := range ls {
		dst = appendString(dst, l.Name)
		dst = appendString(dst, l.Value)
	}
	return dst
}

// Key returns AppendKey as a string, to serve as a map key.
func (ls Labels) Key() string { return string(ls.AppendKey(nil)) }

// CutLabel takes the first label off a key that AppendKey wrote, and returns the
// rest of it; both are pieces of the key's memory. Of an empty key, or of what is
// none, it returns an empty label and nothing.
func CutLabel(key string) (l Label, rest string) {
	if n := shortString(key); n > 0 {
		if m := n + shortString(key[n:]); m > n {
			return Label{key[1:n], key[n+1 : m]}, key[m:]
		}
	}
	if l.Name, rest = cutString(key); rest == "" {
		return Label{}, ""
	}
	l.Value, rest = cutString(rest)
	return l, rest
}

// shortString returns how many bytes a key's first string takes with its length, where
// that is one byte, as it nearly always is; otherwise 0.
func shortString(key string) int {
	if key == "" || key[0] >= 0x80 || int(key[0]) >= len(key) {
		return 0
	}
	return 1 + int(key[0])
}

func cutString(key string) (s, rest string) {
	n, width := 0, 0
	for width < len(key) && width < 4 {
		b := key[width]
		n |= int(b&0x7f) << (7 * width)
		width++
		if b < 0x80 {
			break
		}
	}
	if n > len(key)-width {
		return "", ""
	}
	return key[width : width+n], key[width+n:]
}

func appendString(dst []byte, s string) []byte {
	n := uint64(len(s))
	for n >= 0x80 {
		dst, n = append(dst, byte(n)|0x80), n>>7
	}
	return append(append(dst, byte(n)), s...)
}

// Compare orders label sets by their labels, name before value, as Prometheus
// does: -1, 0 or +1.
func (ls Labels) Compare(other Labels) int {
	for i := 0; i < len(ls) && i < len(other); i++ {
		if c := strings.Compare(ls[i].Name, other[i].Name); c != 0 {
			return c
		}
		if c := strings.Compare(ls[i].Value, other[i].Value); c != 0 {
			return c
		}
	}
	switch {
	case len(ls) < len(other):
		return -1
	case len(ls) > len(other):
		return 1
	}
	return 0
}

// Equal says whether both sets hold the same labels.
func (ls Labels) Equal(other Labels) bool { return ls.Compare(other) == 0 }

// String writes the set in PromQL's form: water_level_meters{station="tq"}.
func (ls Labels) String() string {
	var b strings.Builder
	b.WriteString(ls.Metric())
	rest := ls.Without(LabelMetric)
	if len(rest) == 0 && b.Len() > 0 {
		return b.String()
	}
	b.WriteByte('{')
	for i, l := range rest {
		if i > 0 {
			b.WriteString(", ")
		}
		if ValidLabelName(l.Name) {
			b.WriteString(l.Name)
		} else {
			b.WriteString(strconv.Quote(l.Name))
		}
		b.WriteByte('=')
		b.WriteString(strconv.Quote(l.Value))
	}
	b.WriteByte('}')
	return b.String()
}

// Validate reports the first reason why the set cannot name a series: too many
// labels, a name or value too long, text that is not UTF-8, names out of order.
func (ls Labels) Validate() error {
	if len(ls) > MaxLabels {
		return Errorf(Invalid, "series has %d labels, at most %d are kept", len(ls), MaxLabels)
	}
	for i, l := range ls {
		switch {
		case l.Name == "":
			return Errorf(Invalid, "label %d has no name", i)
		case l.Value == "":
			return Errorf(Invalid, "label %q has an empty value", l.Name)
		case len(l.Name) > MaxLabelNameBytes:
			return Errorf(Invalid, "label name %.40q… has %d bytes, at most %d are kept", l.Name, len(l.Name), MaxLabelNameBytes)
		case len(l.Value) > MaxLabelValueBytes:
			return Errorf(Invalid, "label %q has a value of %d bytes, at most %d are kept", l.Name, len(l.Value), MaxLabelValueBytes)
		case !utf8.ValidString(l.Name) || !utf8.ValidString(l.Value):
			return Errorf(Invalid, "label %q=%q is not UTF-8", l.Name, l.Value)
		case i > 0 && ls[i-1].Name >= l.Name:
			return Errorf(Invalid, "labels out of order: %q before %q", ls[i-1].Name, l.Name)
		}
	}
	return nil
}

// ValidLabelName says whether name can be written bare in PromQL:
// [a-zA-Z_][a-zA-Z0-9_]*.
func ValidLabelName(name string) bool { return validName(name, false) }

// ValidMetricName says whether name can be written bare as a metric in
// PromQL: [a-zA-Z_:][a-zA-Z0-9_:]*.
func ValidMetricName(name string) bool { return validName(name, true) }

func validName(name string, colon bool) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || colon && c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// MatchKind is the operator of a Matcher.
type MatchKind uint8

// The four operators of PromQL.
const (
	MatchEqual     MatchKind = iota // =
	MatchNotEqual                   // !=
	MatchRegexp                     // =~, anchored at both ends
	MatchNotRegexp                  // !~, anchored at both ends
)

// String returns the operator as PromQL writes it.
func (k MatchKind) String() string {
	switch k {
	case MatchEqual:
		return "="
	case MatchNotEqual:
		return "!="
	case MatchRegexp:
		return "=~"
	case MatchNotRegexp:
		return "!~"
	}
	return fmt.Sprintf("MatchKind(%d)", uint8(k))
}

// Matcher selects series by one label. An absent label has the value "".
// Make it with NewMatcher; it is immutable.
type Matcher struct {
	Kind  MatchKind
	Name  string
	Value string
	re    *regexp.Regexp
}

// NewMatcher makes a matcher; a regular expression (RE2 syntax) that does not
// compile is an Invalid error.
func NewMatcher(kind MatchKind, name, value string) (*Matcher, error) {
	m := &Matcher{Kind: kind, Name: name, Value: value}
	if kind == MatchRegexp || kind == MatchNotRegexp {
		re, err := regexp.Compile("^(?s:" + value + ")$")
		if err != nil {
			return nil, Errorf(Invalid, "matcher %s%s%q: %w", name, kind, value, err)
		}
		m.re = re
	}
	return m, nil
}

// Equals is the matcher name="value".
func Equals(name, value string) *Matcher {
	return &Matcher{Kind: MatchEqual, Name: name, Value: value}
}

// Matches says whether a label value passes.
func (m *Matcher) Matches(value string) bool {
	switch m.Kind {
	case MatchEqual:
		return value == m.Value
	case MatchNotEqual:
		return value != m.Value
	case MatchRegexp:
		return m.re.MatchString(value)
	default:
		return !m.re.MatchString(value)
	}
}

// String writes the matcher as PromQL does.
func (m *Matcher) String() string { return m.Name + m.Kind.String() + strconv.Quote(m.Value) }

// MatchAll says whether a label set passes every matcher.
func MatchAll(ls Labels, ms []*Matcher) bool {
	for _, m := range ms {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}
