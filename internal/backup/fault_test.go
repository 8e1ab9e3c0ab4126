package backup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"quantrac"
	"quantrac/internal/backup"
	"quantrac/internal/vfs"
)

// The k-th operation on the store fails, for every k; or that and all after it,
// and the machine is found as after a loss of power. What is listed can be
// restored, and the next try ships only what is missing.
func TestCreateFaults(t *testing.T) {
	files := map[string][]byte{"a": noise(1, 700_000), "b/c": []byte("small"), "b/d": {}, "e": noise(2, 9000)}
	src := folderOf(t, files)
	for _, mode := range []string{"once", "power"} {
		for k, more := int64(1), true; more; k++ {
			mem := vfs.NewMem()
			hook := vfs.Nth(k, syscall.EIO)
			if mode == "power" {
				hook = vfs.From(k, syscall.EIO)
			}
			try := backup.New(backup.Folder(vfs.Faulty(mem, hook), "/"), backup.Options{Workers: 1})
			_, shipped, err := try.Create(t.Context(), src, backup.Info{Name: "one"})
			more = err != nil
			if mode == "power" && more {
				mem = mem.Crash(uint64(k) % 4)
			}
			target := backup.New(backup.Folder(mem, "/"), backup.Options{})
			all, lerr := target.List(t.Context())
			if lerr != nil && quantrac.KindOf(lerr) != quantrac.NotFound || !more && len(all) != 1 {
				t.Fatalf("%s, %d: %v, and the list is %v, %v", mode, k, err, all, lerr)
			}
			if len(all) == 0 {
				again := create(t, target, src, "one")
				if mode == "once" && shipped.Pieces+again.Pieces > 5 { // one may have been on its way
					t.Errorf("%s, %d: shipped %+v and then %+v", mode, k, shipped, again)
				}
			}
			out := vfs.NewMem()
			if _, err := target.Restore(t.Context(), out, "one", "/d", nil); err != nil {
				t.Fatalf("%s, %d: %v", mode, k, err)
			}
			same(t, out, "/d", files)
		}
	}
}

// Every file operation of a restore fails once; the folder is not there until
// all of it is, and the next try brings it.
func TestRestoreFaults(t *testing.T) {
	files := map[string][]byte{"a": noise(1, 900_000), "b/c": []byte("small"), "b/d": {}, "e": noise(2, 9000)}
	store := backup.Folder(vfs.NewMem(), "/")
	target := backup.New(store, backup.Options{Workers: 1})
	create(t, target, folderOf(t, files), "one")
	for k, more := int64(1), true; more; k++ {
		mem := vfs.NewMem()
		_, err := target.Restore(t.Context(), vfs.Faulty(mem, vfs.Nth(k, syscall.EIO)), "one", "/d", nil)
		more = err != nil
		if _, serr := mem.Stat("/d"); more && serr == nil {
			same(t, mem, "/d", files) // the last sync failed
			continue
		}
		if more {
			if _, err := target.Restore(t.Context(), mem, "one", "/d", nil); err != nil {
				t.Fatalf("%d: again: %v", k, err)
			}
		}
		same(t, mem.Crash(0), "/d", files)
	}
}

// A restore wants room, stops when there is none left, and goes on with what is
// there.
func TestRestoreAgain(t *testing.T) {
	files := map[string][]byte{"a": noise(1, 900_000), "b/c": []byte("small"), "b/d": {}, "e": noise(2, 9000)}
	store := backup.Folder(vfs.NewMem(), "/")
	target := backup.New(store, backup.Options{Workers: 1})
	create(t, target, folderOf(t, files), "one")
	mem := vfs.NewMem()
	mem.SetCapacity(500_000)
	if _, err := target.Restore(t.Context(), mem, "one", "/d", nil); quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), "make room") {
		t.Errorf("on a full disk: %v", err)
	}
	mem.SetCapacity(1_200_000)
	filled := vfs.Faulty(mem, func(op vfs.Op) error { // it fills up meanwhile
		if op.Kind == vfs.OpWrite && op.Off == 0 {
			mem.SetCapacity(mem.Used() + 100)
		}
		return nil
	})
	if _, err := target.Restore(t.Context(), filled, "one", "/d", nil); quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("on a disk that fills up: %v", err)
	}
	mem.SetCapacity(0)
	moved := int64(0)
	last := backup.New(store, backup.Options{Workers: 1, Progress: func(p backup.Progress) { moved = p.Moved }})
	if _, err := last.Restore(t.Context(), mem, "one", "/d", func(backup.Backup, string) error { return errors.New("not yet") }); err == nil || moved == 0 {
		t.Errorf("finish said no: %v, %d bytes came", err, moved)
	}
	// What is there is not fetched again; what an earlier try for another one
	// has left goes.
	if err := vfs.WriteFile(mem, "/d.restoring/b/other", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	moved = 0
	if _, err := last.Restore(t.Context(), mem, "one", "/d", nil); err != nil || moved != 0 {
		t.Errorf("all was there: %v, and %d bytes came", err, moved)
	}
	same(t, mem, "/d", files)
}

// A full disk refuses, and what was shipped serves the next try; a folder that
// vanishes in the middle is not made anew where it was.
func TestFullAndGone(t *testing.T) {
	files := sample()
	src := folderOf(t, files)
	mem := vfs.NewMem()
	mem.SetCapacity(2 << 20)
	target := backup.New(backup.Folder(mem, "/"), backup.Options{Workers: 1})
	_, shipped, err := target.Create(t.Context(), src, backup.Info{Name: "one"})
	if quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), "disk is full") {
		t.Fatalf("on a full disk: %v", err)
	}
	mem.SetCapacity(0)
	again := create(t, target, src, "one")
	if shipped.Bytes == 0 || shipped.Bytes+again.Bytes > 3<<20+400_000 {
		t.Errorf("shipped %+v and then %+v", shipped, again)
	}

	gone := vfs.NewMem()
	if err := gone.MkdirAll("/disk/place", 0o700); err != nil {
		t.Fatal(err)
	}
	puts := 0
	hook := func(op vfs.Op) error {
		if op.Kind == vfs.OpRename {
			if puts++; puts == 4 {
				return errors.Join(gone.Rename("/disk/place", "/elsewhere"), syscall.EIO)
			}
		}
		return nil
	}
	_, _, err = backup.New(backup.Folder(vfs.Faulty(gone, hook), "/disk/place"), backup.Options{Workers: 1}).Create(t.Context(), src, backup.Info{Name: "one"})
	if quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("the place has gone: %v", err)
	}
	if names, err := gone.ReadDir("/disk"); err != nil || len(names) != 0 {
		t.Errorf("in the place of the place: %v, %v", names, err)
	}
}

// An interrupted context ends the work, and leaves no claim.
func TestCancelled(t *testing.T) {
	store := backup.Folder(vfs.NewMem(), "/")
	ctx, cancel := context.WithCancel(t.Context())
	target := backup.New(store, backup.Options{Workers: 1, Progress: func(p backup.Progress) {
		if p.Bytes > 1<<20 {
			cancel()
		}
	}})
	_, _, err := target.Create(ctx, folderOf(t, sample()), backup.Info{Name: "one"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if got := objects(t, store, "claims/"); len(got) != 0 {
		t.Errorf("claims left: %v", got)
	}
	create(t, target, folderOf(t, sample()), "one")
}

func objects(t testing.TB, s backup.Store, prefix string) (out []string) {
	t.Helper()
	if err := s.List(t.Context(), prefix, func(o backup.Object) error { out = append(out, o.Name); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// What is damaged or missing is told by file and piece, refused by a restore,
// and mended by the next backup once it is dropped.
func TestDamage(t *testing.T) {
	stores(t, func(t *testing.T, s backup.Store) {
		files := sample()
		target := backup.New(s, backup.Options{})
		create(t, target, folderOf(t, files), "one")
		files["more"] = []byte("more")
		create(t, target, folderOf(t, files), "two")
		pieces := objects(t, s, "pieces/")
		data := must[[]byte](t)(s.Get(t.Context(), pieces[0]))
		data[len(data)/2] ^= 1
		if err := errors.Join(s.Put(t.Context(), pieces[0], data), s.Delete(t.Context(), pieces[1])); err != nil {
			t.Fatal(err)
		}
		bad := must[backup.Checked](t)(target.Verify(t.Context(), "", false))
		problems := map[string]int{}
		for _, d := range bad.Damage {
			if d.File == "" || d.SHA256 == "" || d.Backup == "" {
				t.Errorf("damage without a place: %+v", d)
			}
			problems[fmt.Sprint(d.Problem == "it is missing")]++
		}
		if at, damage, err := target.Verified(t.Context()); err != nil || at == 0 || damage != len(bad.Damage) {
			t.Errorf("verified: %v, %d, %v", at, damage, err)
		}
		if problems["true"] < 1 || problems["false"] < 1 || bad.Pieces != len(pieces) || quantrac.KindOf(bad.Err()) != quantrac.Corrupt {
			t.Errorf("%+v", bad)
		}
		_, err := target.Restore(t.Context(), vfs.NewMem(), "two", "/d", nil)
		if k := quantrac.KindOf(err); k != quantrac.Corrupt && k != quantrac.NotFound || !strings.Contains(err.Error(), "piece") {
			t.Errorf("restore: %v", err)
		}
		dropped := must[backup.Checked](t)(target.Verify(t.Context(), "two", true))
		if dropped.Dropped != 1 || dropped.Backups != 1 {
			t.Errorf("dropped: %+v", dropped)
		}
		if again := create(t, target, folderOf(t, files), "three"); again.Pieces != 2 {
			t.Errorf("shipped again: %+v", again)
		}
		if ok := must[backup.Checked](t)(target.Verify(t.Context(), "", false)); ok.Err() != nil || ok.Backups != 3 {
			t.Errorf("mended: %+v", ok)
		}
	})
}

// A manifest that cannot be read is told, and nothing is pruned before it is gone.
func TestDamagedManifest(t *testing.T) {
	stores(t, func(t *testing.T, s backup.Store) {
		target := backup.New(s, backup.Options{})
		for _, name := range []string{"one", "two", "three"} {
			create(t, target, folderOf(t, map[string][]byte{"a": []byte("a")}), name)
		}
		if err := s.Put(t.Context(), "backups/two", []byte("{}\n")); err != nil {
			t.Fatal(err)
		}
		all := must[[]backup.Backup](t)(target.List(t.Context()))
		if len(all) != 3 || all[0].Name != "two" || all[0].Damage == "" {
			t.Errorf("list: %+v", all)
		}
		if bad := must[backup.Checked](t)(target.Verify(t.Context(), "", false)); len(bad.Damage) != 1 || bad.Damage[0].Backup != "two" {
			t.Errorf("a damaged manifest: %+v", bad)
		}
		if _, err := target.Prune(t.Context(), backup.Keep{Last: 1}, false); quantrac.KindOf(err) != quantrac.Corrupt {
			t.Errorf("prune: %v", err)
		}
		if got := must[backup.Pruned](t)(target.Prune(t.Context(), backup.Keep{Delete: []string{"two"}}, false)); len(got.Kept) != 2 || len(got.Deleted) != 1 {
			t.Errorf("deleted by name: %+v", got)
		}
	})
}

// TestFolderReadsBack: a bit that turns over on the way is read again.
func TestFolderReadsBack(t *testing.T) {
	mem := vfs.NewMem()
	create(t, backup.New(backup.Folder(mem, "/"), backup.Options{}), folderOf(t, sample()), "one")
	turned := map[string]bool{}
	hook := func(op vfs.Op) error {
		if op.Kind == vfs.OpRead && strings.HasPrefix(op.Name, "/pieces/") && !turned[op.Name] {
			turned[op.Name] = true
			return &vfs.Fault{Done: true, FlipBit: 777}
		}
		return nil
	}
	target := backup.New(backup.Folder(vfs.Faulty(mem, hook), "/"), backup.Options{Workers: 1})
	if got := must[backup.Checked](t)(target.Verify(t.Context(), "", true)); got.Err() != nil || len(turned) != got.Pieces {
		t.Errorf("%+v; %d were damaged on the way", got, len(turned))
	}
}
