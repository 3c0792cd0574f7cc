package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// gateScene is a clip that `bench gate` makes: a still scene with sensor noise, as
// a camera would send it, and what is scripted to happen in it.
type gateScene struct {
	kind     string // what is measured with it: recall, quiet, active, busy, nuisance
	tall     int    // picture height; 16:9
	codec    string // h264 or h265
	rate     int    // kbit/s at constant rate; 0: constant quality
	gop      int    // seconds
	seconds  int
	noise    float64 // standard deviation, grey levels
	nuisance string  // cloud, flicker, ir, clock, rain or none
	passages []passage
}

// passage is a thing that crosses the picture: the event.
type passage struct {
	from, to float64 // seconds
	y        float64 // of its top, share of the height
	w, h     float64 // shares of the height
	contrast float64 // grey levels against the ground
	back     bool    // from right to left
}

// name says what the clip is, short enough for a table.
func (s gateScene) name() string {
	rate := "VBR"
	if s.rate > 0 {
		rate = fmt.Sprintf("CBR %dk", s.rate)
	}
	what := map[string]string{"recall": "events", "active": fmt.Sprintf("%.0f %% active", 100*s.activity()), "nuisance": s.nuisance}[s.kind]
	if what == "" {
		what = s.kind
	}
	if s.noise > noiseDay {
		what += fmt.Sprintf(", night, noise %g", s.noise)
	}
	return fmt.Sprintf("%dp %s.%s %s GOP %d s, %s", s.tall, strings.ToUpper(s.codec[:1]), s.codec[1:], rate, s.gop, what)
}

// activity is the share of the time that counts in which something moves.
func (s gateScene) activity() float64 {
	sum := 0.0
	for _, p := range s.passages {
		sum += p.to - p.from
	}
	return sum / (float64(s.seconds) - leadOf(float64(s.gop)))
}

// passagesEach scripts passages of some seconds, of different sizes, speeds and
// contrasts, in turn from both sides.
func passagesEach(first, last, every float64, long ...float64) []passage {
	shapes := []passage{
		// People from near to far: 1.4, 2.7, 5.4 and 0.5 % of the picture.
		{y: .50, w: .10, h: .24, contrast: -55},
		{y: .45, w: .14, h: .34, contrast: 45, back: true},
		{y: .30, w: .20, h: .48, contrast: -35},
		{y: .62, w: .06, h: .16, contrast: -60, back: true},
	}
	var out []passage
	for i, at := 0, first; at < last; i, at = i+1, at+every {
		p := shapes[i%len(shapes)]
		// Not a whole number of GOPs apart, so that they begin anywhere in one.
		p.from = at + 0.37*float64(i%5)
		p.to = p.from + long[i%len(long)]
		out = append(out, p)
	}
	return out
}

// ever is somebody walking all the time.
func ever(seconds int) []passage {
	var out []passage
	for _, p := range passagesEach(0, float64(seconds), 5, 5) {
		p.to = p.from + 6
		out = append(out, p)
	}
	return out
}

// noiseDay is the most noise of a picture by day, grey levels.
const noiseDay = 2

// firstEvent is when the warm-up is over, in seconds.
const firstEvent = 34

// gateScenes are the clips of a whole run, or of a quick one.
func gateScenes(quick bool) []gateScene {
	const cbr, cbrHD = 512, 4000
	const noise, noiseHD = 1.2, noiseDay // a smaller picture has the mean of several pixels
	const noiseNight, noiseDark = 3.6, 6 // of a sensor with 6 and with 10
	if quick {
		events := passagesEach(firstEvent, 96, 14, 4, 3, 6)
		late := passagesEach(44, 100, 14, 3, 4)
		return []gateScene{
			{kind: "recall", tall: 360, codec: "h264", gop: 2, seconds: 104, noise: noise, passages: events},
			{kind: "recall", tall: 360, codec: "h264", rate: cbr, gop: 2, seconds: 104, noise: noise, passages: events},
			{kind: "recall", tall: 360, codec: "h265", rate: cbr, gop: 2, seconds: 104, noise: noise, passages: events},
			{kind: "recall", tall: 360, codec: "h264", gop: 10, seconds: 110, noise: noise, passages: late},
			{kind: "quiet", tall: 1080, codec: "h264", rate: cbrHD, gop: 2, seconds: 40, noise: noiseHD},
			{kind: "quiet", tall: 360, codec: "h264", rate: cbr, gop: 2, seconds: 130, noise: noise},
			{kind: "active", tall: 360, codec: "h264", rate: cbr, gop: 2, seconds: 90, noise: noise, passages: passagesEach(40, 41, 9, 4)},
			{kind: "active", tall: 360, codec: "h264", rate: cbr, gop: 2, seconds: 90, noise: noise, passages: passagesEach(30, 70, 30, 4)},
			{kind: "busy", tall: 360, codec: "h264", rate: cbr, gop: 2, seconds: 50, noise: noise, passages: ever(50)},
		}
	}
	events := passagesEach(firstEvent, 199, 16, 4, 3, 6)
	out := []gateScene{
		{kind: "recall", tall: 360, codec: "h264", gop: 2, seconds: 210, noise: noise, passages: events},
		{kind: "recall", tall: 360, codec: "h264", rate: cbr, gop: 2, seconds: 210, noise: noise, passages: events},
		{kind: "recall", tall: 360, codec: "h265", rate: cbr, gop: 2, seconds: 210, noise: noise, passages: events},
		{kind: "recall", tall: 360, codec: "h264", gop: 10, seconds: 220, noise: noise, passages: passagesEach(44, 205, 16, 3, 4)},
		{kind: "recall", tall: 360, codec: "h264", gop: 2, seconds: 210, noise: noiseNight, passages: events},
		{kind: "recall", tall: 360, codec: "h264", gop: 2, seconds: 210, noise: noiseDark, passages: events},
		{kind: "recall", tall: 1080, codec: "h264", rate: cbrHD, gop: 2, seconds: 210, noise: noiseHD, passages: passagesEach(firstEvent, 199, 9, 4, 3)},
	}
	for _, c := range []struct {
		tall, rate    int
		codec         string
		noise         float64
		quiet, active int
	}{
		{1080, cbrHD, "h264", noiseHD, 70, 130}, {1080, cbrHD, "h265", noiseHD, 70, 130},
		{360, cbr, "h264", noise, 610, 130}, {360, cbr, "h265", noise, 310, 130},
	} {
		still := gateScene{kind: "quiet", tall: c.tall, codec: c.codec, rate: c.rate, gop: 2, seconds: c.quiet, noise: c.noise}
		out = append(out, still)
		long := float64(c.active-10) * 0.05
		for n := range 2 {
			s := still
			s.kind, s.seconds = "active", c.active
			s.passages = passagesEach(30, 31+float64(n*c.active/3), float64(c.active/3), long)
			out = append(out, s)
		}
		s := still
		s.kind, s.seconds, s.passages = "busy", 50, ever(50)
		out = append(out, s)
	}
	for _, n := range []float64{noiseNight, noiseDark} {
		out = append(out, gateScene{kind: "quiet", tall: 360, codec: "h264", gop: 2, seconds: 610, noise: n})
	}
	for _, n := range []string{"cloud", "flicker", "ir", "clock", "rain"} {
		seconds := 100
		if n == "clock" || n == "rain" {
			seconds = 610 // the gate gets used to them
		}
		out = append(out, gateScene{kind: "nuisance", tall: 360, codec: "h264", rate: cbr, gop: 2, seconds: seconds, noise: noise, nuisance: n})
	}
	return out
}

// encoder returns ffmpeg's arguments for the scene's stream: one reference, no
// B-frames and no scene cuts, as cameras encode, and H.265 with SAO, which x265's
// fastest preset leaves out; one thread, so that rate control knows of a picture
// what the last one took, and a clip is the same everywhere.
func (s gateScene) encoder() []string {
	g := s.gop * benchFPS
	if s.codec == "h265" {
		x := fmt.Sprintf("log-level=error:bframes=0:scenecut=0:open-gop=0:ref=1:sao=1:rc-lookahead=0:weightp=0:wpp=0:frame-threads=1:pools=none:keyint=%d:min-keyint=%d", g, g)
		if s.rate > 0 {
			return []string{"-c:v", "libx265", "-preset", "superfast", "-b:v", fmt.Sprintf("%dk", s.rate),
				"-x265-params", x + fmt.Sprintf(":vbv-maxrate=%d:vbv-bufsize=%d", s.rate, s.rate)}
		}
		return []string{"-c:v", "libx265", "-preset", "superfast", "-crf", "28", "-x265-params", x}
	}
	out := []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-refs", "1", "-sc_threshold", "0", "-rc-lookahead", "0", "-weightp", "0", "-threads", "1",
		"-g", fmt.Sprint(g), "-keyint_min", fmt.Sprint(g)}
	if s.rate > 0 {
		r := fmt.Sprintf("%dk", s.rate)
		return append(out, "-b:v", r, "-maxrate", r, "-bufsize", r)
	}
	return append(out, "-crf", "26")
}

// make renders and encodes the scene, writes its ground truth beside it, and
// returns the clip's path.
func (s gateScene) make(ctx context.Context, dir string, number int) (string, error) {
	file := filepath.Join(dir, fmt.Sprintf("scene%02d_%d.%s", number, s.tall, s.codec))
	truth, err := os.Create(strings.TrimSuffix(file, filepath.Ext(file)) + ".gt.csv")
	if err != nil {
		return "", err
	}
	defer truth.Close() //nolint:errcheck // Flush below says what failed
	args := append([]string{"-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", fmt.Sprintf("%dx%d", s.tall*16/9, s.tall),
		"-r", fmt.Sprint(benchFPS), "-i", "-"}, s.encoder()...)
	cmd := exec.CommandContext(ctx, "ffmpeg", append(args, "-f", map[string]string{"h264": "h264", "h265": "hevc"}[s.codec], file)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("ffmpeg: %w (install ffmpeg)", err)
	}
	table := bufio.NewWriter(truth)
	err = s.render(in, table)
	if closed := in.Close(); err == nil {
		err = closed
	}
	if ended := cmd.Wait(); ended != nil {
		return "", fmt.Errorf("ffmpeg: %w: %s", ended, said.Bytes())
	}
	if err == nil {
		err = table.Flush()
	}
	return file, err
}

// truthArea is the size of the picture in whose pixels ground truth is told.
const truthArea = 768 * 432

// The noise of a picture is one of so many fields, moved by up to so many pixels.
const (
	noiseFields = 8
	noiseMargin = 64
)

// textureDepth is the standard deviation of what surfaces are made of, grey levels.
// With it things cost an encoder 0.7 bits for each pixel that they cover (H.264, CRF
// 26), as people do in footage of a yard; without it nearly nothing, as they only
// shift.
const textureDepth = 5

// render writes the raw pictures to out, and for each one its number, the pixels
// that things cover, those that moved, and whether infrared is on, to truth.
func (s gateScene) render(out io.Writer, truth io.Writer) error {
	c := newCanvas(s)
	for n := range s.seconds * benchFPS {
		covered, moved := c.draw(n)
		if _, err := out.Write(c.picture); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(truth, "%d,%d,%d,%d\n", n, covered, moved, digit(s.nuisance == "ir" && c.infrared(n))); err != nil {
			return err
		}
	}
	return nil
}

// canvas draws the pictures of a scene.
type canvas struct {
	s       gateScene
	w, h    int
	r       *rand.Rand
	ground  []byte   // luma without noise
	texture []int8   // what ground and things are made of
	colour  []byte   // both chroma planes without noise
	work    []byte   // luma with things
	noise   [][]int8 // fields larger than the picture by noiseMargin
	picture []byte   // 4:2:0
}

func newCanvas(s gateScene) *canvas {
	c := &canvas{s: s, w: s.tall * 16 / 9, h: s.tall, r: rand.New(rand.NewPCG(11, uint64(s.tall)))}
	c.ground, c.work = make([]byte, c.w*c.h), make([]byte, c.w*c.h)
	c.colour = make([]byte, c.w*c.h/2)
	c.picture = make([]byte, c.w*c.h*3/2)
	for range noiseFields {
		c.noise = append(c.noise, c.soft(c.w+noiseMargin, c.h+noiseMargin, s.noise))
	}
	c.texture = c.soft(c.w, c.h, textureDepth)
	unit := float64(c.h) / 360
	for i := range c.ground {
		x, y := float64(i%c.w)/unit, float64(i/c.w)/unit
		// Sky, ground, walls and something like leaves: flat and fine parts.
		v := 150 - 0.18*y + 14*math.Sin(x/37)*math.Cos(y/23)
		if y > 150 {
			v = 95 + 10*math.Sin(x/11+y/7) + 8*math.Sin(x*y/900)
		}
		if math.Mod(x, 160) < 60 && y > 60 && y < 200 {
			v = 120 + float64(int(x/9+y/9)%2)*18
		}
		// Rough and smooth, so that not all of the picture crosses the threshold of a
		// quantiser at once.
		rough := 0.2 + 1.8*math.Abs(math.Sin(x/71+y/97)*math.Cos(y/53-x/131))
		c.texture[i] = int8(max(-100, min(100, rough*float64(c.texture[i]))))
		c.ground[i] = byte(max(16, min(235, v+float64(c.texture[i]))))
	}
	for i := range c.colour {
		c.colour[i] = byte(122 + 10*math.Sin(float64(i%(c.w/2))/unit/41))
	}
	return c
}

// soft makes a field of random grey levels of a standard deviation in which
// neighbours share some, as behind a lens and a camera's own filters.
func (c *canvas) soft(w, h int, deviation float64) []int8 {
	raw := make([]float64, (w+2)*(h+2))
	for i := range raw {
		raw[i] = c.r.NormFloat64()
	}
	out := make([]int8, w*h)
	for i := range out {
		at := (i/w+1)*(w+2) + i%w + 1
		beside := raw[at-1] + raw[at+1] + raw[at-w-2] + raw[at+w+2]
		out[i] = int8(max(-127, min(127, math.Round(deviation*(0.89*raw[at]+0.22*beside)))))
	}
	return out
}

// infrared says whether the infrared light is on: it goes on half-way.
func (c *canvas) infrared(n int) bool { return n >= c.s.seconds*benchFPS/2 }

// draw makes picture n and returns what things cover and what of it moved, in
// pixels of the ground truth.
func (c *canvas) draw(n int) (covered, moved int) {
	t := float64(n) / benchFPS
	copy(c.work, c.ground)
	for _, p := range c.s.passages {
		a, m := c.walk(p, t)
		covered, moved = covered+a, moved+m
	}
	c.disturb(n)
	lut := c.light(n)
	luma := c.picture[:c.w*c.h]
	field, left, top := c.sensor()
	for y := range c.h {
		noise := field[(y+top)*(c.w+noiseMargin)+left:][:c.w]
		row, from := luma[y*c.w:(y+1)*c.w], c.work[y*c.w:(y+1)*c.w]
		for x, v := range from {
			row[x] = byte(max(0, min(255, int(lut[v])+int(noise[x]))))
		}
	}
	c.paint(n)
	return covered, moved
}

// sensor is the noise of one picture: a field, and where in it the picture begins.
func (c *canvas) sensor() (field []int8, left, top int) {
	return c.noise[c.r.IntN(len(c.noise))], c.r.IntN(noiseMargin), c.r.IntN(noiseMargin)
}

// paint adds the colour, with half the noise.
func (c *canvas) paint(n int) {
	colour := c.picture[c.w*c.h:]
	if c.s.nuisance == "ir" && c.infrared(n) {
		for i := range colour {
			colour[i] = 128
		}
		return
	}
	half := c.w / 2
	field, left, top := c.sensor()
	for at := 0; at < len(colour); at += half {
		noise := field[(at/half%(c.h/2)+top)*(c.w+noiseMargin)+left:][:half]
		for x := range half {
			colour[at+x] = byte(int(c.colour[at+x]) + int(noise[x])/2)
		}
	}
}

// walk draws a passage: a body in two shades, with legs that swing.
func (c *canvas) walk(p passage, t float64) (covered, moved int) {
	if t < p.from || t >= p.to {
		return 0, 0
	}
	h, w := p.h*float64(c.h), p.w*float64(c.h)
	way := float64(c.w) + w
	share := (t - p.from) / (p.to - p.from)
	if p.back {
		share = 1 - share
	}
	x0, y0 := share*way-w, p.y*float64(c.h)
	fold, unfold := math.Cos(t*9), math.Sin(t*9)
	for y := int(y0); y < min(c.h, int(y0+h)); y++ {
		grey := p.contrast
		swing := 0.0
		if float64(y) > y0+0.6*h {
			grey, swing = -p.contrast, math.Sin(t*9)*0.2*w
		}
		for x := max(0, int(x0+swing)); x < min(c.w, int(x0+swing+w)); x++ {
			// What a thing is made of goes with it, and folds as it walks.
			i, own := y*c.w+x, ((y-int(y0))*c.w+x-int(x0)+c.w)%len(c.texture)
			made := fold*float64(c.texture[own]) + unfold*float64(c.texture[len(c.texture)-1-own])
			c.work[i] = byte(max(16, min(235, float64(int(c.ground[i])-int(c.texture[i]))+grey+2*made)))
			covered++
		}
	}
	scale := float64(truthArea) / float64(c.w*c.h)
	step := way / (p.to - p.from) / benchFPS
	return int(float64(covered) * scale), int(math.Min(float64(covered), 2*step*h) * scale)
}

// disturb draws what is no motion: rain, and the clock that cameras write into
// their pictures.
func (c *canvas) disturb(n int) {
	unit := c.h / 90
	switch c.s.nuisance {
	case "rain":
		for range 250 {
			x, y := c.r.IntN(c.w), c.r.IntN(c.h-4*unit)
			for d := range 3 * unit {
				i := (y+d)*c.w + x
				c.work[i] = byte(min(235, int(c.work[i])+28))
			}
		}
	case "clock":
		second := n / benchFPS
		for digit := range 8 {
			value := second / int(math.Pow(6, float64(7-digit)))
			for seg := range 8 {
				if (value*37+digit*11)>>seg&1 == 0 {
					continue
				}
				x0, y0 := 3*unit+digit*4*unit+seg%2*unit, 3*unit+seg/2*unit
				for i := range unit * unit {
					c.work[(y0+i/unit)*c.w+x0+i%unit] = 235
				}
			}
		}
	}
}

// light is what becomes of each grey level: clouds, lamps on the mains, infrared.
func (c *canvas) light(n int) (lut [256]byte) {
	gain, shift := 1.0, 0.0
	t := float64(n) / benchFPS
	switch c.s.nuisance {
	case "cloud":
		gain = 1 - 0.15*math.Max(0, math.Sin(t/3.5))
	case "flicker":
		gain = 1 + 0.02*math.Sin(t*2*math.Pi*7.3)
	case "ir":
		if c.infrared(n) {
			gain, shift = -0.8, 190
		}
	}
	for i := range lut {
		lut[i] = byte(max(0, min(255, float64(i)*gain+shift)))
	}
	return lut
}
