package dashboards

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"quantrac"
)

// nowHeader carries the centre's time in Unix ms: ages on the page are counted
// from it, and the body stays the same while nothing changes.
const nowHeader = "Quantrac-Now"

// configView is what the page needs to know once.
type configView struct {
	Title       quantrac.Text `json:"title"`
	SignIn      bool          `json:"sign_in"`
	OpenData    bool          `json:"open_data"`
	ForecastOld int64         `json:"forecast_old_s"`
}

// sessionView says who is signed in; all empty where nobody is.
type sessionView struct {
	Name  string        `json:"name"`
	Role  quantrac.Role `json:"role"`
	Staff bool          `json:"staff"`
}

// packed is an encoded answer.
type packed struct{ raw, gz []byte }

// mayPack is how many encodings of one view are kept: public and the staff
// roles. Principals with stations of their own are encoded each time.
const mayPack = 32

// sees says whether a principal may see a station.
func sees(who quantrac.Principal, station string) bool {
	if who.Stations == nil {
		return true
	}
	for _, s := range who.Stations {
		if s == station {
			return true
		}
	}
	return false
}

func audienceOf(who quantrac.Principal) quantrac.Audience {
	if who.Staff() {
		return quantrac.AudienceStaff
	}
	return quantrac.AudiencePublic
}

// serveState answers GET /api/page/state: all stations with their newest
// readings, the running warnings, who is signed in, and the version from which
// the live stream goes on. It is a few hundred bytes a station, compressed,
// and 304 where nothing has changed.
func (p *Page) serveState(w http.ResponseWriter, r *http.Request) {
	v, err := p.current(r.Context())
	if err != nil {
		p.fail(w, r, err)
		return
	}
	who := quantrac.PrincipalFrom(r.Context())
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %q %t", who.Name, who.Role, who.Stations, who.Stations == nil)
	tag := fmt.Sprintf(`W/"%s-%d-%x"`, p.instance, v.seq, h.Sum64())
	head := w.Header()
	head.Set(nowHeader, strconv.FormatInt(int64(p.o.Clock.Now()), 10))
	head.Set("ETag", tag)
	head.Set("Vary", "Cookie, Authorization, Accept-Encoding")
	if who.Staff() {
		head.Set("Cache-Control", "private, no-cache")
	} else {
		head.Set("Cache-Control", "no-cache")
	}
	if matchesTag(r, tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	enc, err := p.pack(v, who, tag)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	writePacked(w, r, "application/json; charset=utf-8", enc)
}

func matchesTag(r *http.Request, tag string) bool {
	for have := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(have), "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// pack encodes the state for a reader, once for all that see the same.
func (p *Page) pack(v *view, who quantrac.Principal, tag string) (*packed, error) {
	p.mu.Lock()
	enc := p.packed[tag]
	p.mu.Unlock()
	if enc != nil {
		return enc, nil
	}
	raw, err := p.encodeState(v, who)
	if err != nil {
		return nil, err
	}
	enc = &packed{raw: raw, gz: gzipped(raw)}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.view == v && who.Stations == nil {
		if len(p.packed) >= mayPack {
			clear(p.packed)
		}
		p.packed[tag] = enc
	}
	return enc, nil
}

func (p *Page) encodeState(v *view, who quantrac.Principal) ([]byte, error) {
	head, err := json.Marshal(struct {
		Config  configView  `json:"config"`
		Session sessionView `json:"session"`
		Version string      `json:"version"`
		Trouble *trouble    `json:"trouble"`
	}{
		configView{p.o.Title, p.o.SignIn, p.o.OpenData, int64(p.o.ForecastOld.Seconds())},
		sessionOf(who), p.version(v.seq), v.trouble,
	})
	if err != nil {
		return nil, fmt.Errorf("page: state: %w", err)
	}
	var b bytes.Buffer
	b.Write(head[:len(head)-1])
	b.WriteString(`,"warnings":`)
	b.Write(v.warningsFor(who))
	b.WriteString(`,"stations":`)
	v.appendStations(&b, who, 0)
	b.WriteByte('}')
	return b.Bytes(), nil
}

func sessionOf(who quantrac.Principal) sessionView {
	if !who.Staff() {
		return sessionView{}
	}
	return sessionView{Name: who.Name, Role: who.Role, Staff: true}
}

// version names a state of this process to the live stream.
func (p *Page) version(seq uint64) string { return p.instance + "-" + strconv.FormatUint(seq, 10) }

// since reads a version: the sequence number after which a reader needs what
// has changed, false where it must take everything.
func (p *Page) since(version string) (uint64, bool) {
	inst, num, ok := strings.Cut(version, "-")
	if !ok || inst != p.instance {
		return 0, false
	}
	seq, err := strconv.ParseUint(num, 10, 64)
	return seq, err == nil
}

// appendStations writes the stations a reader may see that changed after a
// sequence number, as an array; it says how many.
func (v *view) appendStations(b *bytes.Buffer, who quantrac.Principal, after uint64) int {
	n := 0
	b.WriteByte('[')
	for _, c := range v.cells {
		if c.seq > after && sees(who, c.view.ID) {
			if n > 0 {
				b.WriteByte(',')
			}
			b.Write(c.raw)
			n++
		}
	}
	b.WriteByte(']')
	return n
}

// warningsFor returns the encoded running warnings that a reader may see.
func (v *view) warningsFor(who quantrac.Principal) []byte {
	n := v.warnings[audienceOf(who)]
	if who.Stations == nil {
		return n.raw
	}
	list := []quantrac.Warning{}
	for _, w := range n.list {
		if sees(who, w.Station) {
			list = append(list, w)
		}
	}
	raw, err := json.Marshal(list)
	if err != nil { // it was encoded whole a moment ago
		return []byte("[]")
	}
	return raw
}

// gzipped compresses what is sent to many.
func gzipped(raw []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := z.Write(raw); err != nil {
		return nil
	}
	if err := z.Close(); err != nil {
		return nil
	}
	return b.Bytes()
}

// writePacked sends an encoded answer, compressed where the reader takes it.
func writePacked(w http.ResponseWriter, r *http.Request, contentType string, enc *packed) {
	w.Header().Set("Content-Type", contentType)
	body := enc.raw
	if enc.gz != nil && len(enc.gz) < len(enc.raw) && acceptsGzip(r) {
		w.Header().Set("Content-Encoding", "gzip")
		body = enc.gz
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		// A failed write means that the reader has gone.
		_, _ = w.Write(body)
	}
}

// acceptsGzip reads Accept-Encoding: gzip named, and not with weight 0.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.TrimSpace(name) != "gzip" {
			continue
		}
		q = strings.ReplaceAll(strings.TrimSpace(q), " ", "")
		weight, err := strconv.ParseFloat(strings.TrimPrefix(q, "q="), 64)
		return q == "" || err != nil || weight > 0
	}
	return false
}
