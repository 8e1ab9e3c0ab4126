package main

import (
	"context"
	"net/http"
	"time"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/jsonapi"
)

// wayOut is what to do where the start is refused because of the clock.
const wayOut = "If the machine's clock is right now, start once with --accept-clock=TIME, the time by another clock; see \"clock\" in the operating manual"

// maxPause is how long a service may have been away to go on without a word by
// a clock that nothing confirms.
const maxPause = 366 * 24 * time.Hour

// newClock sets the clock of the service: the machine's, or the one that a
// replay drives.
func (s *system) newClock() {
	if s.c.Clock == "replay" {
		s.driven = quantrac.NewManualClock(0)
		s.clock = s.driven
		return
	}
	s.steady = newSteadyClock(s.log)
	s.clock = s.steady
}

// realClock dates sessions, which a replay must not end.
func (s *system) realClock() quantrac.Clock {
	if s.steady != nil {
		return s.steady
	}
	return quantrac.SystemClock{}
}

// acceptedClock says whether an operator has said that the machine's clock is
// right, by another one: a setting left standing is about no later start.
func (s *system) acceptedClock() (bool, error) {
	if s.c.AcceptClock == "" {
		return false, nil
	}
	about, err := quantrac.ParseTime(s.c.AcceptClock)
	if err == nil && s.steady == nil {
		err = quantrac.Errorf(quantrac.Invalid, "the clock is not the machine's")
	}
	if err == nil {
		err = checkAbout(s.clock.Now(), about)
	}
	return err == nil, err
}

// checkPause refuses to go on years after the last commit: everything would be
// dated so, and a clock set right bar the next start.
func (s *system) checkPause(accepted bool) error {
	last := s.journal.Last()
	if s.steady == nil || accepted || last.Number == 0 || s.steady.synced() {
		return nil
	}
	if now := s.clock.Now(); now > last.Time.Add(maxPause) {
		return quantrac.Errorf(quantrac.Unavailable, "the machine's clock says %s, more than a year after the last commit, of %s, and is not synchronised with others. %s", now, last.Time, wayOut)
	}
	return nil
}

// recordAcceptance writes down that the service was started with the clock
// accepted. A full disk does not keep it from starting.
func (s *system) recordAcceptance() {
	if s.c.AcceptClock == "" {
		return
	}
	ctx := quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "serve --accept-clock", Role: quantrac.RoleAdmin})
	if err := s.auditAcceptance(ctx, s.c.AcceptClock); err != nil {
		s.log.Error("the acceptance of the clock could not be written down", "error", err)
	}
}

func (s *system) auditAcceptance(ctx context.Context, said string) error {
	now := quantrac.SystemClock{}.Now()
	_, err := s.audit.Append(ctx, audit.Event{Action: "clock.accept", Object: now.String(), Detail: map[string]string{"by_another_clock": said}})
	return err
}

// acceptClock takes an administrator's word that the machine's clock, which has
// jumped, is right: {"time": the time by another clock}.
func (s *system) acceptClock(w http.ResponseWriter, r *http.Request) {
	var in struct{ Time string }
	if !jsonapi.Read(w, r, 1000, &in) {
		return
	}
	about, err := quantrac.ParseTime(in.Time)
	if err == nil {
		err = checkAbout(quantrac.SystemClock{}.Now(), about)
	}
	if err == nil {
		err = s.auditAcceptance(r.Context(), in.Time)
	}
	if err == nil {
		err = s.steady.accept(about)
	}
	jsonapi.Done(w, err)
}
