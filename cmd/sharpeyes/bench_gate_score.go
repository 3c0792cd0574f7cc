package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What an event is.
const (
	eventArea   = 0.0005 // share of the picture: what is smaller the motion finders leave out too
	eventGap    = 4.0    // seconds: a thing behind a pole is the same event
	eventFirst  = 10.0   // seconds: before, both ways learn
	eventBefore = 0.2    // seconds before a thing is large enough in which it may be seen
	eventAfter  = 3.0    // seconds after one in which motion may still be claimed without being false
)

// happening is an event of the ground truth, seconds of the clip.
type happening struct{ from, to float64 }

// readTruth returns the events of a table of ground truth and the seconds that it
// covers; "" is a clip in which nothing happens.
func readTruth(path string) ([]happening, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	events, err := happenings(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return events, nil
}

// happenings joins the pictures in which something is there to events.
func happenings(r io.Reader) ([]happening, error) {
	var out []happening
	scan := bufio.NewScanner(r)
	for line := 1; scan.Scan(); line++ {
		fields := strings.Split(scan.Text(), ",")
		if len(fields) < 2 {
			return nil, fmt.Errorf("line %d: want the number of the picture, the pixels covered, and more", line)
		}
		n, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		covered, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if covered < eventArea*truthArea {
			continue
		}
		at := float64(n) / benchFPS
		if last := len(out) - 1; last >= 0 && at-out[last].to <= eventGap {
			out[last].to = at
		} else {
			out = append(out, happening{at, at})
		}
	}
	return out, scan.Err()
}

// judge compares what the gate and the yardstick claimed with the ground truth.
func (row *gateBench) judge(truth string, gate, yard *gateRun) error {
	events, err := readTruth(truth)
	if err != nil {
		return err
	}
	lead := leadOf(row.GOP)
	length := row.Seconds + lead
	there := 0.0
	for i, e := range events {
		there += max(0, e.to-max(e.from, lead))
		if e.from < eventFirst {
			continue
		}
		end := e.to + row.GOP + 0.5
		if i+1 < len(events) {
			end = min(end, events[i+1].from-eventBefore)
		}
		row.Events++
		mog, byMOG2 := firstClaim(yard.ByMOG2, e.from-eventBefore, end)
		_, byCells := firstClaim(yard.ByCells, e.from-eventBefore, end)
		ours, byGate := firstClaim(gate.Claims, e.from-eventBefore, end)
		row.ByMOG2, row.ByCells, row.ByGate = row.ByMOG2+digit(byMOG2), row.ByCells+digit(byCells), row.ByGate+digit(byGate)
		if byMOG2 && byGate {
			row.Later = append(row.Later, math.Round((ours-mog)*1000)/1000)
		}
	}
	row.Activity = there / row.Seconds
	if len(row.Later) > 0 {
		row.LaterMedian, row.LaterMost = median(slices.Clone(row.Later)), slices.Max(row.Later)
	}
	row.FalseMOG2, row.FalseGate = falseShare(yard.ByMOG2, events, length), falseShare(gate.Claims, events, length)
	return nil
}

// firstClaim returns when it was first known that something moved between two
// times.
func firstClaim(claims []claim, from, to float64) (known float64, ok bool) {
	for _, c := range claims {
		if c.At >= from && c.At <= to {
			return c.Known, true
		}
	}
	return 0, false
}

// falseShare is the share of the whole seconds in which nothing is there, nor was a
// moment ago, in which motion was claimed all the same.
func falseShare(claims []claim, events []happening, length float64) float64 {
	quiet, wrong := 0, 0
	for s := eventFirst; s+1 <= length; s++ {
		near := slices.ContainsFunc(events, func(e happening) bool { return s+1 > e.from-eventBefore && s < e.to+eventAfter })
		if near {
			continue
		}
		quiet++
		if slices.ContainsFunc(claims, func(c claim) bool { return c.At >= s && c.At < s+1 }) {
			wrong++
		}
	}
	if quiet == 0 {
		return 0
	}
	return float64(wrong) / float64(quiet)
}

// alignedTable writes rows as a Markdown table whose columns are as wide as what
// is in them, numbers to the right.
func alignedTable(w io.Writer, rows [][]string) {
	wide := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			wide[i] = max(wide[i], utf8.RuneCountInString(cell))
		}
	}
	for n, r := range rows {
		for i, cell := range r {
			space := strings.Repeat(" ", wide[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(w, "| %s%s ", cell, space)
			} else {
				fmt.Fprintf(w, "| %s%s ", space, cell)
			}
		}
		fmt.Fprintln(w, "|")
		if n == 0 {
			for i, width := range wide {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", width+1)+map[bool]string{true: "-", false: ":"}[i == 0])
			}
			fmt.Fprintln(w, "|")
		}
	}
}
