package shared

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// witness notes how a test would have ended.
type witness struct {
	testing.TB
	end string
}

func (w *witness) Helper() {}

func (w *witness) Fatalf(format string, args ...any) { w.ends("failed: ", format, args...) }

func (w *witness) Skipf(format string, args ...any) { w.ends("skipped: ", format, args...) }

func (w *witness) ends(how, format string, args ...any) {
	w.end = how + fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// ending runs a test body to its end.
func ending(body func(testing.TB)) string {
	w := &witness{end: "ran"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		body(w)
	}()
	<-done
	return w.end
}

// What is missing skips on a bare machine and fails the continuous build.
func TestMissing(t *testing.T) {
	for _, c := range []struct {
		body func(testing.TB)
		want string
	}{
		{func(tb testing.TB) { Missing(tb, "no %s", "IPv6") }, "no IPv6"},
		{func(tb testing.TB) { Tool(tb, "no-such-tool", "nor-this") }, "no-such-tool or nor-this is not installed"},
		{func(tb testing.TB) { Path(tb, "no-such-folder", "file") }, "not beside this checkout"},
		{func(tb testing.TB) { Tool(tb, "no-such-tool", "go") }, "ran"},
	} {
		for ci, how := range map[string]string{"true": "failed: ", "": "skipped: "} {
			t.Setenv("CI", ci)
			got := ending(c.body)
			if c.want == "ran" {
				how = ""
			}
			if !strings.HasPrefix(got, how) || !strings.Contains(got, c.want) {
				t.Errorf("CI=%q: %s, want %s%s", ci, got, how, c.want)
			}
		}
	}
}
