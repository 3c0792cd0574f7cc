package gb28181

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
)

const (
	recordsIdle = 8 * time.Second // for the first part of a list, and between two
	maxRecords  = 100_000         // of one list: two years in pieces of ten minutes
)

// Records is what a device has recorded.
type Records struct {
	Records []manscdp.Record // by their beginning
	Sum     int              // as many as the device announced
	// Complete is false when the device sent fewer than it announced: parts of
	// the list got lost, or it miscounts.
	Complete bool
}

// Records asks a device what it has recorded of a channel in a span of time
// (GB/T 28181 §9.7). The answer may take many messages, in any order; a list with
// parts missing is returned with Complete false and no error. Times are by the
// device's clock. The error wraps what the device answered, or is of ctx.
func (p *Platform) Records(ctx context.Context, span Span) (Records, error) {
	if err := span.check(); err != nil {
		return Records{}, err
	}
	dev := p.device(span.Device)
	if dev == nil {
		return Records{}, p.absent(span.Device)
	}
	sn := dev.nextSN()
	query := manscdp.Message{
		Root: manscdp.Query, CmdType: manscdp.CmdRecordInfo, SN: sn, DeviceID: span.Channel,
		// Dahua answers a query without a type with nothing.
		Payload: &manscdp.RecordQuery{StartTime: span.From, EndTime: span.To, Type: manscdp.RecordAll},
	}
	list := recordList{seen: make(map[recordKey]bool)}
	err := p.exchange(ctx, dev, question{manscdp.CmdRecordInfo, sn, p.encode(dev, query), recordsIdle}, func(m incoming) bool {
		msg, err := p.decode(m)
		if err != nil {
			return false // the other parts may be better
		}
		return list.add(msg)
	})
	if err != nil && !(errors.Is(err, errTimeout) && list.parts > 0) {
		return Records{}, fmt.Errorf("records of channel %s: %w", span.Channel, err)
	}
	slices.SortStableFunc(list.records, func(a, b manscdp.Record) int { return a.StartTime.Compare(b.StartTime) })
	return Records{Records: list.records, Sum: list.sum, Complete: len(list.records) >= list.sum}, nil
}

// recordKey tells one record from another: some devices send one twice.
type recordKey struct {
	start, end time.Time
	path       string
}

// recordList puts the parts of an answer together.
type recordList struct {
	records  []manscdp.Record
	seen     map[recordKey]bool
	parts    int
	received int // records, those sent twice included
	sum      int
}

// add takes a part and says whether it was the last one.
func (l *recordList) add(msg manscdp.Message) (done bool) {
	info, ok := msg.Payload.(*manscdp.RecordInfo)
	if !ok {
		return false
	}
	l.parts++
	l.sum = max(l.sum, info.SumNum)
	for _, r := range info.Records {
		l.received++
		k := recordKey{r.StartTime, r.EndTime, r.FilePath}
		if l.seen[k] || len(l.records) >= maxRecords {
			continue
		}
		l.seen[k] = true
		l.records = append(l.records, r)
	}
	return l.received >= l.sum
}
