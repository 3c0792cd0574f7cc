package main

import (
	"bufio"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"unicode/utf8"
)

// plotRow is one bar: what it is of, how long it is, and what is written behind it.
type plotRow struct {
	Label string
	Value float64 // 0 or more; NaN and below 0 are drawn as 0
	Note  string  // default: the value with the unit
}

// Sizes of a bar plot, in pixels.
const (
	plotRowHeight = 26
	plotBar       = 16
	plotHead      = 54
	plotWide      = 420 // the longest bar
	plotGlyph     = 7.2 // mean width of a letter at 12 px
	plotNote      = 190 // room behind the longest bar
)

// plotFile writes a plot to a file.
func plotFile(path string, draw func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // the second Close after a good one
	if err := draw(f); err != nil {
		return err
	}
	return f.Close()
}

// barPlot writes a horizontal bar plot as an SVG that needs nothing else: no
// script, no font and no style sheet from elsewhere, readable on light and dark
// ground. Bars begin at zero.
func barPlot(w io.Writer, title, unit string, rows []plotRow) error {
	most, letters := 0.0, 0
	for _, r := range rows {
		most = max(most, plotValue(r.Value))
		letters = max(letters, utf8.RuneCountInString(r.Label))
	}
	left := 16 + int(math.Ceil(float64(letters)*plotGlyph)) + 10
	width, height := left+plotWide+plotNote, plotHead+len(rows)*plotRowHeight+14
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="system-ui, sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(out, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n", html.EscapeString(title))
	fmt.Fprintf(out, "<text x=\"16\" y=\"24\" font-size=\"15\" font-weight=\"600\" fill=\"#1a1a1a\">%s</text>\n", html.EscapeString(title))
	fmt.Fprintf(out, "<text x=\"16\" y=\"42\" fill=\"#5a5a5a\">%s</text>\n", html.EscapeString(unit))
	for i, r := range rows {
		v, y := plotValue(r.Value), plotHead+i*plotRowHeight
		long := 0.0
		if most > 0 {
			long = v / most * plotWide
		}
		note := r.Note
		if note == "" {
			note = fmt.Sprintf("%.3g %s", v, unit)
		}
		text := y + plotBar - 4
		fmt.Fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#1a1a1a\">%s</text>\n", left-8, text, html.EscapeString(r.Label))
		fmt.Fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\" fill=\"#2f6fb3\"/>\n", left, y, max(long, 1), plotBar)
		fmt.Fprintf(out, "<text x=\"%.1f\" y=\"%d\" fill=\"#1a1a1a\">%s</text>\n", float64(left)+max(long, 1)+6, text, html.EscapeString(note))
	}
	fmt.Fprintln(out, "</svg>")
	return out.Flush()
}

// plotValue is what is drawn of a value.
func plotValue(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return max(v, 0)
}
