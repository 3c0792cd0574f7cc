package configs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestScheduleActive(t *testing.T) {
	// 2026-11-16 is a Monday.
	at := func(day int, clock string) time.Time {
		c, err := time.Parse("15:04:05", clock)
		require.NoError(t, err)
		return time.Date(2026, 11, 15+day, c.Hour(), c.Minute(), c.Second(), 0, time.FixedZone("CST", 8*3600))
	}
	const mon, tue, wed, thu, fri, sat, sun = 1, 2, 3, 4, 5, 6, 7
	tests := []struct {
		name  string
		lines []string
		day   int
		clock string
		want  bool
	}{
		{"none is always", nil, wed, "03:00:00", true},
		{"start is inside", []string{"daily 08:00-18:00"}, wed, "08:00:00", true},
		{"before the start", []string{"daily 08:00-18:00"}, wed, "07:59:59", false},
		{"end is outside", []string{"daily 08:00-18:00"}, wed, "18:00:00", false},
		{"last second", []string{"daily 08:00-18:00"}, wed, "17:59:59", true},
		{"over midnight, evening", []string{"Mon-Fri 22:00-06:00"}, fri, "23:00:00", true},
		{"over midnight belongs to its start", []string{"Mon-Fri 22:00-06:00"}, sat, "05:59:59", true},
		{"over midnight ends", []string{"Mon-Fri 22:00-06:00"}, sat, "06:00:00", false},
		{"the day after the last", []string{"Mon-Fri 22:00-06:00"}, sat, "22:30:00", false},
		{"the morning of the first", []string{"Mon-Fri 22:00-06:00"}, mon, "05:00:00", false},
		{"Sunday into Monday", []string{"Sun 22:00-06:00"}, mon, "05:00:00", true},
		{"days over the end of the week", []string{"Fri-Mon 08:00-09:00"}, sun, "08:30:00", true},
		{"not between them", []string{"Fri-Mon 08:00-09:00"}, tue, "08:30:00", false},
		{"whole day", []string{"Sat,Sun 00:00-24:00"}, sun, "23:59:59", true},
		{"whole day ends", []string{"Sat,Sun 00:00-24:00"}, mon, "00:00:00", false},
		{"until midnight", []string{"daily 20:00-24:00"}, mon, "23:59:00", true},
		{"until 00:00", []string{"daily 20:00-00:00"}, mon, "23:59:00", true},
		{"until 00:00 ends", []string{"daily 20:00-00:00"}, tue, "00:00:00", false},
		{"second span", []string{"Mon 01:00-02:00", "Tue 03:00-04:00"}, tue, "03:30:00", true},
		{"list of days", []string{"Mon,Wed-Thu 01:00-02:00"}, thu, "01:30:00", true},
		{"long names", []string{"Monday 1:00-2:00"}, mon, "01:30:00", true},
		{"Chinese range", []string{"周一-周五 22:00-06:00"}, sat, "01:00:00", true},
		{"Chinese range in words", []string{"星期一至星期五 22:00-06:00"}, sun, "01:00:00", false},
		{"Chinese daily, wide signs", []string{"每天　08：00－18：00"}, wed, "12:00:00", true},
		{"Chinese list", []string{"周六、周日 08:00-18:00"}, sun, "12:00:00", true},
		{"Chinese Sunday", []string{"周天 08:00-18:00"}, sun, "12:00:00", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ParseSchedule(tt.lines)
			require.NoError(t, err)
			require.Equal(t, tt.want, s.Active(at(tt.day, tt.clock)))
		})
	}
	s, err := ParseSchedule([]string{"daily 00:00-01:00"})
	require.NoError(t, err)
	utc := time.Date(2026, 11, 16, 16, 30, 0, 0, time.UTC)
	require.False(t, s.Active(utc))
	require.True(t, s.Active(utc.In(time.FixedZone("CST", 8*3600))), "the zone of the time decides")
}

func TestParseScheduleRefuses(t *testing.T) {
	for text, what := range map[string]string{
		"":                       "not days, a space and a time span",
		"daily":                  "not days, a space and a time span",
		"22:00-06:00":            "not days, a space and a time span",
		"daily 22:00 - 06:00":    "not days, a space and a time span",
		"daily 22:00":            "has no time span",
		"daily 22-06":            "not HH:MM",
		"daily 25:00-06:00":      "not HH:MM",
		"daily 24:00-06:00":      "not HH:MM",
		"daily 22:60-06:00":      "not HH:MM",
		"daily 22:00-24:01":      "not HH:MM",
		"daily +2:00-03:00":      "not HH:MM",
		"daily 022:00-03:00":     "not HH:MM",
		"daily 22:00-22:00":      "ends when it starts",
		"Mo 22:00-23:00":         "a day that is not known",
		"Mon- 22:00-23:00":       "a day that is not known",
		"Mon-Fry 22:00-23:00":    "a day that is not known",
		"Mon,,Tue 22:00-23:00":   "a day that is not known",
		"Mon-Tue-Wed 1:00-23:00": "a day that is not known",
		"工作日 22:00-23:00":        "a day that is not known",
	} {
		_, err := ParseSchedule([]string{"daily 08:00-18:00", text})
		require.ErrorContains(t, err, what, text)
		require.ErrorContains(t, err, "Mon-Fri 22:00-06:00", text)
	}
}
