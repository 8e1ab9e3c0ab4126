package devices

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"quantrac"
)

// Report says what an import did, or would do.
type Report struct {
	DryRun    bool   `json:"dry_run"`
	Rows      int    `json:"rows"`
	Commit    uint64 `json:"commit,omitempty"` // 0 where nothing was changed
	Items     []Item `json:"items,omitempty"`  // what is created or changed
	Unchanged int    `json:"unchanged"`        // things the file names that are as it says

	// Named counts what the file speaks of, by kind, changed or not: what
	// somebody must be allowed to change who imports it.
	Named map[string]int `json:"named,omitempty"`

	Tokens []DeviceToken `json:"tokens,omitempty"` // of new devices; shown once
	Errors []LineError   `json:"errors,omitempty"`
}

// Item is one thing that an import creates or changes.
type Item struct {
	Action string        `json:"action"` // "created" or "changed"
	Kind   string        `json:"kind"`
	ID     string        `json:"id"`
	Fields []FieldChange `json:"fields,omitempty"` // of a changed one
}

// FieldChange is one field of a changed thing, as people read it.
type FieldChange struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// DeviceToken is the credential of a new device.
type DeviceToken struct {
	Device  string `json:"device"`
	Station string `json:"station"`
	Token   string `json:"token"`
}

// WriteTo writes the report for a terminal.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	for _, e := range r.Errors {
		fmt.Fprintf(&b, "%s\n", e)
	}
	if len(r.Errors) > 0 {
		fmt.Fprintf(&b, "%d errors; nothing was changed\n", len(r.Errors))
	} else {
		r.body(&b)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func (r Report) body(b *strings.Builder) {
	created, changed := 0, 0
	for _, it := range r.Items {
		fmt.Fprintf(b, "%s %s %s\n", it.Action, it.Kind, it.ID)
		for _, f := range it.Fields {
			fmt.Fprintf(b, "    %s: %s → %s\n", f.Field, f.From, f.To)
		}
		if it.Action == actionCreated {
			created++
		} else {
			changed++
		}
	}
	form := "rows: %d, created: %d, changed: %d, unchanged: %d\n"
	if r.DryRun {
		form = "rows: %d, to create: %d, to change: %d, unchanged: %d\n"
	}
	fmt.Fprintf(b, form, r.Rows, created, changed, r.Unchanged)
	if r.DryRun {
		fmt.Fprintln(b, "dry run: nothing was changed")
	}
	if len(r.Tokens) > 0 {
		fmt.Fprintln(b, "Tokens of new devices. They are shown once; write them down now.")
		for _, t := range r.Tokens {
			fmt.Fprintf(b, "    %s\t%s\n", t.Device, t.Token)
		}
	}
}

const (
	actionCreated = "created"
	actionChanged = "changed"
)

// describe fills the report from the edits of a draft; named are the things
// the file names.
func (r *Report) describe(d *draft, named map[string]int) {
	seen := map[string]bool{}
	for i := range d.edits {
		kind, id := d.edits[i].object()
		if kind == "token" || seen[kind+" "+id] {
			continue
		}
		seen[kind+" "+id] = true
		old, now := d.before.find(kind, id), d.find(kind, id)
		it := Item{Action: actionCreated, Kind: kind, ID: id}
		if old != nil {
			it.Action, it.Fields = actionChanged, diff(old, now)
		}
		r.Items = append(r.Items, it)
	}
	r.Named = map[string]int{}
	for object := range named {
		kind, _, _ := strings.Cut(object, " ")
		r.Named[kind]++
		if !seen[object] {
			r.Unchanged++
		}
	}
}

// find returns an entry of the registry by kind and key as an edit names it;
// nil where there is none.
func (s *state) find(kind, id string) any {
	head, _, _ := strings.Cut(id, ":")
	switch kind {
	case "station":
		if st := s.stations[id]; st != nil {
			return st.Station
		}
	case "device":
		if d := s.devices[id]; d != nil {
			return d.Device
		}
	case "property", "threshold":
		st := s.stations[head]
		if st == nil {
			return nil
		}
		for _, p := range st.properties {
			if kind == "property" && p.Station+":"+p.Name == id {
				return p
			}
		}
		for _, t := range st.thresholds {
			if kind == "threshold" && t.ID == id {
				return t
			}
		}
	case "unit":
		for _, u := range s.units[head] {
			if u.key() == id {
				return u
			}
		}
	}
	return nil
}

// diff lists the fields in which two entries' JSON forms differ.
func diff(old, now any) []FieldChange {
	a, b := flatten(old), flatten(now)
	var out []FieldChange
	names := maps.Clone(a)
	maps.Copy(names, b)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if name != "revision" && name != "tokens" && !reflect.DeepEqual(a[name], b[name]) {
			out = append(out, FieldChange{name, display(name, a[name]), display(name, b[name])})
		}
	}
	return out
}

// flatten returns an entry's JSON form with the station's facts spread out.
func flatten(v any) map[string]any {
	out := map[string]any{}
	data, err := json.Marshal(v)
	if err != nil || json.Unmarshal(data, &out) != nil {
		return out // cannot be: these are our own types
	}
	list, _ := out["facts"].([]any)
	delete(out, "facts")
	for _, f := range list {
		fields, _ := f.(map[string]any)
		from := "ever"
		if ms, ok := fields["valid_from_ms"].(float64); ok {
			from = dateKey(quantrac.Millis(ms))
		}
		for name, v := range fields {
			if name != "valid_from_ms" {
				out[fmt.Sprintf("%s (from %s)", name, from)] = v
			}
		}
	}
	return out
}

// display writes a value of the JSON form for people: times at +07:00,
// lengths of time with their unit.
func display(name string, v any) string {
	bare, _, _ := strings.Cut(name, " ")
	ms, number := v.(float64)
	switch {
	case v == nil:
		return "none"
	case !number || !strings.HasSuffix(bare, "_ms"):
		return fmt.Sprint(v)
	case bare == "interval_ms" || bare == "hold_ms" || bare == "flat_for_ms":
		return (time.Duration(ms) * time.Millisecond).String()
	}
	return quantrac.Millis(ms).String()
}
