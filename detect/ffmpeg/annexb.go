package ffmpeg

// startCode goes before each NAL unit (ITU-T H.264 and H.265 Annex B).
const startCode = "\x00\x00\x00\x01"

// annexBSize returns the bytes that putAnnexB writes for nalus.
func annexBSize(nalus [][]byte) int {
	n := 0
	for _, u := range nalus {
		if len(u) > 0 {
			n += len(startCode) + len(u)
		}
	}
	return n
}

// putAnnexB writes nalus as an Annex-B byte stream to the front of dst, which
// must have annexBSize(nalus) bytes, and returns the bytes written. Empty units
// are left out: a start code without a unit is not a byte stream.
func putAnnexB(dst []byte, nalus [][]byte) int {
	n := 0
	for _, u := range nalus {
		if len(u) == 0 {
			continue
		}
		n += copy(dst[n:], startCode)
		n += copy(dst[n:], u)
	}
	return n
}
