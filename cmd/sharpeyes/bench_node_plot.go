package main

import (
	"fmt"
	"html"
	"io"
	"math"
)

// The plot is 720 x 420, the axes within these bounds.
const (
	plotLeft, plotRight  = 70, 690
	plotTop, plotBottom  = 50, 360
	plotLeast, plotMost  = 1, 1000 // cameras, logarithmic
	plotFarthest         = 0.5     // activity
	plotWidth, plotTall  = 720, 420
	plotTickLen, plotGap = 5, 18
)

func plotX(activity float64) float64 {
	return plotLeft + activity/plotFarthest*(plotRight-plotLeft)
}

func plotY(cameras float64) float64 {
	share := math.Log10(max(cameras, plotLeast)) / math.Log10(plotMost)
	return plotBottom - min(share, 1)*(plotBottom-plotTop)
}

// drawNode draws cameras per core over activity, a line for each kind of camera.
func drawNode(w io.Writer, r *benchReport) {
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotTall)
	fmt.Fprintf(w, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, plotTall)
	text := func(x, y float64, anchor, s string) {
		fmt.Fprintf(w, `<text x="%.0f" y="%.0f" text-anchor="%s" fill="#222">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
	}
	text(plotLeft, 22, "start", "每核可承载摄像机路数 / cameras that one core carries")
	text(plotLeft, 38, "start", r.Machine)
	for _, n := range []float64{1, 3, 10, 30, 100, 300, 1000} {
		y := plotY(n)
		fmt.Fprintf(w, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#ddd"/>`+"\n", plotLeft, y, plotRight, y)
		text(plotLeft-plotTickLen, y+4, "end", fmt.Sprint(n))
	}
	for _, a := range []float64{0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5} {
		text(plotX(a), plotBottom+plotGap, "middle", fmt.Sprintf("%g %%", a*100))
	}
	text((plotLeft+plotRight)/2, plotBottom+2*plotGap, "middle", "画面有动静的时间占比 / share of time in which something moves")
	colours := []string{"#0b6e99", "#b3541e", "#4a7c2c", "#7a3b8f"}
	for i, b := range r.Node {
		colour := colours[i%len(colours)]
		fmt.Fprintf(w, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
		for _, row := range b.Rows {
			fmt.Fprintf(w, "%.1f,%.1f ", plotX(row.Activity), plotY(float64(row.Cameras)))
		}
		fmt.Fprintln(w, `"/>`)
		for _, row := range b.Rows {
			x, y := plotX(row.Activity), plotY(float64(row.Cameras))
			fmt.Fprintf(w, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x, y, colour)
			text(x+6, y-6, "start", fmt.Sprint(row.Cameras))
		}
		y := float64(plotTop + 14 + i*plotGap)
		fmt.Fprintf(w, `<rect x="%d" y="%.0f" width="12" height="4" fill="%s"/>`+"\n", plotRight-210, y-6, colour)
		text(plotRight-192, y, "start", b.Stream)
	}
	fmt.Fprintln(w, "</svg>")
}
