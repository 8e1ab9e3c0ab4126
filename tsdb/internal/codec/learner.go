package codec

import (
	"errors"
	"math"
	"math/bits"
)

// A learner codes numbers one after the other, by what it has learnt from those
// before and from others that stand beside them. It has several guesses of the
// next number, and for each several of how far off it is: every pair makes a
// distribution, and their weights follow how well they have foretold. The number
// is told by decisions whose odds the sum of the distributions gives, corrected by
// how such decisions went before.
//
// Encoder and decoder, on whatever machine, must come to the same bits. So all of
// it is float64 arithmetic in a fixed order, by the four operations and a table,
// and every product is converted before it is added to something: that keeps a
// compiler from fusing the two, which would round once only.
type learner struct {
	beside  [][]float64
	usual   float64            // distance of neighbours
	count   int                // numbers so far
	last    int64              // of them
	same    int                // how often it has come in a row, less one
	steps   [longReach]float64 // the last ones, cut, the newest first
	fits    [2]squares         // to long and to short habits
	level   squares            // fit to what stands beside alone
	guesses int
	guess   [maxGuesses]float64
	far     [maxGuesses][paces]float64 // how far off, by its speed
	pairs   int
	weights [maxGuesses * paces]float64
	slope   [maxGuesses * paces]float64 // steps of the table of tails to 1
	went    [decisions][probBits]record
}

const (
	longReach  = 8
	shortReach = 3
	maxGuesses = 4 // the number before, two fits, and one to what stands beside
	paces      = 3
	maxBeside  = 3

	// maxLearnt bounds numbers, for float64 to have room.
	maxLearnt = 1 << 40
	maxStep   = 1e9 // from the number before to a guess

	sharing    = 0.03 // of the weights, between all
	unlikely   = 1e-6 // of a probability, for what no table expects
	pairsLeast = 1e-5 // likewise, for the weights of pairs
	levelPart  = 1. / 16
	probBits   = 16 // binary places of odds
)

// decisions are told apart by what they are about.
const (
	decideSame = 0  // that it is the number in the middle, by repeats and where that lies
	decideSide = 9  // that it is above
	decideNear = 12 // that it is no farther, by how often that was asked
	decisions  = 20
)

// record is how often of two outcomes the one came that was thought the less
// likely, and how often it was expected.
type record struct{ came, expected float64 }

const (
	recordFirst = 2.0
	recordKeeps = 0.995
)

// speeds are how quickly a guess of the distance follows.
var speeds = [paces]float64{0.8, 0.2, 0.025}

var errLearnt = errors.New("a number is out of range")

// tail is what lies beyond so many steps in Student's distribution of three degrees
// of freedom.
var tail = func() (out [shapeSpan*shapeSteps + 1]float64) {
	for i, v := range shapes[shapeStudent] {
		out[i] = float64(v) / shapeOne
	}
	return out
}()

// beyond returns what lies above z steps from the middle.
func beyond(z float64) float64 {
	at, part := math.Abs(z), 0.0
	if at < shapeSpan*shapeSteps {
		i := int(at)
		part = tail[i] + float64((tail[i+1]-tail[i])*(at-float64(i)))
	}
	if z < 0 {
		return 1 - part
	}
	return part
}

// newLearner begins with the first number, which is 0; neighbours are usual far
// apart, and beside is what stands beside, from 0 on and of about the same spread.
func newLearner(usual float64, beside [][]float64) *learner {
	n := len(beside)
	l := &learner{beside: beside, usual: usual, count: 1, guesses: 3}
	start := 10 / (float64(usual*usual) + 1)
	l.fits[0] = newSquares(longReach+1+3*n, 0.999, start)
	l.fits[1] = newSquares(shortReach+1+3*n, 0.98, start)
	if n > 0 {
		l.level = newSquares(1+n+n*(n+1)/2, 0.9995, 100)
		l.guesses = 4
	}
	l.pairs = l.guesses * paces
	for k := range l.pairs {
		l.far[k/paces][k%paces] = usual + 0.1
		l.weights[k] = 1 / float64(l.pairs)
	}
	return l
}

// expect guesses number i.
func (l *learner) expect(i int) {
	last := float64(l.last)
	l.guess[0] = last
	for k := range l.fits {
		x := l.fits[k].x
		n := copy(x[:len(x)-1-3*len(l.beside)], l.steps[:])
		x[n] = float64(last * levelPart)
		x = x[n+1:]
		for _, b := range l.beside {
			x[0], x[1], x[2] = b[i]-b[i-1], b[i-1]-b[max(i-2, 0)], float64(b[i]*levelPart)
			x = x[3:]
		}
		l.guess[1+k] = last + l.fits[k].predict()
	}
	if len(l.beside) > 0 {
		l.guess[3] = l.byLevel(i)
	}
	for k := range l.pairs {
		p := k / paces
		if d := l.guess[p] - last; !(d > -maxStep && d < maxStep) { // also NaN
			l.guess[p] = last
		}
		l.slope[k] = shapeSteps / (float64(l.far[p][k%paces]*1.25) + 0.04)
	}
}

// byLevel guesses number i from what stands beside it, its squares and products.
func (l *learner) byLevel(i int) float64 {
	by := 1 / float64(l.usual*30)
	x := l.level.x
	x[0], x = 1, x[1:]
	for k, b := range l.beside {
		v := float64(b[i] * by)
		x[0], x = v, x[1:]
		for _, c := range l.beside[k:] {
			x[0], x = float64(v*float64(c[i]*by)), x[1:]
		}
	}
	return l.level.predict()
}

// next codes number i, which is v, or, where c reads, whatever comes.
func (l *learner) next(c *Bits, i int, v int64) (int64, error) {
	l.expect(i)
	mean, spread := 0.0, 0.0
	for k, w := range l.weights[:l.pairs] {
		mean += float64(w * l.guess[k/paces])
		spread += float64(w * l.far[k/paces][k%paces])
	}
	middle := int64(math.Floor(mean + 0.5))
	third := min(int(float64((mean+0.5-float64(middle))*3)), 2)
	above, below := l.from(middle, 1, 1), l.from(middle, -1, 1)
	if !l.decide(c, decideSame+3*l.same+third, 1-above-below, v == middle) {
		side, rest, off := int64(-1), below, middle-v
		if l.decide(c, decideSide+third, (above+unlikely)/(above+below+2*unlikely), v > middle) {
			side, rest, off = 1, above, v-middle
		}
		off, err := l.distance(c, middle, side, rest, spread, off)
		if err != nil {
			return 0, err
		}
		middle += side * off
	}
	if middle > maxLearnt || middle < -maxLearnt {
		return 0, errLearnt
	}
	l.learn(middle)
	return middle, nil
}

// distance codes how far off a number is on a side, at least 1, where rest is what
// lies there: in ranges, the first of which is about as wide as half the spread.
func (l *learner) distance(c *Bits, middle, side int64, rest, spread float64, off int64) (int64, error) {
	width := int64(1)
	for float64(width)*2 < spread && width < maxLearnt {
		width *= 2
	}
	for k, least := 0, int64(1); least < 2*maxLearnt; k++ {
		next := l.from(middle, side, least+width)
		if l.decide(c, decideNear+min(k, decisions-decideNear-1), (rest-next+unlikely)/(rest+2*unlikely), off < least+width) {
			return l.within(c, middle, side, least, width, rest, next, off), nil
		}
		rest, least = next, least+width
		if k > 0 {
			width *= 2
		}
	}
	return 0, errLearnt
}

// within codes which of the width distances from least on off is, of which the
// parts near and far begin and end.
func (l *learner) within(c *Bits, middle, side, least, width int64, near, far float64, off int64) int64 {
	for width > 1 {
		width /= 2
		half := l.from(middle, side, least+width)
		if c.likely(chance((near-half+unlikely/10)/(near-far+unlikely/5)), off < least+width) {
			far = half
		} else {
			near, least = half, least+width
		}
	}
	return least
}

// from returns what lies so far from a number on a side, and farther.
func (l *learner) from(middle, side, distance int64) float64 {
	sign := float64(side)
	border := float64(middle+side*distance) - float64(sign/2)
	sum := 0.0
	for k, w := range l.weights[:l.pairs] {
		z := float64(float64((border-l.guess[k/paces])*sign) * l.slope[k])
		sum += float64(w * beyond(z))
	}
	return sum
}

// decide codes a decision that is thought to come out true with probability p.
func (l *learner) decide(c *Bits, kind int, p float64, is bool) bool {
	p = max(1./(1<<probBits), min(1-1./(1<<probBits), p))
	flip := p > 0.5
	if flip {
		p = 1 - p
	}
	r := &l.went[kind][bits.Len32(uint32(p*(1<<probBits)))%probBits]
	q := min(float64(p*((r.came+recordFirst)/(r.expected+recordFirst))), 0.9)
	if flip {
		q = 1 - q
	}
	is = c.likely(chance(q), is)
	r.came = float64(r.came * recordKeeps)
	r.expected = float64(r.expected*recordKeeps) + p
	if is != flip {
		r.came++
	}
	return is
}

// chance returns a probability as odds.
func chance(p float64) uint32 {
	const least = 2
	if !(p > least/float64(1<<probBits)) { // also NaN
		return least
	}
	return min(uint32(min(p, 1)*(1<<probBits)), 1<<probBits-least)
}

// learn takes in a number.
func (l *learner) learn(v int64) {
	x := float64(v)
	l.weigh(x)
	first := 1 / float64(l.count+1)
	for g := range l.guesses {
		off := math.Abs(x - l.guess[g])
		for k, far := range l.far[g] {
			l.far[g][k] = far + float64((min(off, float64(20*far)+20)-far)*max(speeds[k], first))
		}
	}
	// What is far off moves what was learnt no farther than what is just unusual.
	cut := float64(8*l.far[1][paces-1]) + 2
	for k := range l.fits {
		l.fits[k].learn(max(-cut, min(cut, x-l.guess[1+k])))
	}
	if len(l.beside) > 0 {
		l.level.learn(x - l.guess[3])
	}
	cut = float64(12*l.far[0][paces-1]) + 2
	copy(l.steps[1:], l.steps[:])
	l.steps[0] = max(-cut, min(cut, x-float64(l.last)))
	if l.same = min(l.same+1, 2); v != l.last {
		l.same = 0
	}
	l.last = v
	l.count++
}

// weigh gives the pairs that have foretold a number more weight.
func (l *learner) weigh(x float64) {
	sum := 0.0
	for k, w := range l.weights[:l.pairs] {
		z, half := float64((x-l.guess[k/paces])*l.slope[k]), float64(l.slope[k]/2)
		l.weights[k] = float64(w * (beyond(z-half) - beyond(z+half) + pairsLeast))
		sum += l.weights[k]
	}
	keep, share := (1-sharing)/sum, sharing/float64(l.pairs)
	for k, w := range l.weights[:l.pairs] {
		l.weights[k] = float64(w*keep) + share
	}
}
