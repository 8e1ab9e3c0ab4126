package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"quantrac/internal/shared"
)

// shellBlocks are the commands of a section of a document, in order.
func shellBlocks(t *testing.T, file, section string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", file, section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(rest, -1) {
		out = append(out, m[1])
	}
	return out
}

// TestFirstStart goes the way from an empty folder to a warning by the words of
// docs/operating.md; nothing but ports and the setup code is put in.
func TestFirstStart(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "python3", "mosquitto_pub"} {
		shared.Tool(t, tool)
	}
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(docs, filepath.Join(dir, "docs")); err != nil {
		t.Fatal(err)
	}
	blocks := shellBlocks(t, filepath.Join(docs, "operating.md"), "Starting for the first time")
	http, mqtt, hook := freePort(t), freePort(t), freePort(t)
	ports := strings.NewReplacer("localhost:8420", fmt.Sprint("localhost:", http), "localhost:1883", fmt.Sprint("localhost:", mqtt),
		"-p 1883", fmt.Sprint("-p ", mqtt), "9000", fmt.Sprint(hook), "./quantrac-data", filepath.Join(dir, "quantrac-data"))
	serve := strings.Fields(ports.Replace(blocks[0]))
	if serve[0] != "quantrac" || serve[1] != "serve" {
		t.Fatalf("the first command is %q", serve)
	}
	s := spawn(t, serve[1:]...)
	s.http = fmt.Sprint("http://localhost:", http)
	s.waitReady()
	script := ports.Replace(strings.Join(blocks[1:], "\n"))
	script = strings.ReplaceAll(script, "SETUP-CODE", s.setupCode())

	said := filepath.Join(dir, "said")
	out, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("bash", "-euc", script)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(quantracBinary(t))+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the receiver that it leaves behind too
	err = cmd.Start()
	if err == nil {
		t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		err = cmd.Wait()
	}
	text := func() string {
		b, rerr := os.ReadFile(said)
		if rerr != nil {
			t.Fatal(rerr)
		}
		return string(b)
	}
	if err != nil {
		t.Fatalf("%v\n%s\nof\n%s", err, text(), script)
	}
	eventually(t, "the receiver's warning", func() error {
		if got := text(); !strings.Contains(got, "warning.issue Trạm Tràm Chim") {
			return fmt.Errorf("nothing in\n%s", got)
		}
		return nil
	})
	for _, want := range []string{`"role":"admin"`, "created station tram_chim", `{"commit":`, `"state":"issue"`, `"value":[`} {
		if got := text(); !strings.Contains(got, want) {
			t.Errorf("nothing of %s in\n%s", want, got)
		}
	}
	if got := text(); strings.Contains(got, `"error"`) {
		t.Errorf("something went wrong:\n%s", got)
	}
}
