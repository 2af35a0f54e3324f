package winograd

import "math"

// Machine emits instructions on registers that hold vectors, for a processor; the result comes first.
type Machine[R any] interface {
	Add(dst, x, y R)                  // x + y
	Subtract(dst, x, y R)             // x - y
	Multiply(dst, x R, by float64)    // by*x
	AddMultiple(dst, x R, by float64) // dst + by*x
	Copy(dst, x R)                    // x
	Clear(dst R)                      // 0
	Store(row int, value R)           // done with a row
}

// Evaluate emits the products of all rows of a matrix with the vectors in, one a column, which it may overwrite.
// Constants other than 0, 1 and -1 cost a multiplication; rows of points +-p share their even and odd halves.
// temporaries are three more registers.
func Evaluate[R any](matrix [][]float64, in []R, temporaries [3]R, m Machine[R]) {
	e := evaluation[R]{m, in}
	rows, cols := len(matrix), len(matrix[0])
	all, same, other := []int{}, []int{}, []int{}
	for j := range cols {
		all = append(all, j)
	}
	x, y, z := temporaries[0], temporaries[1], temporaries[2]
	matrix = e.foldColumns(matrix, x)
	done := make([]bool, rows)
	for i := range rows {
		if done[i] {
			continue
		}
		done[i] = true
		if i+1 < rows && cols > 2 {
			same, other = same[:0], other[:0]
			pair := true
			for j := range cols {
				a, b := matrix[i][j], matrix[i+1][j]
				switch {
				case a == b:
					same = append(same, j)
				case math.Abs(a) == math.Abs(b):
					other = append(other, j)
				default:
					pair = false
				}
			}
			if pair && nonzero(matrix[i], same) > 0 && nonzero(matrix[i], other) > 0 && nonzero(matrix[i], all) > 2 {
				p, q := e.combine(matrix[i], same, x), e.combine(matrix[i], other, y)
				m.Add(z, p, q)
				m.Store(i, z)
				m.Subtract(x, p, q)
				m.Store(i+1, x)
				done[i+1] = true
				continue
			}
		}
		m.Store(i, e.combine(matrix[i], all, x))
	}
}

type evaluation[R any] struct {
	m  Machine[R]
	in []R
}

// combine returns a register that holds sum coefs[i]*in[i] over the given columns: dst or one of in.
func (e *evaluation[R]) combine(coefs []float64, cols []int, dst R) R {
	var terms []int
	for _, i := range cols {
		if coefs[i] != 0 {
			terms = append(terms, i)
		}
	}
	if len(terms) == 0 {
		e.m.Clear(dst)
		return dst
	}
	first := terms[0]
	for _, i := range terms {
		if coefs[i] == 1 {
			first = i
			break
		}
	}
	sum, owned := e.in[first], false
	if coefs[first] != 1 {
		e.m.Multiply(dst, e.in[first], coefs[first])
		sum, owned = dst, true
	}
	for _, i := range terms {
		if i == first {
			continue
		}
		switch coefs[i] {
		case 1:
			e.m.Add(dst, sum, e.in[i])
		case -1:
			e.m.Subtract(dst, sum, e.in[i])
		default:
			if !owned {
				e.m.Copy(dst, sum)
			}
			e.m.AddMultiple(dst, e.in[i], coefs[i])
		}
		sum, owned = dst, true
	}
	return sum
}

// foldColumns replaces neighbouring inputs whose coefficients agree up to sign in every row by their sum and
// difference.
func (e *evaluation[R]) foldColumns(matrix [][]float64, tmp R) [][]float64 {
	folded := make([][]float64, len(matrix))
	for i, row := range matrix {
		folded[i] = append([]float64{}, row...)
	}
	for j := 0; j+1 < len(matrix[0]); j++ {
		agree, used := true, 0
		for _, row := range matrix {
			agree = agree && math.Abs(row[j]) == math.Abs(row[j+1])
			if row[j] != 0 {
				used++
			}
		}
		if !agree || used < 3 {
			continue
		}
		e.m.Add(tmp, e.in[j], e.in[j+1])
		e.m.Subtract(e.in[j+1], e.in[j], e.in[j+1])
		e.m.Copy(e.in[j], tmp)
		for i, row := range matrix {
			if row[j] == row[j+1] {
				folded[i][j+1] = 0
			} else {
				folded[i][j], folded[i][j+1] = 0, row[j]
			}
		}
		j++
	}
	return folded
}

func nonzero(row []float64, cols []int) (n int) {
	for _, j := range cols {
		if row[j] != 0 {
			n++
		}
	}
	return n
}
