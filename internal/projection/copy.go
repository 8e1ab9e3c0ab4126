package projection

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
)

// Copy writes the projection at path, which may be open and in use, to a file
// that must not be there: its tables and their number as of one moment.
func Copy(ctx context.Context, path, dst string) error {
	if err := copyTables(ctx, path, dst); err != nil {
		return fmt.Errorf("projection %s: copying to %s: %w", path, dst, err)
	}
	return nil
}

func copyTables(ctx context.Context, path, dst string) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs}).String()+"?mode=ro&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", dst)
	return err
}
