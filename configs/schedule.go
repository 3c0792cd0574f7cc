package configs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Schedule is a set of weekly spans of wall-clock time. The zero Schedule is
// always active. A span over midnight belongs to the day it starts on. It is a
// value and safe to share.
type Schedule struct {
	spans []span
}

// span is active on days from start to end, in minutes after midnight. An end
// that is not after start lies on the next day.
type span struct {
	days       [7]bool // by time.Weekday
	start, end int
}

// scheduleForms is the remedy for every schedule that cannot be read.
const scheduleForms = `write for example "Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00", "daily 08:00-18:00" or "周一-周五 22:00-06:00"`

// dayNames are lower-case; Chinese names stand beside the English ones.
var dayNames = map[string]time.Weekday{
	"sun": time.Sunday, "sunday": time.Sunday, "周日": time.Sunday, "周天": time.Sunday, "星期日": time.Sunday, "星期天": time.Sunday,
	"mon": time.Monday, "monday": time.Monday, "周一": time.Monday, "星期一": time.Monday,
	"tue": time.Tuesday, "tuesday": time.Tuesday, "周二": time.Tuesday, "星期二": time.Tuesday,
	"wed": time.Wednesday, "wednesday": time.Wednesday, "周三": time.Wednesday, "星期三": time.Wednesday,
	"thu": time.Thursday, "thursday": time.Thursday, "周四": time.Thursday, "星期四": time.Thursday,
	"fri": time.Friday, "friday": time.Friday, "周五": time.Friday, "星期五": time.Friday,
	"sat": time.Saturday, "saturday": time.Saturday, "周六": time.Saturday, "星期六": time.Saturday,
}

// A Chinese input method writes these wide forms where the narrow one is meant.
var narrow = strings.NewReplacer("：", ":", "－", "-", "–", "-", "—", "-", "～", "-", "~", "-", "至", "-", "到", "-", "，", ",", "、", ",", "　", " ")

// ParseSchedule reads spans of the form "DAYS HH:MM-HH:MM". DAYS is "daily"
// (每天, 每日), a day, a range of days that may run over the week's end
// ("Fri-Mon"), or several of these joined by commas; days are English (Mon,
// Monday) or Chinese (周一, 星期一). The end may be 24:00; an end before the start
// lies on the next day. No span at all means always. The error names the first
// span that cannot be read and what to write.
func ParseSchedule(lines []string) (Schedule, error) {
	var s Schedule
	for _, line := range lines {
		sp, err := parseSpan(line)
		if err != nil {
			return Schedule{}, fmt.Errorf("schedule %s %w: %s", quote(line), err, scheduleForms)
		}
		s.spans = append(s.spans, sp)
	}
	return s, nil
}

func parseSpan(line string) (span, error) {
	fields := strings.Fields(strings.ToLower(narrow.Replace(line)))
	if len(fields) != 2 {
		return span{}, errors.New("is not days, a space and a time span")
	}
	days, err := parseDays(fields[0])
	if err != nil {
		return span{}, err
	}
	from, to, ok := strings.Cut(fields[1], "-")
	if !ok {
		return span{}, errors.New("has no time span")
	}
	start, errStart := parseClock(from)
	end, errEnd := parseClock(to)
	if errStart != nil || errEnd != nil || start == 24*60 {
		return span{}, errors.New("has a time that is not HH:MM from 00:00 to 24:00")
	}
	if start == end {
		return span{}, errors.New("ends when it starts (a whole day is 00:00-24:00)")
	}
	return span{days, start, end}, nil
}

func parseDays(text string) (days [7]bool, err error) {
	if text == "daily" || text == "每天" || text == "每日" {
		return [7]bool{true, true, true, true, true, true, true}, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		from, ok := dayNames[first]
		if !ok {
			return days, errors.New("has a day that is not known")
		}
		to := from
		if isRange {
			if to, ok = dayNames[last]; !ok {
				return days, errors.New("has a day that is not known")
			}
		}
		for d := from; ; d = (d + 1) % 7 {
			days[d] = true
			if d == to {
				break
			}
		}
	}
	return days, nil
}

// parseClock returns the minutes after midnight of HH:MM, 24:00 included.
func parseClock(text string) (int, error) {
	h, m, ok := strings.Cut(text, ":")
	if !ok || len(h) < 1 || len(h) > 2 || len(m) != 2 {
		return 0, errors.New("not HH:MM")
	}
	hour, errHour := strconv.ParseUint(h, 10, 8)
	minute, errMinute := strconv.ParseUint(m, 10, 8)
	if errHour != nil || errMinute != nil || minute > 59 || hour > 24 || hour == 24 && minute > 0 {
		return 0, errors.New("not HH:MM")
	}
	return int(hour*60 + minute), nil
}

// Active reports whether t lies in the schedule, by t's own wall clock: the
// caller brings t into the configured zone first. Starts are inside, ends are
// outside.
func (s Schedule) Active(t time.Time) bool {
	if len(s.spans) == 0 {
		return true
	}
	today := t.Weekday()
	yesterday := (today + 6) % 7
	minute := t.Hour()*60 + t.Minute()
	for _, sp := range s.spans {
		if sp.start < sp.end {
			if sp.days[today] && sp.start <= minute && minute < sp.end {
				return true
			}
			continue
		}
		if sp.days[today] && minute >= sp.start || sp.days[yesterday] && minute < sp.end {
			return true
		}
	}
	return false
}
