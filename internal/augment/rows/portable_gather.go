package rows

func locatePortable(p *Places, l *Line) {
	z0, y0, x0 := l.Base[0], l.Base[1], l.Base[2]
	zn, yn, xn := float64(l.Size[0]-1), float64(l.Size[1]-1), float64(l.Size[2]-1)
	displaced := l.Displacement[0] != nil
	fz, fy, fx := p.F[0][:len(p.Start)], p.F[1][:len(p.Start)], p.F[2][:len(p.Start)]
	for i := range p.Start {
		at := l.First + float64(i)
		z := (z0 + at*l.Step[0])
		y := (y0 + at*l.Step[1])
		x := (x0 + at*l.Step[2])
		if displaced {
			dz, dy, dx := l.Displacement[0][i], l.Displacement[1][i], l.Displacement[2][i]
			z += float64(dz*l.Matrix[0][0] + dy*l.Matrix[1][0] + dx*l.Matrix[2][0])
			y += float64(dz*l.Matrix[0][1] + dy*l.Matrix[1][1] + dx*l.Matrix[2][1])
			x += float64(dz*l.Matrix[0][2] + dy*l.Matrix[1][2] + dx*l.Matrix[2][2])
		}
		z += l.Center[0]
		y += l.Center[1]
		x += l.Center[2]
		if !(z >= 0 && z <= zn && y >= 0 && y <= yn && x >= 0 && x <= xn) {
			p.Start[i] = -1
			continue
		}
		iz, iy, ix := int(z), int(y), int(x)
		fz[i], fy[i], fx[i] = float32(z-float64(iz)), float32(y-float64(iy)), float32(x-float64(ix))
		p.Start[i] = int32(iz*l.PlaneStride + iy*l.RowStride + ix)
	}
}

func cubicPortable(p *Places, dst [][]float32, coefficients []float32, rowStride, planeStride int) {
	channels := len(dst)
	planes := 4
	if planeStride == 0 {
		planes = 1
	}
	rowStride *= channels
	planeStride *= channels
	for i, start := range p.Start {
		if start < 0 {
			for c := range dst {
				dst[c][i] = 0
			}
			continue
		}
		wz := [4]float32{1}
		if planes > 1 {
			wz = BSpline(p.F[0][i])
		}
		wy, wx := BSpline(p.F[1][i]), BSpline(p.F[2][i])
		for c := range dst {
			var sum float32
			plane := coefficients[int(start)*channels+c:]
			for kz, z := range wz[:planes] {
				var flat float32
				for ky, y := range wy {
					row := plane[kz*planeStride+ky*rowStride:][:3*channels+1]
					flat += y * (wx[0]*row[0] + wx[1]*row[channels] + wx[2]*row[2*channels] + wx[3]*row[3*channels])
				}
				sum += z * flat
			}
			dst[c][i] = sum
		}
	}
}

// BSpline returns the weights of the four cubic B-splines at position f, 0 <= f <= 1, between the middle two.
func BSpline(f float32) [4]float32 {
	g := 1 - f
	return [4]float32{
		g * g * g / 6,
		(4 + f*f*(3*f-6)) / 6,
		(4 + g*g*(3*g-6)) / 6,
		f * f * f / 6,
	}
}
