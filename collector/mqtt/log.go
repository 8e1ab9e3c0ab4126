package mqtt

import (
	"context"
	"log/slog"
	"time"

	"quantrac/internal/seldom"
)

// linesAMinute is how many lines the log has of one kind of trouble with
// clients, by name; the others are counted. A device with an old token comes
// back every second.
const linesAMinute = 10

// seldom logs a line, unless the minute has had enough of its kind.
func (b *Broker) seldom(l *seldom.Limit, level slog.Level, text string, args ...any) {
	say, left := l.Next(time.Now())
	if !say {
		return
	}
	if left > 0 {
		args = append(args, "not_logged_before", left)
	}
	b.o.Logger.Log(context.Background(), level, text, args...)
}

// tellRest logs how many lines were left out in a minute that nothing came
// after.
func (b *Broker) tellRest(now time.Time) {
	if n := b.refusals.Left(now); n > 0 {
		b.o.Logger.Info("mqtt: more connections refused, one by one too many to log", "connections", n)
	}
	if n := b.breaks.Left(now); n > 0 {
		b.o.Logger.Warn("mqtt: more clients disconnected for what they sent, one by one too many to log", "connections", n)
	}
}
