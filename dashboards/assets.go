package dashboards

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:generate npm --prefix web run generate

// built is the page, made of web/ by `go generate`. Files under assets/assets
// carry their content's hash in their name.
//
//go:embed assets
var built embed.FS

// outlineJSON is the map's base layer; the names of the communes are in it.
//
//go:embed web/data/outline.json
var outlineJSON []byte

// mediaTypes are those of the built files, so that the machine's own table,
// which differs from system to system, is not asked.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".json": "application/json; charset=utf-8", ".webmanifest": "application/manifest+json", ".png": "image/png",
	".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

// assets are the built files, compressed once.
type assets struct{ files map[string]*asset }

type asset struct {
	packed
	media string
	tag   string
}

func loadAssets() (*assets, error) {
	a := &assets{files: map[string]*asset{}}
	err := fs.WalkDir(built, "assets", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := built.ReadFile(p)
		if err != nil {
			return err
		}
		media := mediaTypes[path.Ext(p)]
		if media == "" {
			return fmt.Errorf("dashboards: built file %s has no known media type", p)
		}
		sum := sha256.Sum256(raw)
		f := &asset{packed: packed{raw: raw}, media: media, tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
		if media != "image/png" {
			f.gz = gzipped(raw)
		}
		a.files[strings.TrimPrefix(p, "assets")] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, want := range []string{"/index.html", "/sw.js", "/manifest.webmanifest"} {
		if a.files[want] == nil {
			return nil, fmt.Errorf("dashboards: the built page lacks %s; run go generate ./dashboards", want)
		}
	}
	return a, nil
}

func (a *assets) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, "/index.html") })
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, "/icon-192.png") })
	for name := range a.files {
		if name != "/index.html" {
			mux.HandleFunc("GET "+name, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, name) })
		}
	}
}

// serve sends a built file. What has its hash in its name never changes; the
// rest is asked for again each time and answered 304 while it is the same.
func (a *assets) serve(w http.ResponseWriter, r *http.Request, name string) {
	f := a.files[name]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("ETag", f.tag)
	h.Set("Vary", "Accept-Encoding")
	if strings.HasPrefix(name, "/assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if matchesTag(r, f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writePacked(w, r, f.media, &f.packed)
}

// communeNames reads the names of the communes of 2025 by their codes. Codes
// were given out anew in July 2025, so this table is for the present only.
func communeNames() (map[string]string, error) {
	var o struct {
		Communes [][]any `json:"communes"`
	}
	if err := json.Unmarshal(outlineJSON, &o); err != nil {
		return nil, fmt.Errorf("dashboards: web/data/outline.json: %w", err)
	}
	out := make(map[string]string, len(o.Communes))
	for _, c := range o.Communes {
		if len(c) < 2 {
			continue
		}
		code, _ := c[0].(string)
		name, _ := c[1].(string)
		out[code] = name
	}
	return out, nil
}
