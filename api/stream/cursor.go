package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// cursor is what an outbox knows beside its segments. Numbers up to reserved
// may have been given out even if no segment says so.
type cursor struct {
	count    uint64 // grows with each write: the higher one of the two slots counts
	acked    uint64 // every entry up to this number is done
	reserved uint64 // highest number that may have been given out
	newest   uint64 // number of the newest segment; it never goes missing by our own doing
}

const (
	cursorMagic = "sharpEYc"
	cursorSize  = 8 + 4*8 + 4
	cursorSlot  = 4096 // the slots lie in different pages so that a torn write spares one
)

// cursorFile keeps a cursor in two slots written in turn, in place. A write
// survives the death of the process at once, and the loss of power once synced.
type cursorFile struct {
	f   *os.File
	cur cursor
}

func appendCursor(dst []byte, c cursor) []byte {
	start := len(dst)
	dst = append(dst, cursorMagic...)
	for _, n := range []uint64{c.count, c.acked, c.reserved, c.newest} {
		dst = binary.LittleEndian.AppendUint64(dst, n)
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func parseCursor(b []byte) (cursor, bool) {
	if len(b) < cursorSize || string(b[:8]) != cursorMagic {
		return cursor{}, false
	}
	le := binary.LittleEndian
	if le.Uint32(b[cursorSize-4:]) != crc32.Checksum(b[:cursorSize-4], castagnoli) {
		return cursor{}, false
	}
	return cursor{count: le.Uint64(b[8:]), acked: le.Uint64(b[16:]), reserved: le.Uint64(b[24:]), newest: le.Uint64(b[32:])}, true
}

// openCursor opens or makes the file. ok is false when nothing readable was in
// it: it is new, or both slots are damaged.
func openCursor(path string) (c *cursorFile, ok bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	b := make([]byte, 2*cursorSlot)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, errors.Join(err, f.Close())
	}
	c = &cursorFile{f: f}
	for _, at := range []int{0, cursorSlot} {
		if got, good := parseCursor(b[min(at, n):min(at+cursorSize, n)]); good && (!ok || got.count > c.cur.count) {
			c.cur, ok = got, true
		}
	}
	return c, ok, nil
}

// write puts next into the older slot. It does not sync.
func (c *cursorFile) write(next cursor) error {
	next.count = c.cur.count + 1
	if _, err := c.f.WriteAt(appendCursor(nil, next), int64(next.count%2)*cursorSlot); err != nil {
		return fmt.Errorf("write cursor: %w", err)
	}
	c.cur = next
	return nil
}

func (c *cursorFile) sync() error {
	if err := c.f.Sync(); err != nil {
		return fmt.Errorf("sync cursor: %w", err)
	}
	return nil
}
