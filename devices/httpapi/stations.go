package httpapi

import (
	"net/http"

	"quantrac"
	"quantrac/devices"
	"quantrac/internal/jsonapi"
)

// station is a station as it is answered: its entry, and its labels at the
// instant asked for.
type station struct {
	devices.Station
	Labels map[string]string `json:"labels"` // empty where it was not known then
}

func (a *api) view(s devices.Station, at quantrac.Millis) station {
	out := station{s, map[string]string{}}
	for _, l := range a.reg.Labels(s.ID, at) {
		out.Labels[l.Name] = l.Value
	}
	return out
}

func (a *api) stations(w http.ResponseWriter, r *http.Request) {
	at, ok := a.at(w, r)
	if !ok {
		return
	}
	p := quantrac.PrincipalFrom(r.Context())
	out := []station{}
	for _, s := range a.reg.Records() {
		if sees(p, s.ID) {
			out = append(out, a.view(s, at))
		}
	}
	jsonapi.Answer(w, out)
}

func (a *api) station(w http.ResponseWriter, r *http.Request) {
	at, ok := a.at(w, r)
	if !ok {
		return
	}
	id := r.PathValue("id")
	s, found := a.reg.Record(id)
	if !found || !sees(quantrac.PrincipalFrom(r.Context()), id) {
		jsonapi.Fail(w, quantrac.Errorf(quantrac.NotFound, "station %q is not registered", id))
		return
	}
	jsonapi.Answer(w, struct {
		station
		Properties []devices.Property  `json:"properties"`
		Thresholds []devices.Threshold `json:"thresholds"`
		Devices    []devices.Device    `json:"devices"`
	}{a.view(s, at), some(a.reg.PropertyRecords(id)), some(a.reg.ThresholdRecords(id)), some(a.reg.Devices(id))})
}

// some makes an empty list of nil, which JSON tells apart.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (a *api) putStation(w http.ResponseWriter, r *http.Request) {
	var s devices.Station
	if !mayEquip(w, r, r.PathValue("id")) || !jsonapi.Read(w, r, maxBody, &s) || !same(w, "id", &s.ID, r.PathValue("id")) {
		return
	}
	c, err := a.reg.PutStation(r.Context(), s, reason(r))
	changed(w, c, err)
}

func (a *api) putProperty(w http.ResponseWriter, r *http.Request) {
	var p devices.Property
	if !mayEquip(w, r, r.PathValue("id")) || !jsonapi.Read(w, r, maxBody, &p) ||
		!same(w, "station", &p.Station, r.PathValue("id")) || !same(w, "name", &p.Name, r.PathValue("name")) {
		return
	}
	c, err := a.reg.PutProperty(r.Context(), p, reason(r))
	changed(w, c, err)
}

func (a *api) removeProperty(w http.ResponseWriter, r *http.Request) {
	if mayEquip(w, r, r.PathValue("id")) {
		c, err := a.reg.RemoveProperty(r.Context(), r.PathValue("id"), r.PathValue("name"), reason(r))
		changed(w, c, err)
	}
}

func (a *api) putThreshold(w http.ResponseWriter, r *http.Request) {
	var t devices.Threshold
	if !jsonapi.Read(w, r, maxBody, &t) || !a.mayJudge(w, r, t.Station) {
		return
	}
	t.EnteredBy = quantrac.PrincipalFrom(r.Context()).Name
	c, err := a.reg.PutThreshold(r.Context(), t, reason(r))
	changed(w, c, err)
}

func (a *api) removeThreshold(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if a.mayJudge(w, r, devices.StationOf(id)) {
		c, err := a.reg.RemoveThreshold(r.Context(), id, reason(r))
		changed(w, c, err)
	}
}
