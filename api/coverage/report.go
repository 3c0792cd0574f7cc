package coverage

import "time"

// Report is the coverage of some divisions at one moment.
type Report struct {
	AsOf      time.Time `json:"as_of"`
	Scope     Scope     `json:"scope"`
	Standard  Standard  `json:"standard"`
	Figures   []Figure  `json:"figures"`
	Villages  []Village `json:"villages"`
	Total     int       `json:"villages_total"`   // all rows of the scope
	Limited   bool      `json:"villages_limited"` // Villages holds fewer than Total
	Unplaced  int       `json:"unplaced"`         // cameras in use whose division is not in the table; they count in ONL-1 only
	Divisions string    `json:"divisions"`        // where the table comes from, in words
}

// Scope says what the report is about.
type Scope struct {
	Division    string   `json:"division"`    // the prefix that was asked for, or ""
	Name        string   `json:"name"`        // its path of names, or ""
	Counties    []string `json:"counties"`    // codes of the counties counted
	Villages    int      `json:"villages"`    // 村委会: the V of COV-2
	Communities int      `json:"communities"` // 居委会 and 社区: listed, not counted in COV-1 and COV-2
	Others      int      `json:"others"`      // 林场, 管理区 and the like: listed, not counted
}

// Standard is what the figures are held against.
type Standard struct {
	MinPoints int `json:"min_points"` // points per administrative village
}

// Figure is one statistic with what it was made from.
type Figure struct {
	ID          string    `json:"id"` // COV-1, COV-2, ONL-1
	Name        string    `json:"name"`
	NameEN      string    `json:"name_en"`
	Formula     string    `json:"formula"`
	Numerator   int       `json:"numerator"`
	Denominator int       `json:"denominator"`
	Value       *float64  `json:"value"`   // 0..1; nil when the denominator is empty: "N/A", never 100 %
	Target      *float64  `json:"target"`  // 0..1; nil when no authoritative target exists
	Unknown     int       `json:"unknown"` // measured as neither good nor bad: in the denominator, not in the numerator
	AsOf        time.Time `json:"as_of"`
}

// Village is one row of the report.
type Village struct {
	Code      string `json:"code"`
	Name      string `json:"name"`
	Kind      Kind   `json:"kind"`
	Town      string `json:"town"`
	County    string `json:"county"`
	Points    int    `json:"points"`  // distinct points of the cameras in use
	Cameras   int    `json:"cameras"` // in use
	Online    int    `json:"online"`
	Offline   int    `json:"offline"`
	Unknown   int    `json:"unknown"`
	Shortfall int    `json:"shortfall"` // max(0, standard − points); 0 where the standard does not apply
	OK        *bool  `json:"ok"`        // nil where the standard does not apply (not a 村委会)
}
