package mqtt

import (
	"strings"
	"testing"
)

func TestCovers(t *testing.T) {
	f := func(allowed, filter string, want bool) {
		t.Helper()
		if got := covers(allowed, filter); got != want {
			t.Errorf("covers(%q, %q) = %v", allowed, filter, got)
		}
	}
	// A filter on a topic.
	f("dev/1", "dev/1", true)
	f("dev/1", "dev/1/secret", false) // a matcher that cuts at the shorter lets this through
	f("dev/1/secret", "dev/1", false)
	f("dev/+", "dev/1", true)
	f("dev/+", "dev/1/secret", false)
	f("dev/+", "dev", false)
	f("dev/+", "dev/", true)
	f("dev/#", "dev/1/secret", true)
	f("dev/#", "dev", true)
	f("dev/#", "device", false)
	f("#", "dev/1", true)
	f("+/+", "/x", true)
	f("+", "/x", false)
	f("#", "$SYS/x", false)
	f("+/x", "$SYS/x", false)
	f("$SYS/#", "$SYS/x", true)
	// A filter on a filter.
	f("v1/warnings/#", "v1/warnings/+", true)
	f("v1/warnings/#", "v1/warnings/#", true)
	f("v1/warnings/#", "v1/warnings/a/#", true)
	f("v1/warnings/#", "v1/+/x", false)
	f("v1/warnings/#", "v1/#", false)
	f("v1/warnings/#", "#", false)
	f("v1/+/cmd", "v1/a/cmd", true)
	f("v1/+/cmd", "v1/+/cmd", true)
	f("v1/+/cmd", "v1/+/+", false)
	f("v1/+/cmd", "v1/#", false)
	f("v1/+", "v1/#", false)
}

func TestAccess(t *testing.T) {
	device, staff, reader := access{device: "d1"}, access{all: true}, access{}
	f := func(filter string, byDevice, byStaff, byReader bool) {
		t.Helper()
		for _, c := range []struct {
			a    access
			want bool
		}{{device, byDevice}, {staff, byStaff}, {reader, byReader}} {
			if got := c.a.mayRead(filter); got != c.want {
				t.Errorf("%+v reads %q: %v", c.a, filter, got)
			}
		}
	}
	f("v1/warnings/87", true, true, true)
	f("v1/warnings/#", true, true, true)
	f("v1/warnings/+", true, true, true)
	f("v1/d1/cmd", true, true, false)
	f("v1/d2/cmd", false, true, false)
	f("v1/d1/cmd/secret", false, true, false)
	f("v1/d1/obs", false, true, false)
	f("v1/d1/#", false, true, false)
	f("v1/d1/+", false, true, false)
	f("v1/+/cmd", false, true, false)
	f("v1/+/+", false, true, false)
	f("v1/#", false, true, false)
	f("#", false, false, false)
	f("+/d1/cmd", false, false, false)
	f("$SYS/#", false, false, false)
	f("v2/x", false, false, false)
}

func TestValidFilter(t *testing.T) {
	for _, s := range []string{"a", "a/b", "/", "+", "#", "a/+/b", "a/#", "+/#", "$SYS/x", "a//b"} {
		if !validFilter(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", "a#", "#/a", "a/#/b", "a+", "a/+b", "##", strings.Repeat("a/", 16) + "a", strings.Repeat("a", 513)} {
		if validFilter(s) {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestValidName(t *testing.T) {
	for _, s := range []string{"d1", "trạm-1", "a b", "A.B_c:d"} {
		if !validName(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", "a/b", "+", "a#", "warnings", "$share", "a\x00", "\xff", strings.Repeat("a", 129)} {
		if validName(s) {
			t.Errorf("%q is taken", s)
		}
	}
}
