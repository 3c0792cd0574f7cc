package detect

import "github.com/sharpeyes/sharpeyes/ingest"

// NAL unit types of ITU-T H.265 table 7-1.
const (
	h265FirstIRAP   = 16
	h265LastIRAP    = 23
	h265IDRWithRADL = 19
	h265IDR         = 20
	h265SPS         = 33
	h265PPS         = 34
	h265SEI         = 39
)

// Slice types of H.265 table 7-7.
const (
	h265B = 0
	h265P = 1
	h265I = 2
)

// h265RPS is a short-term reference picture set (H.265 §7.4.8): differences of
// picture order counts, before and after, and which of them the picture uses.
type h265RPS struct {
	before, after         [16]int32
	usedBefore, usedAfter [16]bool
	nBefore, nAfter       int
}

func (s *h265RPS) used() int {
	n := 0
	for i := range s.nBefore {
		if s.usedBefore[i] {
			n++
		}
	}
	for i := range s.nAfter {
		if s.usedAfter[i] {
			n++
		}
	}
	return n
}

func (s *h265RPS) add(d int32, used bool) {
	switch {
	case d < 0 && s.nBefore < len(s.before):
		s.before[s.nBefore], s.usedBefore[s.nBefore] = d, used
		s.nBefore++
	case d > 0 && s.nAfter < len(s.after):
		s.after[s.nAfter], s.usedAfter[s.nAfter] = d, used
		s.nAfter++
	}
}

type h265SPSet struct {
	parameterSet
	separatePlanes bool
	chroma         bool
	pocBits        uint
	sets           []h265RPS
	longTerm       bool
	longTermSets   int
	temporalMVP    bool
	sao            bool
}

type h265PPSet struct {
	parameterSet
	sps          int
	outputFlag   bool
	extraBits    uint
	cabacInit    bool
	refs0, refs1 int
	qp           int
	weighted     bool
	biWeighted   bool
	listsChange  bool
}

// h265Sets holds the parameter sets of a stream.
type h265Sets struct {
	sps [16]*h265SPSet
	pps [64]*h265PPSet
}

// nalu takes one NAL unit. Those of other layers than the base layer are not
// looked at.
func (s *h265Sets) nalu(n []byte, h *Header) {
	if len(n) < 3 || n[0]&1 != 0 || n[1]>>3 != 0 {
		return
	}
	switch t := n[0] >> 1 & 0x3f; {
	case t == h265SPS:
		s.readSPS(n)
	case t == h265PPS:
		s.readPPS(n)
	case t == h265SEI:
		_, point := ingest.RecoveryPoint(ingest.H265, n)
		h.Recovery = h.Recovery || point
	case t < 32:
		h.Slices++
		h.Bytes += len(n)
		if h.Slices == 1 {
			h.Key = t >= h265FirstIRAP && t <= h265LastIRAP
			h.Reference = t > 14 || t%2 == 1 // sub-layer non-reference: even types up to RSV_VCL_N14
			h.TemporalID = max(n[1]&7, 1) - 1
			s.slice(n, h)
		}
	}
}

// h265Profile skips profile_tier_level (H.265 §7.3.3).
func h265Profile(r *bitReader, subLayers int) {
	r.skip(96)
	var profile, level [8]bool
	for i := range subLayers {
		profile[i], level[i] = r.flag(), r.flag()
	}
	if subLayers > 0 {
		r.skip(2 * uint(8-subLayers))
	}
	for i := range subLayers {
		if profile[i] {
			r.skip(88)
		}
		if level[i] {
			r.skip(8)
		}
	}
}

// readSPS reads up to sps_temporal_mvp_enabled_flag (H.265 §7.3.2.2.1).
func (s *h265Sets) readSPS(n []byte) {
	if len(n) > maxSetBytes {
		return
	}
	for _, known := range s.sps {
		if known != nil && known.same(n) {
			return
		}
	}
	r := bitReader{b: n[2:]}
	r.u(4)
	subLayers := int(r.u(3))
	r.u(1)
	h265Profile(&r, subLayers)
	id := r.count(15)
	p := &h265SPSet{parameterSet: parameterSet{append([]byte(nil), n...)}}
	chroma := r.count(3)
	if chroma == 3 {
		p.separatePlanes = r.flag()
	}
	p.chroma = chroma != 0 && !p.separatePlanes
	r.ue() // width, height
	r.ue()
	if r.flag() { // conformance window
		r.ue()
		r.ue()
		r.ue()
		r.ue()
	}
	r.ue() // bit depths
	r.ue()
	p.pocBits = uint(r.count(12)) + 4
	first := subLayers
	if r.flag() {
		first = 0
	}
	for range subLayers + 1 - first {
		r.ue()
		r.ue()
		r.ue()
	}
	for range 6 { // sizes of coding and transform blocks, depths
		r.ue()
	}
	if enabled := r.flag(); enabled && r.flag() {
		h265ScalingLists(&r)
	}
	r.u(1)
	p.sao = r.flag()
	if r.flag() { // pcm
		r.u(8)
		r.ue()
		r.ue()
		r.u(1)
	}
	p.readReferences(&r)
	if r.over {
		return
	}
	s.sps[id] = p
}

// readReferences reads the reference picture sets of an SPS.
func (p *h265SPSet) readReferences(r *bitReader) {
	sets := r.count(64)
	for i := range sets {
		set := h265ReadRPS(r, i, p.sets, false)
		if r.over {
			return
		}
		p.sets = append(p.sets, set)
	}
	if p.longTerm = r.flag(); p.longTerm {
		p.longTermSets = r.count(32)
		for range p.longTermSets {
			r.u(p.pocBits)
			r.u(1)
		}
	}
	p.temporalMVP = r.flag()
}

// h265ReadRPS reads set number i (H.265 §7.3.7), in a slice header the one after
// all those of the SPS.
func h265ReadRPS(r *bitReader, i int, sets []h265RPS, inSlice bool) h265RPS {
	if i > 0 && r.flag() {
		return h265PredictRPS(r, i, sets, inSlice)
	}
	var out h265RPS
	before, after := r.count(16), r.count(16)
	d := int32(0)
	for range before {
		d -= int32(r.count(1<<15)) + 1
		out.add(d, r.flag())
	}
	d = 0
	for range after {
		d += int32(r.count(1<<15)) + 1
		out.add(d, r.flag())
	}
	return out
}

// h265PredictRPS reads a set that is told by its difference from another one
// (H.265 equations 7-61 and 7-62: the order of the entries matters, since a
// further set may be predicted from this one).
func h265PredictRPS(r *bitReader, i int, sets []h265RPS, inSlice bool) h265RPS {
	back := 1
	if inSlice {
		back = r.count(63) + 1
	}
	negative := r.flag()
	delta := int32(r.count(1<<15)) + 1
	if negative {
		delta = -delta
	}
	if i-back < 0 || i-back >= len(sets) {
		r.over = true
		return h265RPS{}
	}
	ref := &sets[i-back]
	var used, keep [33]bool
	for j := range ref.nBefore + ref.nAfter + 1 {
		used[j] = r.flag()
		keep[j] = used[j] || r.flag()
	}
	own := ref.nBefore + ref.nAfter
	var out h265RPS
	take := func(j int, d int32, negative bool) {
		if keep[j] && d != 0 && d < 0 == negative {
			out.add(d, used[j])
		}
	}
	for j := ref.nAfter - 1; j >= 0; j-- {
		take(ref.nBefore+j, ref.after[j]+delta, true)
	}
	take(own, delta, true)
	for j := range ref.nBefore {
		take(j, ref.before[j]+delta, true)
	}
	for j := ref.nBefore - 1; j >= 0; j-- {
		take(j, ref.before[j]+delta, false)
	}
	take(own, delta, false)
	for j := range ref.nAfter {
		take(ref.nBefore+j, ref.after[j]+delta, false)
	}
	return out
}

// h265ScalingLists skips scaling_list_data (H.265 §7.3.4).
func h265ScalingLists(r *bitReader) {
	for size := range 4 {
		step := 1
		if size == 3 {
			step = 3
		}
		for m := 0; m < 6; m += step {
			if !r.flag() {
				r.ue()
				continue
			}
			if size > 1 {
				r.se()
			}
			for range min(64, 1<<(4+2*size)) {
				r.se()
			}
		}
	}
}

// readPPS reads up to lists_modification_present_flag (H.265 §7.3.2.3.1).
func (s *h265Sets) readPPS(n []byte) {
	if len(n) > maxSetBytes {
		return
	}
	r := bitReader{b: n[2:]}
	id := r.count(63)
	if r.over || s.pps[id] != nil && s.pps[id].same(n) {
		return
	}
	p := &h265PPSet{parameterSet: parameterSet{append([]byte(nil), n...)}}
	p.sps = r.count(15)
	r.u(1) // dependent slice segments: never the first of a picture
	p.outputFlag = r.flag()
	p.extraBits = uint(r.u(3))
	r.u(1)
	p.cabacInit = r.flag()
	p.refs0, p.refs1 = r.count(14)+1, r.count(14)+1
	p.qp = 26 + int(r.se())
	r.u(2)
	if r.flag() {
		r.ue()
	}
	r.se()
	r.se()
	r.u(1)
	p.weighted, p.biWeighted = r.flag(), r.flag()
	r.u(1)
	tiles := r.flag()
	r.u(1)
	if tiles {
		columns, rows := r.count(64), r.count(64)
		if !r.flag() {
			for range columns + rows {
				r.ue()
			}
		}
		r.u(1)
	}
	r.u(1)
	if r.flag() { // deblocking control
		r.u(1)
		if !r.flag() {
			r.se()
			r.se()
		}
	}
	if r.flag() {
		h265ScalingLists(&r)
	}
	p.listsChange = r.flag()
	if r.over {
		return
	}
	s.pps[id] = p
}
