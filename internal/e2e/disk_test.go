//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"quantrac/internal/shared"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a file system of its own that a test can fill.
type smallDisk struct {
	t   testing.TB
	dir string
}

// newSmallDisk mounts one.
func newSmallDisk(t testing.TB, size int64) *smallDisk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.FormatInt(size, 10)); err != nil {
		shared.Missing(t, "mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return &smallDisk{t, dir}
}

// asRoot runs a test that mounts a disk. Who may not do that runs it in a process
// that is root of a namespace of its own.
func asRoot(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if os.Getuid() == 0 {
		test(t)
		return
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=10m")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := again.CombinedOutput()
	if ran := new(exec.ExitError); errors.As(err, &ran) {
		t.Fatalf("as root of a namespace: %v\n%s", err, out)
	} else if err != nil {
		shared.Missing(t, "mounting a small disk wants root, or a user namespace: %v", err)
	}
}

func (d *smallDisk) ballast() string { return filepath.Join(d.dir, "ballast") }

func (d *smallDisk) free() int64 {
	d.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &st); err != nil {
		d.t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// fill leaves so many bytes free, at the most.
func (d *smallDisk) fill(leave int64) {
	d.t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for d.free() > leave {
		n := min(int64(len(block)), max(d.free()-leave, 1))
		if _, err := f.Write(block[:n]); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			d.t.Fatal(err)
		}
	}
}

// clear gives the space back.
func (d *smallDisk) clear() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}

// TestReadOnlyDisk: a data folder that cannot be written to is told as that.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	asRoot(t, readOnlyDisk)
}

func readOnlyDisk(t *testing.T) {
	disk := newSmallDisk(t, 1<<20)
	data := filepath.Join(disk.dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", disk.dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{data, filepath.Join(disk.dir, "new")} {
		s := launch(t, dir, 0, 0, "--dev")
		if err := s.ended(); err == nil || s.cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("on a read-only disk: %v", err)
		}
		for _, text := range []string{dir, "must be one that the service may write to", "read-only file system"} {
			if !strings.Contains(s.log.String(), text) {
				t.Errorf("nothing of %q in %s", text, s.log)
			}
		}
	}
}

const smallDiskBytes = 64 << 20

// TestDiskNearlyFull fills the disk up to the space that is kept for warnings.
func TestDiskNearlyFull(t *testing.T) {
	t.Parallel()
	const keep = 16 << 20
	asRoot(t, func(t *testing.T) { fullDisk(t, keep, keep/2) })
}

// TestDiskFull fills the disk to the last byte, in a service that keeps nothing
// but the journal's reserve.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	asRoot(t, func(t *testing.T) { fullDisk(t, 0, 0) })
}

// fullDisk runs a service that keeps so much space free, fills its disk but
// for leave, and gives the space back.
func fullDisk(t *testing.T, keep, leave int64) {
	disk := newSmallDisk(t, smallDiskBytes)
	data := filepath.Join(disk.dir, "data")
	args := []string{"--dev", "--clock", "replay", "--silence-hold", "1s", "--min-free-bytes", strconv.FormatInt(keep, 10)}
	httpPort, mqttPort := freePort(t), freePort(t)
	s := launch(t, data, httpPort, mqttPort, args...)
	s.waitReady()
	now := time.Now().Truncate(time.Second)
	s.setClock(now)
	in := newInbox(t)
	importStations(s, gaugeHeader+gaugeRow("dry", [3]float64{17, 18, 19}, 0, 0, time.Second)+gaugeRow("quiet", [3]float64{17, 18, 19}, 0, 0, time.Second)+
		gaugeRow("slow", [3]float64{17, 18, 19}, 0, 0, 10*time.Minute))
	subscribe(s, in.srv.URL)
	s.nobody().want(http.StatusNoContent, "PUT", "/api/auth/accounts/hoa", `{"role":"technician"}`)
	s.nobody().want(http.StatusNoContent, "POST", "/api/auth/accounts/hoa/password", `{"password":"mat khau dai hon"}`)
	signsIn := func() {
		t.Helper()
		s.nobody().want(http.StatusOK, "POST", "/api/auth/login", `{"name":"hoa","password":"mat khau dai hon"}`)
	}
	// Messages and batches of several pages: where not a byte is free, a little
	// may still fit in the pages that the journal has got already.
	const lines = 400
	message := func(i int) string {
		var rows []string
		for k := i * lines; k < (i+1)*lines; k++ {
			rows = append(rows, fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": %g}}`, now.UnixMilli()-int64(k), math.Sqrt(float64(k))/10))
		}
		return "[" + strings.Join(rows, ",") + "]"
	}
	s.publish(s.device("quiet"), "v1/quiet/obs", message(0))
	s.publish(s.device("slow"), "v1/slow/obs", message(0))
	dry := s.sender("dry")
	dry.publish("v1/dry/obs", message(0))
	arrived := func(want int) func() error {
		return func() error {
			if acked, _ := dry.count(); acked != want {
				return fmt.Errorf("%d messages are acknowledged, not %d", acked, want)
			}
			return nil
		}
	}
	eventually(t, "a message while there is space", arrived(1))
	local := s.nobody()
	written := 0 // batches acknowledged
	batch := func() string {
		var b strings.Builder
		for i := range lines {
			k := written*lines + i
			fmt.Fprintf(&b, "water,station=http level_meters=%g %d\n", math.Sqrt(float64(k)), now.UnixMilli()-int64(k))
		}
		return b.String()
	}
	untilRefused := func() {
		t.Helper()
		got := local.write(batch())
		// What fits in the last pages is taken, and must be there like the rest.
		for ; leave == 0 && got.status == http.StatusNoContent && written < 100; written++ {
			got = local.write(batch())
		}
		refusedV1(t, got)
	}
	stored := func() {
		t.Helper()
		got, err := s.values(`water_level_meters{station="http"}`, time.Hour, now.Add(time.Minute))
		if err != nil || len(got) != written*lines {
			t.Errorf("of %d lines taken %d are stored: %v", written*lines, len(got), err)
		}
	}
	if got := local.write(batch()); got.status != http.StatusNoContent {
		t.Fatalf("write before: %d %s", got.status, got.body)
	}
	written++

	disk.fill(leave)
	untilRefused()
	refusedV2(t, local.do("POST", "/api/v2/write?bucket=b&precision=ms", batch()))
	_, before := dry.count()
	for i := range 5 {
		dry.publish("v1/dry/obs", message(i+1))
	}
	eventually(t, "the device is sent away, again and again", func() error {
		if _, losses := dry.count(); losses < before+2 {
			return fmt.Errorf("%d connections have ended", losses-before)
		}
		return nil
	})
	if full := s.metric("quantrac_journal_full"); full != 1 {
		t.Errorf("quantrac_journal_full is %v", full)
	}

	// Staff hear of a silent gauge while nothing else is taken. What a refused
	// write gave back is filled again first.
	disk.fill(leave)
	s.setClock(now.Add(2 * time.Minute))
	eventually(t, "a warning gets out while the disk is full", func() error {
		if !in.has("silence", "quiet") {
			return fmt.Errorf("nothing of it among %d warnings", len(in.all()))
		}
		return nil
	})
	refusedV1(t, local.write(batch()))
	if free := disk.free(); free > leave+64<<10 {
		t.Fatalf("%d bytes are free: the disk was not full meanwhile", free)
	}
	if err := arrived(1)(); err != nil {
		t.Errorf("while the disk was full: %v", err)
	}
	stored()
	signsIn() // who has to mend it

	// A power cut on the full disk changes nothing of that. The journal's end,
	// the torn rest of the reserve, is cut off by the start: there is that much
	// room for warnings, and it is filled again.
	s.kill()
	disk.fill(leave)
	s = launch(t, data, httpPort, mqttPort, args...)
	s.waitReady()
	signsIn()
	s.setClock(now.Add(2 * time.Hour))
	eventually(t, "a warning gets out after a start on the full disk", func() error {
		if !in.has("silence", "slow") {
			return fmt.Errorf("nothing of it among %d warnings", len(in.all()))
		}
		return nil
	})
	disk.fill(leave)
	untilRefused()
	stored()

	// Nor does it keep the service from starting that somebody starts it anew in
	// good order, to mend it.
	s.stop()
	disk.fill(leave)
	s = launch(t, data, httpPort, mqttPort, args...)
	s.waitReady()
	disk.fill(leave)
	untilRefused()
	stored()

	disk.clear()
	eventually(t, "what was not acknowledged arrives", arrived(6))
	eventually(t, "writes are taken again", func() error {
		if got := local.write(batch()); got.status != http.StatusNoContent {
			return fmt.Errorf("%d %s", got.status, got.body)
		}
		return nil
	})
	written++
	if full := s.metric("quantrac_journal_full"); full != 0 {
		t.Errorf("quantrac_journal_full is %v with space to spare", full)
	}
	check := func(when string) {
		t.Helper()
		for station, want := range map[string]int{"dry": 6 * lines, "quiet": lines, "http": written * lines} {
			got, err := s.values(fmt.Sprintf(`water_level_meters{station=%q}`, station), time.Hour, now.Add(time.Minute))
			if err != nil || len(got) != want {
				t.Errorf("%s: %s has %d values, want %d: %v", when, station, len(got), want, err)
			}
		}
	}
	check("after the space came back")
	s.stop()
	s = launch(t, data, httpPort, mqttPort, args...)
	s.waitReady()
	check("after a restart")
	said := warningHistory(s)
	if len(said) == 0 {
		t.Error("the warning said on the full disk is forgotten")
	}
	for _, w := range in.bad {
		t.Error(w)
	}
}

// TestStartOnAFullDisk: the disk fills up while the service is not running, say
// for an update. It starts, lets staff sign in as far as the reserve goes, and
// shows what there is.
func TestStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	asRoot(t, startOnAFullDisk)
}

func startOnAFullDisk(t *testing.T) {
	disk := newSmallDisk(t, smallDiskBytes)
	data := filepath.Join(disk.dir, "data")
	args := []string{"--dev", "--min-free-bytes", "0"}
	s := start(t, data, args...)
	importStations(s, gaugeHeader+gaugeRow("gauge", [3]float64{17, 18, 19}, 0, 0, time.Second))
	s.nobody().want(http.StatusNoContent, "PUT", "/api/auth/accounts/hoa", `{"role":"technician"}`)
	s.nobody().want(http.StatusNoContent, "POST", "/api/auth/accounts/hoa/password", `{"password":"mat khau dai hon"}`)
	s.stop()
	disk.fill(0)
	s = start(t, data, args...)
	for range 5 {
		s.nobody().want(http.StatusOK, "POST", "/api/auth/login", `{"name":"hoa","password":"mat khau dai hon"}`)
	}
	if got := s.nobody().want(http.StatusOK, "GET", "/api/registry/stations", ""); !strings.Contains(string(got.body), `"gauge"`) {
		t.Errorf("the stations are %s", got.body)
	}
	s.stop()
}

// refusedV1 wants the refusal of a full disk in the form of InfluxDB 1.
func refusedV1(t *testing.T, got answer) {
	t.Helper()
	var body struct{ Error string }
	got.json(t, &body)
	refused(t, got, body.Error)
}

// refusedV2 wants it in the form of InfluxDB 2.
func refusedV2(t *testing.T, got answer) {
	t.Helper()
	var body struct{ Code, Message string }
	got.json(t, &body)
	if body.Code != "unavailable" {
		t.Errorf("code %q, want unavailable", body.Code)
	}
	refused(t, got, body.Message)
}

func refused(t *testing.T, got answer, message string) {
	t.Helper()
	after, err := strconv.Atoi(got.header.Get("Retry-After"))
	if got.status != http.StatusServiceUnavailable || err != nil || after < 1 || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("a write on a full disk: status %d, Retry-After %q, %s; want 503, whole seconds, JSON", got.status, got.header.Get("Retry-After"), got.header.Get("Content-Type"))
	}
	if !strings.Contains(message, "disk full") {
		t.Errorf("the refusal does not say that the disk is full: %q", message)
	}
}
