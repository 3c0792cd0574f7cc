package rtsp

import "strconv"

// declared chooses between the frame rates of SPS and SDP: the first that can
// be true.
func declared(sps, sdp float64) float64 {
	if sps >= 0.1 && sps <= 240 {
		return sps
	}
	return sdp
}

// profile264 names a profile_idc (H.264 Annex A).
func profile264(idc int) string {
	switch idc {
	case 66:
		return "Baseline"
	case 77:
		return "Main"
	case 88:
		return "Extended"
	case 100:
		return "High"
	case 110:
		return "High 10"
	case 122:
		return "High 4:2:2"
	case 244:
		return "High 4:4:4"
	}
	return strconv.Itoa(idc)
}

// level264 writes a level_idc, which is ten times the level.
func level264(idc int) string { return strconv.Itoa(idc/10) + "." + strconv.Itoa(idc%10) }

// profile265 names a general_profile_idc (H.265 Annex A).
func profile265(idc int) string {
	switch idc {
	case 1:
		return "Main"
	case 2:
		return "Main 10"
	case 3:
		return "Main Still Picture"
	case 4:
		return "Range Extensions"
	}
	return strconv.Itoa(idc)
}

// level265 writes a general_level_idc, which is thirty times the level.
func level265(idc int) string { return strconv.Itoa(idc/30) + "." + strconv.Itoa(idc%30/3) }
