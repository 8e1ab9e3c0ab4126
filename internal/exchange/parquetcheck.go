package exchange

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"quantrac"
)

// The library makes room for what a file says of its parts before it looks at
// them. What is said is checked first, so that a few bytes cannot ask for
// gigabytes.

const (
	maxParquetPart   = 1 << 30  // bytes of a column of a row group, unpacked: what a reader may come to hold of it
	maxParquetPage   = 64 << 20 // bytes of a page, unpacked
	maxParquetValues = 1 << 24  // values of a page
	maxPageHeader    = 64 << 10 // bytes of what stands before a page
)

// checkFooter refuses a file that says that its footer is longer than it can be.
func checkFooter(r io.ReaderAt, size int64) error {
	const magic = 4
	var end [2 * magic]byte // length of the footer, magic
	if size < int64(magic+len(end)) {
		return quantrac.Errorf(quantrac.Invalid, "no Parquet file: %d bytes are fewer than one has", size)
	}
	if n, err := r.ReadAt(end[:], size-int64(len(end))); n < len(end) {
		return fmt.Errorf("reading the end of the file: %w", err)
	}
	if n := int64(binary.LittleEndian.Uint32(end[:])); n > size-int64(magic+len(end)) {
		return quantrac.Errorf(quantrac.Invalid, "no Parquet file: of its %d bytes %d would be the footer", size, n)
	}
	return nil
}

// checkParts refuses row groups whose columns say what cannot be, or is too much.
func checkParts(r io.ReaderAt, size int64, m *format.FileMetaData) error {
	buf := make([]byte, maxPageHeader)
	for i, g := range m.RowGroups {
		for k := range g.Columns {
			if err := checkColumn(r, size, &g.Columns[k].MetaData, buf); err != nil {
				return quantrac.Errorf(quantrac.Invalid, "row group %d, column %d: %w", i, k, err)
			}
		}
	}
	return nil
}

func checkColumn(r io.ReaderAt, size int64, c *format.ColumnMetaData, buf []byte) error {
	if n := c.TotalUncompressedSize; n < 0 || n > maxParquetPart {
		return fmt.Errorf("%d bytes unpacked, at most %d are taken: write smaller row groups", n, int64(maxParquetPart))
	}
	at := c.DataPageOffset
	if d := c.DictionaryPageOffset; d > 0 && d < at {
		at = d
	}
	length := c.TotalCompressedSize
	if at < 0 || length < 0 || at > size || length > size-at {
		return fmt.Errorf("%d bytes from byte %d on are not in a file of %d", length, at, size)
	}
	for end := at + length; at < end; {
		n, err := checkPage(r, at, end, buf)
		if err != nil {
			return fmt.Errorf("page at byte %d: %w", at, err)
		}
		at += n
	}
	return nil
}

// checkPage checks what stands before a page and returns the length of both.
func checkPage(r io.ReaderAt, at, end int64, buf []byte) (int64, error) {
	n, err := r.ReadAt(buf[:min(int64(len(buf)), end-at)], at)
	if err != nil && err != io.EOF {
		return 0, err
	}
	var h format.PageHeader
	in := new(thrift.CompactProtocol).NewReaderFromBytes(buf[:n])
	if err := thrift.NewDecoder(in).Decode(&h); err != nil {
		return 0, err
	}
	values := max(h.DataPageHeader.V.NumValues, h.DataPageHeaderV2.V.NumValues, h.DictionaryPageHeader.V.NumValues)
	packed, head := int64(h.CompressedPageSize), int64(in.BytesRead())
	switch {
	case packed < 0 || packed > end-at-head:
		return 0, fmt.Errorf("%d bytes, of which %d can be there", packed, end-at-head)
	case h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxParquetPage:
		return 0, fmt.Errorf("%d bytes unpacked, at most %d are taken", h.UncompressedPageSize, maxParquetPage)
	case values < 0 || values > maxParquetValues:
		return 0, fmt.Errorf("%d values, at most %d are taken", values, maxParquetValues)
	}
	return head + packed, nil
}
