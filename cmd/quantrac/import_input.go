package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"

	"quantrac/internal/exchange"
)

// input is a file that is read for import, and what its bytes come to.
type input struct {
	f      *os.File
	name   string
	reader exchange.Reader
	n      int64
	hash   hash.Hash
	done   func()
}

// inputSum tells one input from another.
type inputSum struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// openInput opens a file, - being standard input.
func openInput(name string, format exchange.Format, o exchange.ReadOptions) (_ *input, err error) {
	in := &input{name: name, hash: sha256.New(), f: os.Stdin, done: func() {}}
	if name != "-" {
		if in.f, err = os.Open(name); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.close())
		}
	}()
	if format == exchange.Parquet {
		info, err := in.f.Stat()
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, errors.New("a Parquet file is read here and there: want a file, and not packed")
		}
		in.reader, err = exchange.NewParquetReader(in.f, info.Size(), o)
		return in, err
	}
	r, done, err := unpacked(in)
	if err != nil {
		return nil, err
	}
	in.done = done
	in.reader, err = exchange.NewReader(r, format, o)
	return in, err
}

// Read implements io.Reader: the bytes as they are in the file.
func (in *input) Read(p []byte) (int, error) {
	n, err := in.f.Read(p)
	in.n += int64(n)
	in.hash.Write(p[:n])
	return n, err
}

func (in *input) bytes() int64 { return in.n }

// sum sums up the file, reading what has not been read.
func (in *input) sum() (inputSum, error) {
	_, err := io.Copy(io.Discard, in)
	return inputSum{in.name, in.n, hex.EncodeToString(in.hash.Sum(nil))}, err
}

func (in *input) close() error {
	in.done()
	if in.f == os.Stdin {
		return nil
	}
	return in.f.Close()
}
