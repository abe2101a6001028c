package live

import (
	"time"

	"rehearsal/internal/stage"
)

// A Rate is which share of the requests failed in the last minutes, piece by piece.
type Rate struct {
	pieces [Pieces]piece // a ring: the piece that begins at n*PieceOf is at n%Pieces
}

// The last minutes, in Pieces pieces of PieceOf each.
const (
	PieceOf = 15 * time.Second
	Pieces  = 20
)

type piece struct {
	n                int64 // which piece of release time, from 1; 0: none
	requests, failed float64
}

// A Piece is a short time's share of failed requests.
type Piece struct {
	Percent float64
	Known   bool // there were requests
}

// add spreads the traffic over the pieces that it is of: some stages record it by the
// minute.
func (r *Rate) add(t stage.Traffic) {
	from, to := t.From, max(t.To, t.From+1)
	from = max(from, to-Pieces*PieceOf)
	for at := from; at < to; {
		n := int64(at / PieceOf)
		end := min(time.Duration(n+1)*PieceOf, to)
		part := float64(end-at) / float64(to-from)
		p := &r.pieces[n%Pieces]
		if p.n > n+1 { // older than the ring
			return
		}
		if p.n != n+1 {
			*p = piece{n: n + 1}
		}
		p.requests += part * float64(t.Requests)
		p.failed += part * float64(t.Failed)
		at = end
	}
}

// Last is the pieces up to now, the oldest first.
func (r *Rate) Last(now time.Duration) (out [Pieces]Piece) {
	newest := int64(now / PieceOf)
	for i := range out {
		n := newest - int64(Pieces-1-i)
		if n < 0 {
			continue
		}
		if p := r.pieces[n%Pieces]; p.n == n+1 && p.requests > 0 {
			out[i] = Piece{100 * p.failed / p.requests, true}
		}
	}
	return out
}

// Percent is the share of the last minute up to the newest traffic, which stages count
// a little after it was served.
func (r *Rate) Percent(now time.Duration) (percent float64, known bool) {
	newest := int64(0)
	for _, p := range r.pieces {
		newest = max(newest, p.n)
	}
	var requests, failed float64
	const minute = int64(time.Minute / PieceOf)
	if newest == 0 || time.Duration(newest)*PieceOf < now-2*time.Minute { // nobody was served for long
		return 0, false
	}
	for _, p := range r.pieces {
		if p.n > newest-minute {
			requests, failed = requests+p.requests, failed+p.failed
		}
	}
	if requests == 0 {
		return 0, false
	}
	return 100 * failed / requests, true
}
