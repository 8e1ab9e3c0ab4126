package decode

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"quantrac"
)

// Memo decodes line protocol as Lines does and remembers, from line to line and
// from payload to payload, what lines have in common: measurement and tags of a
// series, the names of its fields. A line of a kind that has been seen costs a
// comparison of bytes and its numbers; its labels and names are those of the
// line before it, the same memory.
//
// The zero value knows nothing and is ready. What it remembers is bounded, of
// whatever it is sent. It is not safe for concurrent use.
type Memo struct {
	heads        map[string]*head
	measurements map[string]*measurement
	bytes        int   // about what the maps hold
	last         *head // of the line before

	hits   int // lines with a known head since all was forgotten
	passes int // lines with unknown heads that are not to be remembered
	once   *head
	// trial says that what was remembered before was of no use: of the heads only
	// some are remembered then, in less memory, until they are met again.
	trial bool
	lines int             // with unknown heads, of a trial
	tags  quantrac.Labels // memory for the tags of such lines, as far as it is free
}

// memoBytes is about the memory a Memo may take: some 40,000 series. When it is
// full all is forgotten: senders of ever new series cannot fill the memory, and
// what is in use is soon learned again. Where the heads were met once each, as of
// a million series in turn, the next lines, sixteen times as many, are taken
// without remembering their heads, and then that of one line in trialHeads is
// remembered, in so much less memory, until it shows that they come again.
const (
	memoBytes  = 16 << 20
	trialHeads = 8
)

// maxHead is how long a head may be to be remembered.
const maxHead = 1024

// maxList is how many fields of a head are remembered.
const maxList = 256

// head is what stands before the fields of a line.
type head struct {
	text   string // as it comes, with the space behind it
	tags   quantrac.Labels
	of     *measurement
	fields []knownField // of lines that began with it
	next   *head        // the head that followed it last time
}

// measurement knows the fields of one measurement.
type measurement struct {
	name   string
	fields map[string]knownField   // by key
	lists  map[string][]knownField // of whole lines, by their keys
	latest []knownField            // the list found last
}

type knownField struct {
	key      string // with the equals sign behind it
	property string
}

// head returns the head that text begins with, nil where there is none that can
// be known. Stations report in the same order time after time, so it is mostly
// the one that came after the last head before.
func (m *Memo) head(text []byte) *head {
	h := m.last.next
	if h == nil || len(text) < len(h.text) || string(text[:len(h.text)]) != h.text {
		n := bytes.IndexByte(text[:min(len(text), maxHead)], ' ') + 1
		if h = m.heads[string(text[:n])]; h == nil {
			return m.learn(text[:n])
		}
		m.last.next = h
	}
	m.hits++
	if m.trial && m.hits > len(m.heads) {
		m.trial = false
	}
	m.last = h
	return h
}

// learn takes a head apart that has not been seen before. It returns nil for
// all that the library should look at: escapes, and whatever is wrong.
func (m *Memo) learn(text []byte) *head {
	if len(text) == 0 || !plain(text) {
		return nil
	}
	s := string(text)
	name, rest, more := strings.Cut(s[:len(s)-1], ",")
	if name == "" || name[0] == '#' {
		return nil
	}
	kept := m.passes == 0
	if kept && m.trial {
		m.lines++
		kept = m.lines%trialHeads == 0
	}
	p := point{tags: m.roomForTags(kept, strings.Count(s, ","))}
	for more {
		var tag string
		tag, rest, more = strings.Cut(rest, ",")
		key, value, _ := strings.Cut(tag, "=")
		if key == "" || value == "" || strings.Contains(value, "=") || p.checkTag(key) != nil {
			return nil
		}
		p.tags = append(p.tags, quantrac.Label{Name: key, Value: value})
	}
	h := head{text: s, tags: p.tags}
	if p.sortTags() != nil || h.tags.Validate() != nil {
		return nil
	}
	return m.keep(h, name, kept)
}

// keep remembers a head of a measurement, or just this once.
func (m *Memo) keep(h head, name string, kept bool) *head {
	if !kept {
		m.passes = max(m.passes-1, 0)
		h.of = m.measurement(name)
		h.fields = h.of.latest
		*m.once = h
		m.last.next = nil
		return m.once
	}
	m.room(2*len(h.text) + 48*len(h.tags) + 128)
	h.of = m.measurement(name)
	h.fields = h.of.latest // mostly it has what the others have
	own := new(head)
	*own = h
	m.heads[h.text] = own
	m.last.next, m.last = own, own
	return own
}

// roomForTags returns memory for so many tags that nothing else will have. Those
// of lines that are remembered lie alone, so that one does not keep others'.
func (m *Memo) roomForTags(kept bool, n int) quantrac.Labels {
	if kept {
		return make(quantrac.Labels, 0, n)
	}
	if cap(m.tags) < n {
		m.tags = make(quantrac.Labels, 256)
	}
	out := m.tags[:0:n]
	m.tags = m.tags[n:]
	return out
}

// room makes room for something new of so many bytes.
func (m *Memo) room(n int) {
	most := memoBytes
	if m.trial {
		most /= trialHeads
	}
	if m.bytes += n; m.bytes > most {
		m.forget()
		m.bytes = n
	}
}

func (m *Memo) forget() {
	useless := m.hits < len(m.heads)
	passes := 0
	if useless {
		passes = 16 * len(m.heads)
		if m.trial {
			passes *= trialHeads
		}
	}
	*m = Memo{
		heads: map[string]*head{}, measurements: map[string]*measurement{}, last: &head{}, once: &head{},
		passes: passes, trial: useless,
	}
}

func (m *Memo) measurement(name string) *measurement {
	of := m.measurements[name]
	if of == nil {
		m.room(2*len(name) + 1024)
		of = &measurement{name: strings.Clone(name), fields: map[string]knownField{}, lists: map[string][]knownField{}}
		m.measurements[of.name] = of
	}
	return of
}

// field returns what is known of a field's key; ok is false where the library
// should look at it.
func (m *Memo) field(of *measurement, key []byte) (_ knownField, ok bool) {
	if f, ok := of.fields[string(key)]; ok {
		return f, true
	}
	property := of.name + "_" + string(key)
	if len(key) == 0 || !plain(key) || slices.ContainsFunc(key, separates) || checkProperty(property) != "" {
		return knownField{}, false
	}
	m.room(4*len(property) + 128)
	f := knownField{key: string(key) + "=", property: property}
	of.fields[f.key[:len(key)]] = f
	return f, true
}

// remember keeps the fields of a line that begins with h, in their order, before
// those that it has had in other lines. Heads of a measurement that have the
// same fields share one list.
func (m *Memo) remember(h *head, fields []knownField) {
	all := slices.Clone(fields)
	for _, f := range h.fields {
		if !slices.Contains(fields, f) {
			all = append(all, f)
		}
	}
	switch {
	case len(all) > maxList || slices.Equal(all, h.fields):
		return
	case !slices.Equal(all, h.of.latest):
		h.of.latest = m.list(h.of, all)
	}
	h.fields = h.of.latest
}

// list returns the list of the measurement that is the same as fields.
func (m *Memo) list(of *measurement, fields []knownField) []knownField {
	var keys strings.Builder
	for _, f := range fields {
		keys.WriteString(f.key)
	}
	list, ok := of.lists[keys.String()]
	if !ok {
		m.room(2*keys.Len() + 32*len(fields) + 64)
		list, of.lists[keys.String()] = fields, fields
	}
	return list
}

func separates(c byte) bool { return c == ',' || c == ' ' || c == '=' }

// plain says whether a text has nothing that the library would take in another
// way than as it stands, or not at all.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c == '\\' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(text)
}
