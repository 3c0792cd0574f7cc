package ingest

import "github.com/sharpeyes/sharpeyes/configs"

// FromConfig returns the record of a configured camera: what it is and where
// it stands, without address, user name or password. An empty legal basis
// becomes "unknown", an empty point the camera's own ID (domain rule: a camera
// without a pole number is its own point).
func FromConfig(c configs.Camera) Camera {
	r := Camera{
		ID:         CameraID(c.ID),
		Name:       c.Name,
		Division:   c.Division,
		Grid:       c.Grid,
		Point:      c.Point,
		Place:      c.Place,
		LegalBasis: c.LegalBasis,
		Purpose:    c.Purpose,
		Lon:        c.Lon,
		Lat:        c.Lat,
		Uplink:     c.Uplink,
		InUse:      !c.Disabled,
	}
	if r.LegalBasis == "" {
		r.LegalBasis = "unknown"
	}
	if r.Point == "" {
		r.Point = c.ID
	}
	return r
}
