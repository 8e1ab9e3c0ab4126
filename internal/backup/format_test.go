package backup_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quantrac/internal/backup"
	"quantrac/internal/vfs"
)

var writeFormat = flag.Bool("write-format", false, "write testdata/format1 anew; only before its version is released")

// A place that each version has written stays and can be restored, for ever.
func TestFormats(t *testing.T) {
	files := map[string][]byte{"a/empty": {}, "a/text": []byte(strings.Repeat("mực nước ", 99)), "b": noise(5, 40)}
	if *writeFormat {
		dir := filepath.Join("testdata", "format1")
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
			t.Fatal(err)
		}
		create(t, backup.New(backup.Folder(vfs.OS(), dir), backup.Options{}), folderOf(t, files), "first")
		create(t, backup.New(backup.Folder(vfs.OS(), dir), backup.Options{}), folderOf(t, files), "second")
	}
	places, err := filepath.Glob(filepath.Join("testdata", "format*"))
	if err != nil || len(places) != 1 {
		t.Fatal(places, err)
	}
	for _, dir := range places {
		place := t.TempDir() // checking notes that it did
		if err := os.CopyFS(place, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		target := backup.New(backup.Folder(vfs.OS(), place), backup.Options{})
		if got := must[backup.Checked](t)(target.Verify(t.Context(), "", false)); got.Err() != nil || got.Backups != 2 || got.Pieces != 2 {
			t.Errorf("%s: %+v", dir, got)
		}
		out := vfs.NewMem()
		if _, err := target.Restore(t.Context(), out, "first", "/d", nil); err != nil {
			t.Fatal(err)
		}
		same(t, out, "/d", files)
	}
}
