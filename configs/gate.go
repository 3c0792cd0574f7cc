package configs

// Gate says when a camera's stream is decoded. While nothing moves only the
// headers of its pictures are read and its key frames looked at. The zero value
// of a field means: as in edge.defaults.gate; a camera overrides it under settings.
type Gate struct {
	Mode          string   `yaml:"mode" json:"mode,omitempty" jsonschema:"enum=auto,enum=full" jsonschema_description:"auto: decode everything only while something moves; full: always, for a camera that must be seen at each instant."`
	Threshold     float64  `yaml:"threshold" json:"threshold,omitempty" limit:"2..50" jsonschema_description:"Standard deviations by which size and quantiser of predicted pictures must rise to wake. Lower is faster and wakes more often in vain; 5 is fast."`
	Smoothing     float64  `yaml:"smoothing" json:"smoothing,omitempty" limit:"0.02..0.9" jsonschema_description:"Weight of the newest of 25 pictures a second in the score."`
	QPWeightH264  float64  `yaml:"qp_weight_h264" json:"qp_weight_h264,omitempty" limit:"0.05..2" jsonschema_description:"H.264: what one step of the quantiser counts in the score, as part of a doubling of the size."`
	QPWeightH265  float64  `yaml:"qp_weight_h265" json:"qp_weight_h265,omitempty" limit:"0.05..2" jsonschema_description:"The same for H.265."`
	Raise         float64  `yaml:"raise" json:"raise,omitempty" limit:"1..3" jsonschema_description:"A wake that is not confirmed multiplies this camera's threshold by this."`
	RaiseMost     float64  `yaml:"raise_most" json:"raise_most,omitempty" limit:"1..10" jsonschema_description:"The threshold rises to so many times what is configured, at most."`
	WarmUp        Duration `yaml:"warm_up" json:"warm_up,omitempty" limit:"1s..10m" jsonschema_description:"So long after the start the score only learns, and every key frame is looked at."`
	Hold          Duration `yaml:"hold" json:"hold,omitempty" limit:"500ms..5m" jsonschema_description:"So long after the last motion everything is still decoded; twice as long where motion came back within four times this, or GOPs are over 4 s; half as long just after a key frame."`
	Confirm       int      `yaml:"confirm" json:"confirm,omitempty" limit:"1..50" jsonschema_description:"Instants with motion, of the last confirm_of, that confirm a wake."`
	ConfirmOf     int      `yaml:"confirm_of" json:"confirm_of,omitempty" limit:"1..50" jsonschema_description:"See confirm; not below it."`
	ConfirmWithin Duration `yaml:"confirm_within" json:"confirm_within,omitempty" limit:"200ms..30s" jsonschema_description:"A wake that is not confirmed within this time ends and raises the threshold of this camera."`
	MaxWakes      int      `yaml:"max_wakes" json:"max_wakes,omitempty" limit:"1..3600" jsonschema_description:"Unconfirmed wakes in an hour after which only key frames wake."`
	KeyEvery      Duration `yaml:"key_every" json:"key_every,omitempty" limit:"1s..60s" jsonschema_description:"At most one key frame in this time is looked at where nothing moves. More than 1s holds only while a stream of constant quality (VBR) gives no sign of motion: no rise of the score, key frames of one size. 1s: each of them, at most one a second."`
	MaxGOP        Duration `yaml:"max_gop" json:"max_gop,omitempty" limit:"2s..5m" jsonschema_description:"A stream without a key frame for this long is decoded in full."`
	RingBytes     Bytes    `yaml:"ring_bytes" json:"ring_bytes,omitempty" limit:"256KiB..256MiB" jsonschema_description:"Most bytes of coded pictures kept to decode from the last key frame; a stream with larger GOPs is decoded in full."`
	DeblockFrom   int      `yaml:"deblock_from" json:"deblock_from,omitempty" limit:"1..52" jsonschema_description:"H.264: from this quantiser on predicted pictures are deblocked while everything is decoded. At a finer one that changes little and saves a fifth of decoding. 1: always."`
	Behind        Duration `yaml:"behind" json:"behind,omitempty" limit:"500ms..5m" jsonschema_description:"When the analysis of a camera is late by this much, only its key frames are looked at until the node keeps up again."`
}
