package httpapi

import (
	"bytes"
	"io"
	"net/http"
	"slices"

	"quantrac"
	"quantrac/devices"
	"quantrac/internal/jsonapi"
)

func (a *api) devices(w http.ResponseWriter, r *http.Request) {
	p := quantrac.PrincipalFrom(r.Context())
	out := slices.DeleteFunc(a.reg.Devices(r.URL.Query().Get("station")), func(d devices.Device) bool { return !sees(p, d.Station) })
	jsonapi.Answer(w, some(out))
}

func (a *api) device(w http.ResponseWriter, r *http.Request) {
	if d, ok := a.known(w, r); ok {
		jsonapi.Answer(w, d)
	}
}

// known returns the device of the address where who asks may see it.
func (a *api) known(w http.ResponseWriter, r *http.Request) (devices.Device, bool) {
	d, ok := a.reg.Device(r.PathValue("id"))
	if !ok || !sees(quantrac.PrincipalFrom(r.Context()), d.Station) {
		jsonapi.Fail(w, quantrac.Errorf(quantrac.NotFound, "device %q is not registered", r.PathValue("id")))
		return devices.Device{}, false
	}
	return d, true
}

func (a *api) putDevice(w http.ResponseWriter, r *http.Request) {
	var d devices.Device
	if !jsonapi.Read(w, r, maxBody, &d) || !same(w, "id", &d.ID, r.PathValue("id")) || !mayEquip(w, r, d.Station) {
		return
	}
	// A device that moves is taken from a station too.
	if old, ok := a.reg.Device(d.ID); ok && old.Station != d.Station && !mayEquip(w, r, old.Station) {
		return
	}
	c, err := a.reg.PutDevice(r.Context(), d, reason(r))
	changed(w, c, err)
}

func (a *api) newToken(w http.ResponseWriter, r *http.Request) {
	d, ok := a.known(w, r)
	if !ok || !mayEquip(w, r, d.Station) {
		return
	}
	secret, t, err := a.reg.NewToken(r.Context(), d.ID, reason(r))
	if err != nil {
		fail(w, err)
		return
	}
	jsonapi.Answer(w, struct {
		devices.Token
		Secret string `json:"secret"`
	}{t, secret})
}

func (a *api) revokeToken(w http.ResponseWriter, r *http.Request) {
	if d, ok := a.known(w, r); ok && mayEquip(w, r, d.Station) {
		c, err := a.reg.RevokeToken(r.Context(), d.ID, r.PathValue("token"), reason(r))
		changed(w, c, err)
	}
}

func (a *api) units(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("code")
	if code == "" {
		jsonapi.Answer(w, some(a.reg.Units()))
		return
	}
	at, ok := a.at(w, r)
	if !ok {
		return
	}
	u, found := a.reg.Unit(code, at)
	if !found {
		jsonapi.Fail(w, quantrac.Errorf(quantrac.NotFound, "no unit has code %q at %s", code, at))
		return
	}
	jsonapi.Answer(w, u)
}

func (a *api) putUnits(w http.ResponseWriter, r *http.Request) {
	var list []devices.Unit
	if mayGovern(w, r) && jsonapi.Read(w, r, maxBody, &list) {
		c, err := a.reg.PutUnits(r.Context(), list, reason(r))
		changed(w, c, err)
	}
}

func (a *api) authorities(w http.ResponseWriter, r *http.Request) {
	jsonapi.Answer(w, some(a.reg.Authorities()))
}

func (a *api) putAuthority(w http.ResponseWriter, r *http.Request) {
	var au devices.Authority
	if mayGovern(w, r) && jsonapi.Read(w, r, maxBody, &au) {
		c, err := a.reg.PutAuthority(r.Context(), au, reason(r))
		changed(w, c, err)
	}
}

// importCSV first runs dry, to know what the file speaks of.
func (a *api) importCSV(w http.ResponseWriter, r *http.Request) {
	p := quantrac.PrincipalFrom(r.Context())
	if !allow(w, slices.Contains(equipmentRoles, p.Role) && p.Stations == nil, p, "import") {
		return
	}
	if !jsonapi.HasType(r, "text/csv") {
		jsonapi.Error(w, http.StatusUnsupportedMediaType, quantrac.Invalid.String(), "want Content-Type: text/csv")
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxImport))
	if err != nil {
		jsonapi.BadBody(w, err)
		return
	}
	q := r.URL.Query().Get("dry_run")
	dryRun := q == "true" || q == "1"
	rep, err := devices.ImportCSV(r.Context(), bytes.NewReader(data), a.reg, true)
	rep.DryRun = dryRun
	if err == nil && !mayImport(w, p, rep) {
		return
	}
	if err == nil && !dryRun {
		rep, err = devices.ImportCSV(r.Context(), bytes.NewReader(data), a.reg, false)
	}
	if err != nil {
		kind := quantrac.KindOf(err)
		body := jsonapi.Body(kind.String(), err.Error())
		body["report"] = rep
		jsonapi.Write(w, kind.HTTPStatus(), body)
		return
	}
	jsonapi.Answer(w, rep)
}

func mayImport(w http.ResponseWriter, p quantrac.Principal, rep devices.Report) bool {
	return allow(w, rep.Named["unit"] == 0 || p.Role == quantrac.RoleAdmin, p, "import administrative units") &&
		allow(w, rep.Named["threshold"] == 0 || slices.Contains(thresholdRoles, p.Role), p, "import thresholds")
}

func (a *api) changes(w http.ResponseWriter, r *http.Request) {
	p := quantrac.PrincipalFrom(r.Context())
	if !allow(w, p.Stations == nil, p, "read the history of the whole network") {
		return
	}
	before, ok := number(w, r, "before", 0)
	if !ok {
		return
	}
	limit, ok := number(w, r, "limit", 100)
	if !ok {
		return
	}
	q := r.URL.Query()
	list, err := a.reg.Changes(r.Context(), q.Get("kind"), q.Get("id"), before, int(min(limit, 1000)))
	if err != nil {
		fail(w, err)
		return
	}
	jsonapi.Answer(w, list)
}
