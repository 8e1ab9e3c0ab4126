// Package httpapi is the staff's JSON over the registry: stations, devices and
// their tokens, properties, thresholds, administrative units, authorities,
// imports and the history of changes. New returns the handler for
// /api/registry/; cmd mounts it inside the guard of devices/accounts, which
// says who asks. Nobody else imports it.
//
//	GET    stations                            ?at= (the forms of every endpoint; now)
//	GET    stations/{id}                       with properties, thresholds, devices
//	PUT    stations/{id}                       a devices.Station
//	PUT    stations/{id}/properties/{name}     a devices.Property
//	DELETE stations/{id}/properties/{name}
//	POST   thresholds                          a devices.Threshold
//	DELETE thresholds/{id}
//	GET    devices                             ?station=
//	GET    devices/{id}
//	PUT    devices/{id}                        a devices.Device
//	POST   devices/{id}/tokens                 answers with the secret, once
//	DELETE devices/{id}/tokens/{token}
//	GET    units                               ?code= &at=
//	PUT    units                               a list of devices.Unit
//	GET    authorities
//	PUT    authorities                         a devices.Authority
//	POST   import                              text/csv; ?dry_run=true
//	GET    changes                             ?kind= &id= &before= &limit=
//
// Every change takes ?reason=, which thresholds and authorities want. A
// revision in a body that is not the present one is 409; the answer to a
// change is its commit, 0 where nothing changed. What is refused lists every
// reason under "problems". Times are UTC milliseconds (…_ms), absent for since
// ever, still or unknown.
//
// Who may: every signed-in person reads, within their stations. Technicians,
// hydrologists and administrators change stations, properties and devices;
// hydrologists and administrators thresholds, plant-protection officers those
// of insect traps; administrators of the whole network units and authorities.
// An import wants the right to everything the file speaks of.
package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"quantrac"
	"quantrac/devices"
	"quantrac/internal/jsonapi"
	"quantrac/internal/params"
)

const (
	maxBody   = 1 << 20  // of JSON
	maxImport = 17 << 20 // of CSV; devices.ImportCSV says what is too much
)

type api struct {
	reg   *devices.Registry
	clock quantrac.Clock
}

// New returns the handler of everything under /api/registry/. The clock dates
// questions that name no instant.
func New(reg *devices.Registry, clock quantrac.Clock) http.Handler {
	a := &api{reg, clock}
	mux := http.NewServeMux()
	for pattern, h := range map[string]http.HandlerFunc{
		"GET stations":                           a.stations,
		"GET stations/{id}":                      a.station,
		"PUT stations/{id}":                      a.putStation,
		"PUT stations/{id}/properties/{name}":    a.putProperty,
		"DELETE stations/{id}/properties/{name}": a.removeProperty,
		"POST thresholds":                        a.putThreshold,
		"DELETE thresholds/{id}":                 a.removeThreshold,
		"GET devices":                            a.devices,
		"GET devices/{id}":                       a.device,
		"PUT devices/{id}":                       a.putDevice,
		"POST devices/{id}/tokens":               a.newToken,
		"DELETE devices/{id}/tokens/{token}":     a.revokeToken,
		"GET units":                              a.units,
		"PUT units":                              a.putUnits,
		"GET authorities":                        a.authorities,
		"PUT authorities":                        a.putAuthority,
		"POST import":                            a.importCSV,
		"GET changes":                            a.changes,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(method+" /api/registry/"+path, staff(h))
	}
	return jsonapi.Routes(mux)
}

// staff lets signed-in people through.
func staff(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !quantrac.PrincipalFrom(r.Context()).Staff() {
			jsonapi.Error(w, http.StatusUnauthorized, "unauthenticated", "sign in first")
			return
		}
		next(w, r)
	}
}

// The kinds of things a role may change.
var (
	equipmentRoles = []quantrac.Role{quantrac.RoleTechnician, quantrac.RoleHydrologist, quantrac.RoleAdmin}
	thresholdRoles = []quantrac.Role{quantrac.RoleHydrologist, quantrac.RoleAdmin}
)

func sees(p quantrac.Principal, station string) bool {
	return p.Stations == nil || slices.Contains(p.Stations, station)
}

// mayEquip says whether who asks may change a station, its properties and
// devices; it answers 403 where not.
func mayEquip(w http.ResponseWriter, r *http.Request, station string) bool {
	p := quantrac.PrincipalFrom(r.Context())
	return allow(w, slices.Contains(equipmentRoles, p.Role) && sees(p, station), p, "change station "+station)
}

func (a *api) mayJudge(w http.ResponseWriter, r *http.Request, station string) bool {
	p := quantrac.PrincipalFrom(r.Context())
	st, _ := a.reg.Record(station)
	ok := slices.Contains(thresholdRoles, p.Role) || p.Role == quantrac.RolePlantOfficer && st.Family == quantrac.FamilyInsect
	return allow(w, ok && sees(p, station), p, "change thresholds of station "+station)
}

func mayGovern(w http.ResponseWriter, r *http.Request) bool {
	p := quantrac.PrincipalFrom(r.Context())
	return allow(w, p.Role == quantrac.RoleAdmin && p.Stations == nil, p, "change what concerns the whole network")
}

func allow(w http.ResponseWriter, ok bool, p quantrac.Principal, what string) bool {
	if !ok {
		jsonapi.Fail(w, quantrac.Errorf(quantrac.Denied, "%s (%s) may not %s", p.Name, p.Role, what))
	}
	return ok
}

// changed answers a change: its commit, or every reason why it was refused.
func changed(w http.ResponseWriter, c quantrac.Commit, err error) {
	if err == nil {
		jsonapi.Answer(w, map[string]uint64{"commit": c.Number})
		return
	}
	fail(w, err)
}

func fail(w http.ResponseWriter, err error) {
	kind := quantrac.KindOf(err)
	body := jsonapi.Body(kind.String(), err.Error())
	if ps := devices.ProblemsOf(err); ps != nil {
		body["problems"] = ps
	}
	jsonapi.Write(w, kind.HTTPStatus(), body)
}

func reason(r *http.Request) string { return r.URL.Query().Get("reason") }

// at reads ?at=, now where it is not given.
func (a *api) at(w http.ResponseWriter, r *http.Request) (quantrac.Millis, bool) {
	at, err := params.Time(r.URL.Query(), "at", a.clock.Now())
	if err != nil {
		jsonapi.Fail(w, err)
		return 0, false
	}
	return at, true
}

// number reads a whole number of the query, def where it is not given.
func number(w http.ResponseWriter, r *http.Request, name string, def uint64) (uint64, bool) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return def, true
	}
	n, err := strconv.ParseUint(text, 10, 62)
	if err != nil {
		jsonapi.Fail(w, quantrac.Errorf(quantrac.Invalid, "%s=%q: want a whole number", name, text))
		return 0, false
	}
	return n, true
}

// same refuses a body that names another thing than the address; "" is filled
// in.
func same(w http.ResponseWriter, field string, inBody *string, inAddress string) bool {
	if *inBody != "" && *inBody != inAddress {
		jsonapi.Fail(w, quantrac.Errorf(quantrac.Invalid, "%s %q is not that of the address, %q", field, *inBody, inAddress))
		return false
	}
	*inBody = inAddress
	return true
}
