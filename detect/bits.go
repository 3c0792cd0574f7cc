package detect

import "math/bits"

// bitReader reads the raw byte sequence payload of a NAL unit bit by bit and
// takes out the emulation prevention bytes as it goes (ITU-T H.264 §7.4.1, H.265
// §7.4.2). Beyond the end it answers zeros and remembers that it did, so that a
// parser checks once, at its end.
type bitReader struct {
	b     []byte
	zeros int    // zero bytes in a row before b
	acc   uint64 // the next n bits, left-aligned
	n     uint
	over  bool // more was read than there is
}

// fill brings at least 32 bits into acc, as far as there are bytes.
func (r *bitReader) fill() {
	for r.n <= 56 && len(r.b) > 0 {
		c := r.b[0]
		r.b = r.b[1:]
		if r.zeros >= 2 && c == 3 {
			r.zeros = 0
			continue
		}
		if c == 0 {
			r.zeros++
		} else {
			r.zeros = 0
		}
		r.acc |= uint64(c) << (56 - r.n)
		r.n += 8
	}
}

// u reads an unsigned number of k bits, k at most 32: u(n).
func (r *bitReader) u(k uint) uint32 {
	if k == 0 {
		return 0
	}
	if r.n < k {
		r.fill()
		if r.n < k {
			r.over, r.acc, r.n = true, 0, 0
			return 0
		}
	}
	v := uint32(r.acc >> (64 - k))
	r.acc <<= k
	r.n -= k
	return v
}

func (r *bitReader) flag() bool { return r.u(1) != 0 }

func (r *bitReader) skip(k uint) {
	for ; k > 32; k -= 32 {
		r.u(32)
	}
	r.u(k)
}

// ue reads an Exp-Golomb number, at most 2^32-2: ue(v).
func (r *bitReader) ue() uint32 {
	if r.n < 32 {
		r.fill()
	}
	z := uint(bits.LeadingZeros64(r.acc))
	if z > 31 || z >= r.n {
		r.over = true
		return 0
	}
	r.acc <<= z
	r.n -= z
	return r.u(z+1) - 1
}

// se reads a signed Exp-Golomb number: se(v).
func (r *bitReader) se() int32 {
	k := r.ue()
	if k&1 == 1 {
		return int32(k/2) + 1
	}
	return -int32(k / 2)
}

// count reads an Exp-Golomb number that may be at most high; a larger one is an
// error, so that no loop over it is long.
func (r *bitReader) count(high uint32) int {
	v := r.ue()
	if v > high {
		r.over = true
		return 0
	}
	return int(v)
}

// ceilLog2 is the number of bits of an index into n things.
func ceilLog2(n int) uint {
	if n <= 1 {
		return 0
	}
	return uint(bits.Len(uint(n - 1)))
}
