package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
)

// greet says where to look.
func (s *system) greet(out io.Writer, d *door) {
	host := d.http[0].Addr().String()
	if h, _, err := net.SplitHostPort(s.c.HTTP); err == nil {
		_, port, _ := net.SplitHostPort(host)
		host = net.JoinHostPort(reachable(h), port)
	}
	fmt.Fprintf(out, "Quantrac %s, data in %s\n", version, s.c.Data)
	fmt.Fprintf(out, "  page         http://%s/\n", host)
	fmt.Fprintf(out, "  PromQL       http://%s/api/v1/query (a Prometheus data source for Grafana)\n", host)
	fmt.Fprintf(out, "  line prot.   http://%s/write, /api/v2/write\n", host)
	for _, l := range d.mqtt {
		fmt.Fprintf(out, "  MQTT         mqtt://%s\n", l.Addr())
	}
	if s.c.Broker != "" {
		fmt.Fprintf(out, "  MQTT         %s (external broker: readings in, warnings out)\n", s.c.Broker)
	}
	if s.c.Dev {
		fmt.Fprintln(out, "  --dev: local requests are the administrator's, local devices need no credential")
	}
	if s.c.Simulate {
		fmt.Fprintln(out, "  MÔ PHỎNG / SIMULATED: the network sim_… is made up; none of it is an observation")
	}
	if code, expires := s.accounts.SetupCode(); code != "" && !s.c.Dev {
		fmt.Fprintf(out, "  no account yet: open http://%s/ and enter the setup code %s (until %s)\n", host, code, expires)
	}
	fmt.Fprintln(out, "ready")
}

// ready says whether the service takes requests, and where its warnings go.
func (s *system) ready(w http.ResponseWriter, _ *http.Request) {
	select {
	case <-s.stopping:
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	default:
	}
	fmt.Fprintln(w, "ready")
	fmt.Fprintln(w, "warnings are published on:")
	for _, place := range s.published() {
		fmt.Fprintln(w, "  "+place)
	}
}
