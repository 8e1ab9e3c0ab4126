package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// shutdownPatience is how long requests under way may take to finish, once
	// the service stops.
	shutdownPatience = 10 * time.Second
	// remindEvery is how often a stop that takes longer says what it waits for.
	remindEvery = 5 * time.Second
)

// underway is what has begun and not ended, by name, so that a stop can say
// what it waits for.
type underway struct {
	mu sync.Mutex
	n  map[string]int
}

// begin notes a beginning; what it returns notes the end.
func (u *underway) begin(name string) (end func()) {
	u.add(name, 1)
	return func() { u.add(name, -1) }
}

func (u *underway) add(name string, by int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n == nil {
		u.n = map[string]int{}
	}
	if u.n[name] += by; u.n[name] == 0 {
		delete(u.n, name)
	}
}

// String lists the names, some of very many; "" is nothing.
func (u *underway) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var list []string
	for _, name := range slices.Sorted(maps.Keys(u.n)) {
		if n := u.n[name]; n > 1 {
			name = fmt.Sprintf("%s (%d)", name, n)
		}
		if list = append(list, name); len(list) == 20 && len(u.n) > 20 {
			list = append(list, fmt.Sprintf("and %d more", len(u.n)-20))
			break
		}
	}
	return strings.Join(list, ", ")
}

// requests notes the requests of a handler, without what their queries hold.
func (u *underway) requests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const most = 80
		path := r.URL.Path
		if len(path) > most {
			path = path[:most] + "…"
		}
		defer u.begin(r.Method + " " + path)()
		next.ServeHTTP(w, r)
	})
}

// stop takes no more, lets finish what has come in, and then ends the parts.
// Live streams end at once, other requests within shutdownPatience.
func (s *system) stop(d *door, stopWork func()) error {
	s.since = time.Now()
	close(s.stopping)
	err := s.page.Close()
	s.log.Info("stopping; a second signal ends at once", "requests", s.requests.String(), "at_most", shutdownPatience)
	s.remind()
	cut, derr := d.close(shutdownPatience, &s.requests)
	if cut != "" {
		s.log.Warn("requests cut off: they had not ended in time", "requests", cut)
	}
	<-s.guests // they leave before the broker does
	stopWork()
	if err == nil {
		err = derr
	}
	return err
}

// remind says now and then what the stop waits for, until everything is closed.
func (s *system) remind() {
	go func() {
		tick := time.NewTicker(remindEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.log.Info("stopping: waiting", "requests", s.requests.String(), "parts", s.parts.String())
			case <-s.closed:
				return
			}
		}
	}()
}
