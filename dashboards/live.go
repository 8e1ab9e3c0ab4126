package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"quantrac"
)

// beat is how often a quiet stream says that it lives; the page takes three
// beats without a word for a broken line.
const beat = 15 * time.Second

// patience is how long one write to a browser may take. Who does not take its
// bytes for so long is let go; it comes back and resumes.
const patience = 10 * time.Second

// client is one live stream. It keeps no queue: a wake-up makes it send what
// changed since the version it sent last, so a browser that lags skips what
// is outdated and costs no memory.
type client struct {
	who  quantrac.Principal
	wake chan struct{} // holds at most one
}

// wake tells all live streams to look at the view.
func (p *Page) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.packed)
	for c := range p.clients {
		select {
		case c.wake <- struct{}{}:
		default: // it has yet to look anyway
		}
	}
}

func (p *Page) join(c *client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.clients) >= p.o.MaxClients {
		p.refused++
		return false
	}
	p.clients[c] = true
	return true
}

func (p *Page) leave(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, c)
}

// serveLive answers GET /api/page/live as server-sent events: "update" with
// what has changed ("full" true where it replaces everything), "beat" in
// quiet times. The id of an event is the version; a browser resumes after
// Last-Event-ID, or after ?since= at its first connection.
func (p *Page) serveLive(w http.ResponseWriter, r *http.Request) {
	if _, err := p.current(r.Context()); err != nil {
		p.fail(w, r, err)
		return
	}
	c := &client{who: quantrac.PrincipalFrom(r.Context()), wake: make(chan struct{}, 1)}
	if !p.join(c) {
		w.Header().Set("Retry-After", "60")
		refuse(w, http.StatusServiceUnavailable, quantrac.Busy, "too many live streams; ask /api/page/state again after a while")
		return
	}
	defer p.leave(c)
	from := r.Header.Get("Last-Event-ID")
	if from == "" {
		from = r.URL.Query().Get("since")
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // reverse proxies must pass it on at once
	w.WriteHeader(http.StatusOK)
	p.stream(w, r, c, from)
}

func (p *Page) stream(w http.ResponseWriter, r *http.Request, c *client, from string) {
	out := http.NewResponseController(w)
	send := func(event string) bool {
		// Not every writer has deadlines; without one a dead peer is found by
		// the operating system later.
		_ = out.SetWriteDeadline(time.Now().Add(patience))
		if _, err := w.Write([]byte(event)); err != nil || out.Flush() != nil {
			p.mu.Lock()
			p.dropped++
			p.mu.Unlock()
			return false
		}
		return true
	}
	seq, known := p.since(from)
	// Browsers come back at different moments after a restart.
	if !send(fmt.Sprintf("retry: %d\n\n", 2000+time.Now().UnixNano()%4000)) {
		return
	}
	end := time.NewTimer(p.o.Session)
	defer end.Stop()
	quiet := time.NewTicker(beat)
	defer quiet.Stop()
	for {
		p.mu.Lock()
		v := p.view
		p.mu.Unlock()
		if !known || seq != v.seq {
			event, err := p.updateEvent(v, c.who, seq, known)
			if err != nil {
				p.o.Logger.Error("page: live update", "error", err)
				return
			}
			if !send(event) {
				return
			}
			seq, known = v.seq, true
		}
		select {
		case <-c.wake:
		case <-quiet.C:
			if !send(fmt.Sprintf("event: beat\ndata: {\"now\":%d}\n\n", p.o.Clock.Now())) {
				return
			}
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		case <-p.done:
			return
		}
	}
}

// updateEvent writes what has changed after seq, or everything.
func (p *Page) updateEvent(v *view, who quantrac.Principal, seq uint64, known bool) (string, error) {
	full := !known || seq < v.full || seq > v.seq
	if full {
		seq = 0
	}
	tr, err := json.Marshal(v.trouble)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	b.WriteString("id: " + p.version(v.seq) + "\nevent: update\ndata: {\"now\":")
	b.WriteString(strconv.FormatInt(int64(p.o.Clock.Now()), 10))
	b.WriteString(`,"version":"` + p.version(v.seq) + `","trouble":`)
	b.Write(tr)
	if full {
		b.WriteString(`,"full":true`)
	}
	if n := v.warnings[audienceOf(who)]; full || n.seq > seq {
		b.WriteString(`,"warnings":`)
		b.Write(v.warningsFor(who))
	}
	b.WriteString(`,"stations":`)
	v.appendStations(&b, who, seq)
	b.WriteString("}\n\n")
	return b.String(), nil
}
