package ahead

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// square is a task whose things are the squares of their numbers; every third
// has nothing to show.
func square(n int, pool *sync.Pool, show func(int) (bool, error)) Task[int] {
	return Task[int]{
		N: n, Pool: pool,
		Build: func(_ context.Context, into *int, i int) (int, error) {
			*into = i * i
			return []int{0, 1, 5000}[i%3], nil
		},
		Show: func(made *int, _ int) (bool, error) { return show(*made) },
	}
}

func TestOrder(t *testing.T) {
	inOrder(t, false)
	inOrder(t, true)
}

func inOrder(t *testing.T, anywhere bool) {
	for _, procs := range []int{1, 4} {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		var pool sync.Pool
		for _, n := range []int{0, 1, 2, 7, 100, 3000} {
			var got, want []int
			task := square(n, &pool, func(made int) (bool, error) {
				got = append(got, made)
				return true, nil
			})
			task.Anywhere = anywhere
			if err := task.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if i%3 > 0 {
					want = append(want, i*i)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d processors, anywhere %t, %d things: shown %v", procs, anywhere, n, got)
			}
		}
	}
}

// TestEnd ends a task in every way; what has run before must be shown, and
// nothing runs on.
func TestEnd(t *testing.T) {
	ends(t, false)
	ends(t, true)
}

func ends(t *testing.T, anywhere bool) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	no := errors.New("no")
	var running atomic.Int64
	f := func(name string, want error, shown int, build func(i int) error, show func(i int) (bool, error)) {
		t.Helper()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var pool sync.Pool
		n := 0
		task := Task[int]{
			N: 500, Pool: &pool, Anywhere: anywhere,
			Build: func(ctx context.Context, into *int, i int) (int, error) {
				running.Add(1)
				defer running.Add(-1)
				*into = i
				return 1, build(i)
			},
			Show: func(made *int, _ int) (bool, error) {
				n++
				if name == "gone" && *made == 20 {
					cancel()
				}
				return show(*made)
			},
		}
		if err := task.Run(ctx); !errors.Is(err, want) {
			t.Errorf("%s, anywhere %t: %v, want %v", name, anywhere, err, want)
		}
		if running.Load() != 0 {
			t.Errorf("%s, anywhere %t: %d things are still being built", name, anywhere, running.Load())
		}
		if n < shown || name != "gone" && n != shown {
			t.Errorf("%s, anywhere %t: %d shown, want %d", name, anywhere, n, shown)
		}
	}
	fine := func(int) error { return nil }
	all := func(int) (bool, error) { return true, nil }
	f("whole", nil, 500, fine, all)
	f("enough", nil, 11, fine, func(i int) (bool, error) { return i < 10, nil })
	f("not built", no, 100, func(i int) error {
		if i == 100 {
			return no
		}
		return nil
	}, all)
	f("not shown", no, 31, fine, func(i int) (bool, error) {
		if i == 30 {
			return true, no
		}
		return true, nil
	})
	f("gone", context.Canceled, 21, fine, all)
}
