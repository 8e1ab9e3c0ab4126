package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// file writes a file of a test and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// prints wants every text on stdout.
func (r ran) prints(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.stdout, text) {
			t.Errorf("nothing of %q on stdout:\n%s%s", text, r.stdout, r.stderr)
		}
	}
}

// registered are the stations that station list --json prints.
func registered(t *testing.T, env []string) map[string]string {
	t.Helper()
	got := quantracRun(t, env, "station", "list", "--json")
	got.says(t, 0)
	var list []struct {
		ID     string
		Labels map[string]string
	}
	if err := json.Unmarshal([]byte(got.stdout), &list); err != nil || !strings.HasSuffix(got.stdout, "\n") {
		t.Fatalf("station list --json: %v\n%q", err, got.stdout)
	}
	names := map[string]string{}
	for _, s := range list {
		names[s.ID] = s.Labels["name"]
	}
	return names
}

// TestStationImport: what an import would do is said and not done, what it does
// is said and done, and doing it again changes nothing.
func TestStationImport(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev")
	env := []string{"QUANTRAC_URL=" + s.http}
	row := gaugeRow("cho_moi", [3]float64{1, 2, 3}, 0.1, 0, time.Minute)
	path := file(t, "stations.csv", gaugeHeader+row)

	dry := quantracRun(t, env, "station", "import", path, "--dry-run")
	dry.says(t, 0)
	dry.prints(t, "created station cho_moi", "created device cho_moi", "to create: 6, to change: 0, unchanged: 0", "nothing was changed")
	if got := registered(t, env); len(got) != 0 {
		t.Fatalf("a dry run registered %v", got)
	}
	done := quantracRun(t, env, "station", "import", path)
	done.says(t, 0)
	done.prints(t, "created station cho_moi", "created: 6, changed: 0, unchanged: 0", "shown once")
	token := regexp.MustCompile(`cho_moi\t(\S+)`).FindStringSubmatch(done.stdout)
	if token == nil {
		t.Fatalf("no token of the device:\n%s", done.stdout)
	}
	if _, err := s.mosquittoPub("cho_moi", "v1/cho_moi/obs", []byte(`{"values": {"water_level_meters": 1}}`), "-P", token[1]); err != nil {
		t.Errorf("the token printed: %v", err)
	}
	again := quantracRun(t, env, "station", "import", path)
	again.says(t, 0)
	again.prints(t, "created: 0, changed: 0, unchanged: 6")

	changed := file(t, "changed.csv", gaugeHeader+strings.NewReplacer("Trạm cho_moi", "Chợ Mới", ",1,2,3,", ",1.25,2,3,").Replace(row))
	fields := []string{"name (from ever): Trạm cho_moi → Chợ Mới", "value: 1 → 1.25"}
	dry = quantracRun(t, env, "station", "import", changed, "--dry-run")
	dry.prints(t, append(fields, "to create: 0, to change: 2, unchanged: 4")...)
	if got := registered(t, env); got["cho_moi"] != "Trạm cho_moi" {
		t.Errorf("after a dry run: %v", got)
	}
	quantracRun(t, env, "station", "import", changed).prints(t, append(fields, "created: 0, changed: 2, unchanged: 4")...)
	if got := registered(t, env); got["cho_moi"] != "Chợ Mới" {
		t.Errorf("after the import: %v", got)
	}
	list := quantracRun(t, env, "station", "list")
	list.says(t, 0)
	list.prints(t, "STATION", "cho_moi  gauge   Chợ Mới")
}

// TestStationImportRefused: every bad cell is named by line and column, on
// stderr, and of a file with one nothing is imported.
func TestStationImportRefused(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev")
	env := []string{"QUANTRAC_URL=" + s.http}
	row := func(id, old, new string) string {
		return strings.ReplaceAll(gaugeRow(id, [3]float64{1, 2, 3}, 0.1, 0, time.Minute), old, new)
	}
	path := file(t, "bad.csv", gaugeHeader+row("good", "good", "good")+
		strings.Replace(row("north", "10.6", "bắc"), "60s", "mười", 1)+
		row("falling", ",1,2,3,", ",3,2,1,")+
		row("two", "two", "hai chữ"))
	wants := []string{
		`bad.csv: line 3, column "lat", value "bắc": want a number`,
		`bad.csv: line 3, column "interval", value "mười": want a length of time`,
		`bad.csv: line 4, column "level2": threshold "falling:water_level_meters:theo_doi:2:ever": value: 2 is not above level 1, 3`,
		`bad.csv: line 5, column "station", value "hai chữ"`,
		"nothing was imported",
	}
	for _, more := range []string{"--dry-run", "--dry-run=false"} {
		got := quantracRun(t, env, "station", "import", path, more)
		got.says(t, 1, wants...)
		if got.stdout != "" {
			t.Errorf("what is wrong is on stdout: %s", got.stdout)
		}
	}
	got := quantracRun(t, env, "station", "import", path, "--json")
	got.says(t, 1, wants...)
	var report struct {
		Errors []struct {
			Line         int
			Column, Want string
		}
	}
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || len(report.Errors) < 4 || report.Errors[0].Line != 3 || report.Errors[0].Column != "lat" {
		t.Errorf("as JSON: %v\n%s", err, got.stdout)
	}
	for name, c := range map[string]struct{ text, want string }{
		"heading.csv": {"station,nmae\na,A\n", `heading.csv: line 1, column "nmae": want a known heading`},
		"empty.csv":   {"", "empty.csv: line 1: want a first line of headings"},
		"utf16.csv":   {"\xff\xfes\x00", "utf16.csv: line 1: want UTF-8 text"},
		"ragged.csv":  {"station,name\na,A,A\n", "ragged.csv: line 2"},
	} {
		quantracRun(t, env, "station", "import", file(t, name, c.text)).says(t, 1, c.want)
	}
	if names := registered(t, env); len(names) != 0 {
		t.Errorf("of files with errors were imported %v", names)
	}
}

// TestStationFileAway: files that are not there, services that do not answer.
func TestStationFileAway(t *testing.T) {
	t.Parallel()
	path := file(t, "stations.csv", gaugeHeader+gaugeRow("a", [3]float64{1, 2, 3}, 0.1, 0, time.Minute))
	nobody := "http://127.0.0.1:1"
	quantracRun(t, nil, "station", "import", path+".away").says(t, 1, "stations.csv.away", "no such file")
	quantracRun(t, nil, "station", "import", t.TempDir()).says(t, 1, "is a directory")
	quantracRun(t, nil, "station", "import", path, path).says(t, 2, "unexpected argument")
	quantracRun(t, nil, "station", "import", path, "--http", nobody).says(t, 1, nobody, "refused")
	quantracRun(t, nil, "station", "list", "--http", nobody).says(t, 1, nobody, "refused")
	quantracRun(t, nil, "station", "list", "--http", "localhost:8420").says(t, 1, `--http "localhost:8420": write http://HOST:PORT`)

	// A dry run works without a service, and says so beside what it prints.
	alone := quantracRun(t, nil, "station", "import", path, "--dry-run", "--json", "--http", nobody)
	var report struct{ Items []struct{ ID string } }
	if err := json.Unmarshal([]byte(alone.stdout), &report); err != nil || alone.code != 0 || len(report.Items) != 6 {
		t.Errorf("dry run alone: %d, %v\n%s", alone.code, err, alone.stdout)
	}
	if !strings.Contains(alone.stderr, "no service answers") {
		t.Errorf("dry run alone: stderr says %q", alone.stderr)
	}
}
