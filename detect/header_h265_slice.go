package detect

// slice reads the header of the first slice segment up to slice_qp_delta (H.265
// §7.3.6.1).
func (s *h265Sets) slice(n []byte, h *Header) {
	r := bitReader{b: n[2:]}
	if !r.flag() {
		return // the first slice of the picture is missing
	}
	t := n[0] >> 1 & 0x3f
	if h.Key {
		r.u(1)
	}
	pps := s.pps[r.count(63)]
	if r.over || pps == nil || s.sps[pps.sps] == nil {
		return
	}
	sps := s.sps[pps.sps]
	r.u(pps.extraBits)
	kind := r.count(2)
	if pps.outputFlag {
		r.u(1)
	}
	if sps.separatePlanes {
		r.u(2)
	}
	used, mvp := 0, false
	if t != h265IDR && t != h265IDRWithRADL {
		used = h265References(&r, sps)
		mvp = sps.temporalMVP && r.flag()
	}
	if sps.sao {
		r.u(1)
		if sps.chroma {
			r.u(1)
		}
	}
	if kind != h265I {
		h265Prediction(&r, kind == h265B, used, mvp, sps.chroma, pps)
	}
	qp := pps.qp + int(r.se())
	if r.over || qp < -48 || qp > 51 {
		return
	}
	h.Type = [...]PictureType{h265B: PictureB, h265P: PictureP, h265I: PictureI}[kind]
	h.QP, h.OK = int8(qp), true
}

// h265References reads which pictures a slice refers to and returns how many it
// uses (NumPicTotalCurr).
func h265References(r *bitReader, sps *h265SPSet) (used int) {
	r.u(sps.pocBits)
	if !r.flag() {
		set := h265ReadRPS(r, len(sps.sets), sps.sets, true)
		used = set.used()
	} else if i := int(r.u(ceilLog2(len(sps.sets)))); i < len(sps.sets) {
		used = sps.sets[i].used()
	} else {
		r.over = true
	}
	if !sps.longTerm {
		return used
	}
	named := 0
	if sps.longTermSets > 0 {
		named = r.count(32)
	}
	for i := range named + r.count(32) {
		if i < named {
			r.u(ceilLog2(sps.longTermSets))
			used++
		} else {
			r.u(sps.pocBits)
			if r.flag() {
				used++
			}
		}
		if r.flag() {
			r.ue()
		}
	}
	return used
}

// h265Prediction skips what P and B slices say of their references.
func h265Prediction(r *bitReader, b bool, used int, mvp, chroma bool, pps *h265PPSet) {
	refs := [2]int{pps.refs0, pps.refs1}
	lists := 1
	if b {
		lists = 2
	}
	if r.flag() {
		for i := range lists {
			refs[i] = r.count(14) + 1
		}
	}
	if pps.listsChange && used > 1 {
		for i := range lists {
			if r.flag() {
				for range refs[i] {
					r.u(ceilLog2(used))
				}
			}
		}
	}
	if b {
		r.u(1)
	}
	if pps.cabacInit {
		r.u(1)
	}
	if mvp {
		from := 0
		if b && !r.flag() {
			from = 1
		}
		if refs[from] > 1 {
			r.ue()
		}
	}
	if pps.weighted && !b || pps.biWeighted && b {
		h265Weights(r, refs[:lists], chroma)
	}
	r.ue() // five_minus_max_num_merge_cand
}

// h265Weights skips pred_weight_table (H.265 §7.3.6.3).
func h265Weights(r *bitReader, refs []int, chroma bool) {
	r.ue()
	if chroma {
		r.se()
	}
	for _, n := range refs {
		var luma, colour [16]bool
		for i := range n {
			luma[i] = r.flag()
		}
		for i := range n {
			colour[i] = chroma && r.flag()
		}
		for i := range n {
			if luma[i] {
				r.se()
				r.se()
			}
			if colour[i] {
				r.se()
				r.se()
				r.se()
				r.se()
			}
		}
	}
}
