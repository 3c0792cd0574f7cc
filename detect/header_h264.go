package detect

import "github.com/sharpeyes/sharpeyes/ingest"

// NAL unit types of ITU-T H.264 table 7-1.
const (
	h264Slice     = 1
	h264Partition = 2
	h264IDR       = 5
	h264SEI       = 6
	h264SPS       = 7
	h264PPS       = 8
)

// Slice types of H.264 table 7-6, modulo 5.
const (
	h264P  = 0
	h264B  = 1
	h264I  = 2
	h264SP = 3
	h264SI = 4
)

type h264SPSet struct {
	parameterSet
	frameNumBits, pocBits uint
	pocType               uint32
	chroma                bool // ChromaArrayType is not 0
	separatePlanes        bool
	deltaPicZero          bool // delta_pic_order_always_zero_flag
	framesOnly            bool
}

type h264PPSet struct {
	parameterSet
	sps           uint32
	cabac         bool
	bottomPOC     bool
	weighted      bool
	biWeighted    uint32
	refs0, refs1  int
	qp            int
	redundantPics bool
}

// h264Sets holds the parameter sets of a stream.
type h264Sets struct {
	sps [32]*h264SPSet
	pps [256]*h264PPSet
}

// nalu takes one NAL unit.
func (s *h264Sets) nalu(n []byte, h *Header) {
	if len(n) < 2 {
		return
	}
	switch n[0] & 0x1f {
	case h264SPS:
		s.readSPS(n)
	case h264PPS:
		s.readPPS(n)
	case h264SEI:
		_, point := ingest.RecoveryPoint(ingest.H264, n)
		h.Recovery = h.Recovery || point
	case h264Slice, h264Partition, h264IDR:
		h.Slices++
		h.Bytes += len(n)
		if h.Slices == 1 {
			h.Key = n[0]&0x1f == h264IDR
			h.Reference = n[0]>>5&3 != 0
			s.slice(n, h)
		}
	case 3, 4: // partitions B and C of a slice counted already
		h.Bytes += len(n)
	}
}

// readSPS reads up to frame_mbs_only_flag (H.264 §7.3.2.1.1).
func (s *h264Sets) readSPS(n []byte) {
	if len(n) > maxSetBytes {
		return
	}
	r := bitReader{b: n[1:]}
	profile := r.u(8)
	r.u(16)
	id := r.count(31)
	if r.over || s.sps[id] != nil && s.sps[id].same(n) {
		return
	}
	p := &h264SPSet{parameterSet: parameterSet{append([]byte(nil), n...)}, chroma: true}
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		p.readFormat(&r)
	}
	p.frameNumBits = uint(r.count(12)) + 4
	p.pocType = uint32(r.count(2))
	switch p.pocType {
	case 0:
		p.pocBits = uint(r.count(12)) + 4
	case 1:
		p.deltaPicZero = r.flag()
		r.se()
		r.se()
		for range r.count(255) {
			r.se()
		}
	}
	r.ue() // max_num_ref_frames
	r.u(1)
	r.ue() // width and height in macroblocks
	r.ue()
	p.framesOnly = r.flag()
	if r.over {
		return
	}
	s.sps[id] = p
}

// readFormat reads what the high profiles have before log2_max_frame_num.
func (p *h264SPSet) readFormat(r *bitReader) {
	chroma := r.count(3)
	if chroma == 3 {
		p.separatePlanes = r.flag()
	}
	p.chroma = chroma != 0 && !p.separatePlanes
	r.ue()
	r.ue()
	r.u(1)
	if !r.flag() {
		return
	}
	lists := 8
	if chroma == 3 {
		lists = 12
	}
	for i := range lists {
		if !r.flag() {
			continue
		}
		size := 16
		if i >= 6 {
			size = 64
		}
		last, next := int32(8), int32(8)
		for range size {
			if next != 0 {
				next = (last + r.se() + 256) & 255
			}
			if next != 0 {
				last = next
			}
		}
	}
}

// readPPS reads up to redundant_pic_cnt_present_flag (H.264 §7.3.2.2). A set
// with slice groups is forgotten: no camera uses them, and the stream is then
// one whose headers are not understood.
func (s *h264Sets) readPPS(n []byte) {
	if len(n) > maxSetBytes {
		return
	}
	r := bitReader{b: n[1:]}
	id := r.count(255)
	if r.over || s.pps[id] != nil && s.pps[id].same(n) {
		return
	}
	p := &h264PPSet{parameterSet: parameterSet{append([]byte(nil), n...)}}
	p.sps = uint32(r.count(31))
	p.cabac = r.flag()
	p.bottomPOC = r.flag()
	if r.ue() > 0 {
		s.pps[id] = nil
		return
	}
	p.refs0, p.refs1 = r.count(31)+1, r.count(31)+1
	p.weighted = r.flag()
	p.biWeighted = r.u(2)
	p.qp = 26 + int(r.se())
	r.se()
	r.se()
	r.u(2)
	p.redundantPics = r.flag()
	if r.over {
		return
	}
	s.pps[id] = p
}

// slice reads a slice header up to slice_qp_delta (H.264 §7.3.3).
func (s *h264Sets) slice(n []byte, h *Header) {
	r := bitReader{b: n[1:]}
	r.ue() // first_mb_in_slice
	kind := r.count(9) % 5
	id := r.count(255)
	pps := s.pps[id]
	if r.over || pps == nil || s.sps[pps.sps] == nil {
		return
	}
	sps := s.sps[pps.sps]
	if sps.separatePlanes {
		r.u(2)
	}
	r.u(sps.frameNumBits)
	field := false
	if !sps.framesOnly {
		if field = r.flag(); field {
			r.u(1)
		}
	}
	idr := n[0]&0x1f == h264IDR
	if idr {
		r.ue()
	}
	switch {
	case sps.pocType == 0:
		r.u(sps.pocBits)
		if pps.bottomPOC && !field {
			r.se()
		}
	case sps.pocType == 1 && !sps.deltaPicZero:
		r.se()
		if pps.bottomPOC && !field {
			r.se()
		}
	}
	if pps.redundantPics {
		r.ue()
	}
	if kind != h264I && kind != h264SI {
		h264Prediction(&r, kind, sps, pps)
	}
	if h.Reference {
		h264Marking(&r, idr)
	}
	if pps.cabac && kind != h264I && kind != h264SI {
		r.ue()
	}
	qp := pps.qp + int(r.se())
	if r.over || qp < -48 || qp > 51 {
		return
	}
	h.Type = [...]PictureType{h264P: PictureP, h264B: PictureB, h264I: PictureI, h264SP: PictureP, h264SI: PictureI}[kind]
	h.QP, h.OK = int8(qp), true
}

// h264Prediction skips what P and B slices say of their references (H.264
// §7.3.3.1, §7.3.3.2).
func h264Prediction(r *bitReader, kind int, sps *h264SPSet, pps *h264PPSet) {
	refs := [2]int{pps.refs0, pps.refs1}
	lists := 1
	if kind == h264B {
		lists = 2
		r.u(1) // direct_spatial_mv_pred_flag
	}
	if r.flag() {
		for i := range lists {
			refs[i] = r.count(31) + 1
		}
	}
	for range lists {
		if !r.flag() {
			continue
		}
		for range 67 {
			if op := r.ue(); op == 3 || r.over {
				break
			}
			r.ue()
		}
	}
	if !(pps.weighted && kind != h264B || pps.biWeighted == 1 && kind == h264B) {
		return
	}
	r.ue()
	if sps.chroma {
		r.ue()
	}
	for i := range lists {
		for range refs[i] {
			if r.flag() {
				r.se()
				r.se()
			}
			if sps.chroma && r.flag() {
				r.se()
				r.se()
				r.se()
				r.se()
			}
		}
	}
}

// h264Marking skips dec_ref_pic_marking (H.264 §7.3.3.3).
func h264Marking(r *bitReader, idr bool) {
	if idr {
		r.u(2)
		return
	}
	if !r.flag() {
		return
	}
	for range 67 {
		op := r.ue()
		if op == 0 || r.over {
			return
		}
		if op != 5 {
			r.ue()
		}
		if op == 3 {
			r.ue()
		}
	}
}
