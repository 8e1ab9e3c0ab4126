package archtest

import (
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "quantrac"

// rooms are the six siblings; none may import another.
var rooms = []string{"alerting", "collector", "dashboards", "devices", "forecast", "tsdb"}

// leaves compute and do nothing else: what they are given is all they know.
var leaves = []string{
	"alerting/cap", "alerting/level", "collector/decode", "collector/mqtt/packet", "collector/qc",
	"forecast/arx", "forecast/verify", "internal/exchange", "tsdb/internal/codec", "tsdb/internal/decimal",
}

func room(dir string) string {
	first, _, _ := strings.Cut(dir, "/")
	if slices.Contains(rooms, first) {
		return first
	}
	return ""
}

func leaf(dir string) bool { return slices.Contains(leaves, dir) }

// testOnly says whether a package is for tests: oracles, fakes, and what finds
// recorded data.
func testOnly(dir string) bool {
	return dir == "internal/shared" || dir == "internal/archtest" || dir == "internal/e2e" || room(dir) != "" && strings.HasSuffix(dir, "test")
}

// scores says whether a package measures how good the house is, by commands
// that are no part of the product.
func scores(dir string) bool {
	return dir == "internal/scorecard" || strings.Contains(dir, "/internal/score")
}

func TestDependencyDirection(t *testing.T) {
	pkgs := load(t)
	for dir, p := range pkgs {
		for im, files := range p.imports {
			if why := imported(dir, im); why != "" {
				t.Errorf("%s imports %s (%s): %s", dir, im, strings.Join(files, ", "), why)
			}
		}
	}
	for _, l := range leaves {
		if pkgs[l] == nil {
			t.Errorf("there is no leaf %s", l)
		}
	}
}

// imported says why package dir may not import im, of this module or not, ""
// if it may.
func imported(dir, im string) string {
	if im == module {
		return ""
	}
	if local, ok := strings.CutPrefix(im, module+"/"); ok {
		return forbidden(dir, local)
	}
	first, _, _ := strings.Cut(im, "/")
	switch {
	case dir == "." && strings.Contains(first, "."):
		return "the root package imports the standard library only"
	case im == "testing" && !testOnly(dir):
		return "tests only"
	case (dir == "." || leaf(dir)) && im != "net/url" && slices.Contains([]string{"os", "net", "syscall", "log", "database"}, first):
		return "the vocabulary and the leaves do no input or output"
	}
	return ""
}

// forbidden says why package dir may not import package local of this module,
// "" if it may.
func forbidden(dir, local string) string {
	from, to := room(dir), room(local)
	switch {
	case testOnly(local) && !testOnly(dir) && !scores(dir):
		return "for tests and score commands only"
	case scores(local) && !scores(dir):
		return "the product does not measure itself"
	case strings.HasPrefix(dir, "cmd/"):
		return "" // the only place that knows everybody
	case strings.HasPrefix(local, "cmd/"):
		return "nobody imports cmd"
	case dir == ".":
		return "the root package imports nobody"
	case dir == "internal/e2e":
		return "" // drives the whole from outside
	case strings.HasPrefix(dir, "internal/") && to != "":
		return "mechanism knows no room"
	case strings.HasPrefix(dir, "api/") && to != "":
		return "the wire format knows no room"
	case leaf(dir) && !leaf(local):
		return "a leaf knows the vocabulary and other leaves only"
	case from != "" && to != "" && from != to:
		return "rooms are siblings; declare a small interface and let cmd pass it in"
	case from != "" && from == to:
		return within(from, dir, local)
	}
	return ""
}

// within says why a package of a room may not import another one of that room.
func within(room, dir, local string) string {
	inner := strings.HasPrefix(local, room+"/internal/")
	switch {
	case leaf(local), inner, scores(dir):
		return ""
	case dir == room:
		return "a room does not know its ways in and out"
	case strings.HasPrefix(dir, room+"/internal/"):
		return "what is inside a room does not know the room"
	case local != path.Dir(dir) && !strings.HasPrefix(local, dir+"/"):
		return "a way in or out knows its own parent only"
	}
	return ""
}

// TestForbidden: the rules refuse what they are there to refuse.
func TestForbidden(t *testing.T) {
	f := func(dir, im string, may bool) {
		t.Helper()
		if why := imported(dir, im); (why == "") != may {
			t.Errorf("%s imports %s: %q", dir, im, why)
		}
	}
	f("cmd/quantrac", "quantrac/tsdb", true)
	f("cmd/quantrac", "quantrac/tsdb/tsdbtest", false)
	f("cmd/quantrac", "quantrac/internal/shared", false)
	f("cmd/quantrac", "testing", false)
	f("tsdb", "quantrac/cmd/quantrac", false)
	f("tsdb", "quantrac/alerting", false)
	f("tsdb", "quantrac/tsdb/promql", false)
	f("tsdb", "quantrac/tsdb/internal/codec", true)
	f("tsdb/promql", "quantrac/tsdb", true)
	f("tsdb/promql", "quantrac/tsdb/tsdbtest", false)
	f("tsdb/internal/block", "quantrac/tsdb", false)
	f("tsdb/internal/block", "quantrac/tsdb/internal/codec", true)
	f("tsdb/internal/score/inside", "quantrac/tsdb", true)
	f("tsdb/internal/score/compare", "quantrac/internal/shared", true)
	f("tsdb", "quantrac/tsdb/internal/score", false)
	f("tsdb/internal/codec", "quantrac/tsdb/internal/block", false)
	f("tsdb/internal/codec", "os", false)
	f("collector", "quantrac/collector/decode", true)
	f("collector", "quantrac/collector/mqtt", false)
	f("collector/mqtt", "quantrac/collector", true)
	f("collector/mqtt", "quantrac/collector/mqtt/packet", true)
	f("collector/mqtt", "quantrac/collector/influx", false)
	f("collector/mqtt/packet", "net", false)
	f("collector/decode", "quantrac/collector", false)
	f("collector/decode", "quantrac/internal/vfs", false)
	f("collector/qc", "database/sql", false)
	f("alerting/cap", "net/http", false)
	f("alerting/feed", "quantrac/alerting/cap", true)
	f("alerting/feed", "net/http", true)
	f("alerting/outbox", "quantrac/alerting/webhook", false)
	f("alerting/alertingtest", "quantrac/alerting", true)
	f("alerting/alertingtest", "testing", true)
	f("devices/httpapi", "quantrac/devices/accounts", false)
	f("internal/journal", "quantrac/tsdb", false)
	f("internal/jsonapi", "quantrac/internal/shared", false)
	f("api/v1", "quantrac/alerting", false)
	f(".", "quantrac/internal/vfs", false)
	f(".", "os", false)
	f(".", "golang.org/x/sync/errgroup", false)
	f("alerting", "quantrac", true)
}
