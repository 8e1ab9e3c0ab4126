package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"quantrac"
)

const (
	manifestFolder = "backups/"
	pieceFolder    = "pieces/"
	manifestFormat = 1
	// maxFiles limits what a manifest may name; a data folder has thousands.
	maxFiles = 10_000_000
)

// Info is what whoever makes a backup says of it.
type Info struct {
	// Name of 1 to 100 letters, digits, '.', '_' and '-', the first a letter or
	// digit; there must be no backup of that name.
	Name    string
	Commit  uint64 // the last commit that is in the files for certain, 0 unknown
	Program string // and its version
}

// Backup describes a backup.
type Backup struct {
	Name    string          `json:"name"`
	Created quantrac.Millis `json:"created_ms"` // when it was begun
	Commit  uint64          `json:"commit,omitempty"`
	Program string          `json:"program,omitempty"`
	Files   int             `json:"files"`
	Bytes   int64           `json:"bytes"` // of the files
	// Damage says why nothing else is known of it: the manifest cannot be read.
	Damage string `json:"damage,omitempty"`
}

// manifest is what makes a backup.
type manifest struct {
	Format  int             `json:"format"`
	Name    string          `json:"name"`
	Created quantrac.Millis `json:"created_ms"`
	Commit  uint64          `json:"commit,omitempty"`
	Program string          `json:"program,omitempty"`
	Files   []file          `json:"files"` // sorted by path
}

// file is a file of a backup.
type file struct {
	Path     string      `json:"path"` // slash-separated, below the folder
	Mode     fs.FileMode `json:"mode"` // permission bits
	Modified int64       `json:"modified_ns,omitempty"`
	Bytes    int64       `json:"bytes"`
	Pieces   []piece     `json:"pieces,omitempty"` // in order
}

func (m *manifest) describe() Backup {
	b := Backup{Name: m.Name, Created: m.Created, Commit: m.Commit, Program: m.Program, Files: len(m.Files)}
	for _, f := range m.Files {
		b.Bytes += f.Bytes
	}
	return b
}

var backupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// CheckName says whether a backup can have a name.
func CheckName(name string) error {
	if !backupName.MatchString(name) {
		return quantrac.Errorf(quantrac.Invalid, "backup name %q: want letters, digits, dots, dashes and underscores, 100 at most", name)
	}
	return nil
}

// encode returns the manifest as stored: a line of JSON, and its SHA-256.
func (m *manifest) encode() ([]byte, error) {
	line, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	line = append(line, '\n')
	return append(line, checksum(line)...), nil
}

func checksum(line []byte) string {
	sum := sha256.Sum256(line)
	return "sha256 " + hex.EncodeToString(sum[:]) + "\n"
}

// decode reads the manifest of a name.
func decode(name string, data []byte) (*manifest, error) {
	bad := func(format string, args ...any) (*manifest, error) {
		return nil, quantrac.Errorf(quantrac.Corrupt, "%s%s: %w", manifestFolder, name, fmt.Errorf(format, args...))
	}
	end := bytes.IndexByte(data, '\n') + 1
	if end == 0 || string(data[end:]) != checksum(data[:end]) {
		return bad("offset %d: the line of JSON and its checksum do not match", end)
	}
	var m manifest
	if err := json.Unmarshal(data[:end], &m); err != nil {
		return bad("offset 0: %w", err)
	}
	if m.Format != manifestFormat {
		return bad("format %d; this program reads %d", m.Format, manifestFormat)
	}
	if m.Name != name {
		return bad("it is the manifest of %q", m.Name)
	}
	if err := m.check(); err != nil {
		return bad("%w", err)
	}
	return &m, nil
}

// check refuses what would lead out of a folder or cannot be.
func (m *manifest) check() error {
	if len(m.Files) > maxFiles {
		return fmt.Errorf("it names %d files", len(m.Files))
	}
	for i, f := range m.Files {
		switch {
		case f.Path != path.Clean(f.Path) || !filepath.IsLocal(filepath.FromSlash(f.Path)) || strings.ContainsAny(f.Path, "\\\x00") || f.Path == ".":
			return fmt.Errorf("file %d: %q is no path below a folder", i, f.Path)
		case i > 0 && f.Path <= m.Files[i-1].Path:
			return fmt.Errorf("file %d: %q does not come after %q", i, f.Path, m.Files[i-1].Path)
		}
		n := int64(0)
		for k, p := range f.Pieces {
			if len(p.SHA256) != 64 || strings.Trim(p.SHA256, "0123456789abcdef") != "" || p.Bytes < 1 || p.Bytes > greatestPiece {
				return fmt.Errorf("%s: piece %d: %q of %d bytes", f.Path, k, p.SHA256, p.Bytes)
			}
			n += p.Bytes
		}
		if n != f.Bytes {
			return fmt.Errorf("%s: %d bytes in pieces that have %d", f.Path, f.Bytes, n)
		}
	}
	return nil
}
