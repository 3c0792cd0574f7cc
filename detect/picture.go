package detect

import (
	"bytes"
	"errors"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	keyPatience = 15 * time.Second // units arrive and no key unit among them; longer than the GOP of cameras that stretch it to 10 s
	decodeGrace = 3 * time.Second  // decode errors without a good picture between them
)

// pictureHealth keeps the picture fact: whether access units decode, to a
// picture that lives.
type pictureHealth struct {
	frozenFor time.Duration
	gap       time.Duration // pictures may come this far apart and still be counted as following each other
	tell      func(ingest.Value, ingest.Reason)

	value     ingest.Value
	reason    ingest.Reason
	luma      []byte    // the latest picture
	latest    time.Time // when it came
	changed   time.Time // when the picture last changed by a bit
	badSince  time.Time // first decode error since the last good picture
	keylessAt time.Time // first unit that had to be dropped for want of a key unit
}

func (h *pictureHealth) set(v ingest.Value, r ingest.Reason) {
	if v == h.value && r == h.reason {
		return
	}
	h.value, h.reason = v, r
	h.tell(v, r)
}

// alive takes a decoded picture. The picture is frozen when no bit of it changed
// for frozenFor although pictures arrive: a sensor has noise, so a living one
// changes. Time without pictures does not count.
func (h *pictureHealth) alive(at time.Time, luma []byte) {
	h.badSince, h.keylessAt = time.Time{}, time.Time{}
	same := bytes.Equal(h.luma, luma)
	if !same {
		h.luma = append(h.luma[:0], luma...)
	}
	if !same || at.Sub(h.latest) > max(h.frozenFor/2, h.gap) {
		h.changed = at
	}
	h.latest = at
	if at.Sub(h.changed) >= h.frozenFor {
		h.set(ingest.No, ingest.ReasonFrozen)
		return
	}
	h.set(ingest.Yes, ingest.ReasonNone)
}

// undecodable takes a decode error. One broken unit is no news; a size or codec
// that will never do is.
func (h *pictureHealth) undecodable(at time.Time, err error) {
	if f, ok := errors.AsType[*ingest.Fault](err); ok && (f.Reason == ingest.ReasonUnsupportedSize || f.Reason == ingest.ReasonUnsupportedCodec) {
		h.set(ingest.No, f.Reason)
		return
	}
	if h.badSince.IsZero() {
		h.badSince = at
	}
	if at.Sub(h.badSince) >= decodeGrace {
		h.set(ingest.No, ingest.ReasonUndecodable)
	}
}

// noKey takes a unit that cannot be decoded because a key unit is missing.
func (h *pictureHealth) noKey(at time.Time) {
	if h.keylessAt.IsZero() {
		h.keylessAt = at
	}
	if at.Sub(h.keylessAt) >= keyPatience && h.reason != ingest.ReasonUndecodable {
		h.set(ingest.No, ingest.ReasonNoKeyFrame)
	}
}
