// Package feed serves the warnings that are public as a feed of CAP documents,
// as alert hubs poll it: an Atom index, and a document for each revision that
// stays where it is for ever.
//
// It asks as the public, whoever is signed in, and answers with an ETag. It is
// given its warnings by whoever mounts it and imports alerting/cap only; only cmd
// imports it.
package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"quantrac"
	"quantrac/alerting/cap"
)

// Source is where the feed reads warnings. Both methods show only what the
// principal in the context may see.
type Source interface {
	// Recent returns the revisions sent since a time and all revisions of
	// open episodes, in the order they were said.
	Recent(ctx context.Context, since quantrac.Millis) ([]quantrac.Warning, error)
	// Episode returns all revisions of an episode, rising; an empty list or a
	// NotFound error where there is none.
	Episode(ctx context.Context, id string) ([]quantrac.Warning, error)
}

// Days is how long a revision stays in the feed after its episode ended.
// Its own document stays for ever.
const Days = 7

// maxEntries bounds the feed's length; the newest stay.
const maxEntries = 500

type feed struct {
	src   Source
	clock quantrac.Clock
	o     cap.Options
	base  string
}

// New serves the Atom index at prefix and at
// prefix/feed.atom, and each revision at prefix/{episode}/{revision}.xml,
// where prefix is such as /open/cap. Answers carry an ETag; hubs that poll
// with If-None-Match get 304 while nothing is new.
func New(src Source, clock quantrac.Clock, prefix string, o cap.Options) http.Handler {
	f := &feed{src: src, clock: clock, o: o.WithDefaults(), base: strings.TrimSuffix(prefix, "/")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+f.base, f.index)
	mux.HandleFunc("GET "+f.base+"/feed.atom", f.index)
	mux.HandleFunc("GET "+f.base+"/{id}/{file}", f.document)
	return mux
}

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	Lang    string      `xml:"xml:lang,attr"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  atomAuthor  `xml:"author"`
	Link    []atomLink  `xml:"link"`
	Entry   []atomEntry `xml:"entry"`
}

type atomAuthor struct {
	Name string `xml:"name"`
	URI  string `xml:"uri,omitempty"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID        string   `xml:"id"`
	Title     string   `xml:"title"`
	Updated   string   `xml:"updated"`
	Published string   `xml:"published"`
	Summary   string   `xml:"summary"`
	Link      atomLink `xml:"link"`
}

func asPublic(r *http.Request) context.Context {
	return quantrac.WithPrincipal(r.Context(), quantrac.Principal{Role: quantrac.RolePublic})
}

func (f *feed) index(w http.ResponseWriter, r *http.Request) {
	now := f.clock.Now()
	ws, err := f.src.Recent(asPublic(r), now.Add(-Days*24*time.Hour))
	if err != nil {
		fail(w, err)
		return
	}
	ws = ws[max(0, len(ws)-maxEntries):]
	out := atomFeed{
		Lang: "vi", ID: f.o.BaseURL + f.base + "/feed.atom",
		Title:  "Thông tin quan trắc – cảnh báo kỹ thuật",
		Author: atomAuthor{Name: f.o.SenderName.Vi, URI: f.o.BaseURL},
		Link: []atomLink{
			{"self", "application/atom+xml", f.o.BaseURL + f.base + "/feed.atom"},
			{"alternate", "text/html", f.o.BaseURL + "/"},
		},
	}
	var newest quantrac.Millis
	for i := len(ws) - 1; i >= 0; i-- {
		v := &ws[i]
		newest = max(newest, v.Sent)
		out.Entry = append(out.Entry, atomEntry{
			ID: "urn:quantrac:" + cap.Identifier(v), Title: v.Headline.Vi, Updated: cap.Time(v.Sent), Published: cap.Time(v.Sent),
			Summary: v.Detail.Vi,
			Link:    atomLink{"alternate", "application/cap+xml", f.o.BaseURL + f.base + "/" + cap.Path(v)},
		})
	}
	out.Updated = cap.Time(newest)
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", " ")
	if err := enc.Encode(&out); err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Cache-Control", "max-age=30")
	send(w, r, "application/atom+xml; charset=utf-8", b.Bytes(), newest)
}

func (f *feed) document(w http.ResponseWriter, r *http.Request) {
	all, err := f.src.Episode(asPublic(r), r.PathValue("id"))
	if err != nil && quantrac.KindOf(err) != quantrac.NotFound {
		fail(w, err)
		return
	}
	for i := range all {
		if cap.Identifier(&all[i])+".xml" != r.PathValue("file") {
			continue
		}
		doc, err := cap.FromWarning(&all[i], all[:i], f.o).Encode()
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Cache-Control", "max-age=86400, immutable")
		send(w, r, cap.ContentType, doc, all[i].Sent)
		return
	}
	http.Error(w, "no such warning", http.StatusNotFound)
}

func send(w http.ResponseWriter, r *http.Request, contentType string, body []byte, at quantrac.Millis) {
	sum := sha256.Sum256(body)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Access-Control-Allow-Origin", "*") // open data, without credentials
	w.Header().Set("X-Content-Type-Options", "nosniff")
	var modified time.Time
	if at > 0 {
		modified = at.Time()
	}
	http.ServeContent(w, r, "", modified, bytes.NewReader(body))
}

func fail(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), quantrac.KindOf(err).HTTPStatus())
}
