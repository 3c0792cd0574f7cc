package manscdp

import "fmt"

// PTZ is a movement of a camera that lasts until the next command; the zero value
// stops every movement. Values beyond their range are cut to it.
type PTZ struct {
	Pan  int // -255 fast left to 255 fast right
	Tilt int // -255 fast down to 255 fast up
	Zoom int // -15 fast out to 15 fast in
}

// String writes the eight bytes of a PTZCmd in hexadecimal (annex A.3).
func (p PTZ) String() string {
	code := either(p.Pan, 0x01, 0x02) | either(p.Tilt, 0x08, 0x04) | either(p.Zoom, 0x10, 0x20)
	return command(code, magnitude(p.Pan, 255), magnitude(p.Tilt, 255), magnitude(p.Zoom, 15)<<4)
}

// Lens is a movement of focus and iris that lasts until the next command; the
// zero value stops both.
type Lens struct {
	Focus int // -255 fast towards far to 255 fast towards near
	Iris  int // -255 fast closing to 255 fast opening
}

// String writes the eight bytes of a PTZCmd in hexadecimal.
func (l Lens) String() string {
	code := 0x40 | either(l.Focus, 0x02, 0x01) | either(l.Iris, 0x04, 0x08)
	return command(code, magnitude(l.Focus, 255), magnitude(l.Iris, 255), 0)
}

// PresetCode is what is done with a preset.
type PresetCode byte

// The preset commands of annex A.3.4.
const (
	PresetSet    PresetCode = 0x81
	PresetCall   PresetCode = 0x82
	PresetDelete PresetCode = 0x83
)

// PTZCmd writes the eight bytes of a preset command in hexadecimal; n is 1 to 255.
func (c PresetCode) PTZCmd(n uint8) string { return command(byte(c), 0, n, 0) }

// command puts the bytes together: head A5, version 0 with its check nibble, the
// low part of the address 1 that devices expect, and the sum of all.
func command(code, d1, d2, d3 byte) string {
	b := [8]byte{0xA5, 0x0F, 0x01, code, d1, d2, d3}
	for _, v := range b[:7] {
		b[7] += v
	}
	return fmt.Sprintf("%X", b[:])
}

// either returns the bit of a direction, none at rest.
func either(v int, above, below byte) byte {
	switch {
	case v > 0:
		return above
	case v < 0:
		return below
	}
	return 0
}

func magnitude(v, most int) byte {
	if v < 0 {
		v = -v
	}
	return byte(min(v, most))
}
