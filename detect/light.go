package detect

// gain returns how much brighter the picture is than the scene, in 1/256: the
// median over every other cell, so that an object that fills some of them has no
// say. A change by more than three fifths is no cloud: it is left for the rule of
// global change to see. lit is the share of the cells whose mean changed since
// the picture before, otherwise than by a gain.
func (m *CellMotion) gain() (gain int32, lit float64) {
	m.sums, m.sumsBefore = m.sumsBefore, m.sums
	clear(m.ratios[:])
	n := int32(0)
	for i := 0; i < len(m.cells); i += 2 {
		if m.cells[i].masked {
			continue
		}
		x0, y0, x1, y1 := m.cellBounds(i)
		var scene int32
		var rows quad
		for y := y0; y < y1; y++ {
			at := y*m.cw + x0/cellHalves
			rows += m.half[at]
			s := &m.scene[at]
			scene += int32(s[0]) + int32(s[1]) + int32(s[2]) + int32(s[3])
		}
		sum := int32(rows * each >> 48)
		m.sums[i/2] = int16(sum)
		scene >>= scaleBits
		if scene < int32((x1-x0)*(y1-y0)*4*8) {
			continue // too dark to tell a ratio: under 8 grey levels
		}
		m.ratios[min(int64(sum)*gainUnit/int64(scene), int64(len(m.ratios)-1))]++
		n++
	}
	gain = m.medianGain(n)
	lit = m.lit(gain)
	m.lastGain = gain
	return gain, lit
}

// medianGain is the median of n ratios.
func (m *CellMotion) medianGain(n int32) int32 {
	for r, count := 0, int32(0); r < len(m.ratios) && n > 0; r++ {
		if count += m.ratios[r]; 2*count < n {
			continue
		}
		if r < gainUnit*5/8 || r > gainUnit*8/5 {
			break
		}
		return int32(r)
	}
	return gainUnit
}

// lit is the share of the cells whose mean is another one than in the picture
// before, when that is made as bright.
func (m *CellMotion) lit(gain int32) float64 {
	n, differ := 0, 0
	for i, v := range m.sums {
		if m.cells[2*i].masked {
			continue
		}
		x0, y0, x1, y1 := m.cellBounds(2 * i)
		limit := m.threshold >> scaleBits * int32((x1-x0)*(y1-y0)) / lightChange
		n++
		if d := int32(v) - int32(m.sumsBefore[i])*gain/m.lastGain; d > limit || d < -limit {
			differ++
		}
	}
	return float64(differ) / float64(max(1, n))
}
