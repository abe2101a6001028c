package compare

import (
	"cmp"
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// shapes tell the plans apart without colour; there are seven, and after them the
// names beside the points do.
var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.CrossGlyph{}, draw.PlusGlyph{}, draw.RingGlyph{}, draw.BoxGlyph{},
}

// Chart draws the plans by how long they take and what they lose, as SVG: each with its
// name and the bounds of what it loses, and the Pareto front as a line of steps. It is
// black on white.
func (r *Result) Chart(w io.Writer) error {
	shown := slices.DeleteFunc(slices.Clone(r.Costs), func(c *Costs) bool { return c.Length.N == 0 || c.Lost.N == 0 })
	if len(shown) == 0 {
		return fmt.Errorf("no plan has both a length and a loss in %d releases: try more, or a mix with good and bad versions", r.Releases)
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("What releases cost: %s by %s (seed %d)\nbars: 95 %% bounds; dashed: the Pareto front", plural(r.Releases, "release"), each(len(r.Costs)), r.Seed)
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text = "length of the release of a good version (minutes)"
	p.Y.Label.Text = "requests lost by a bad version"
	p.Add(plotter.NewGrid())
	slices.SortStableFunc(shown, func(a, b *Costs) int { return cmp.Compare(a.Length.Value, b.Length.Value) })

	var front plotter.XYs
	for _, c := range shown {
		if c.Front {
			if n := len(front); n > 0 {
				front = append(front, plotter.XY{X: c.Length.Value / 60, Y: front[n-1].Y})
			}
			front = append(front, plotter.XY{X: c.Length.Value / 60, Y: c.Lost.Value})
		}
	}
	line, err := plotter.NewLine(front)
	if err != nil {
		return err
	}
	line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(line)

	var labels plotter.XYLabels
	most, least := 0.0, math.Inf(1)
	for i, c := range shown {
		at := plotter.XY{X: c.Length.Value / 60, Y: c.Lost.Value}
		point, err := plotter.NewScatter(plotter.XYs{at})
		if err != nil {
			return err
		}
		point.GlyphStyle = draw.GlyphStyle{Color: color.Black, Radius: vg.Points(4), Shape: shapes[i%len(shapes)]}
		bars, err := plotter.NewYErrorBars(struct {
			plotter.XYs
			plotter.YErrors
		}{plotter.XYs{at}, plotter.YErrors{{Low: c.Lost.Low - c.Lost.Value, High: c.Lost.High - c.Lost.Value}}})
		if err != nil {
			return err
		}
		p.Add(bars, point)
		labels.XYs = append(labels.XYs, at)
		labels.Labels = append(labels.Labels, c.Plan.Name)
		most, least = max(most, c.Lost.High), min(least, c.Lost.Low)
	}
	longest := shown[len(shown)-1].Length.Value / 60
	p.X.Min, p.X.Max = 0, math.Max(longest*1.25, 1) // room for the last name
	p.Y.Min, p.Y.Max = 0, math.Max(most*1.1, 1)
	height := func(y float64) float64 { return y / p.Y.Max }
	back := func(h float64) float64 { return h * p.Y.Max }
	if least > 0 && most > 10*least {
		p.Y.Label.Text += " (log scale)"
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		p.Y.Min, p.Y.Max = math.Min(least*0.7, math.Pow(10, math.Floor(math.Log10(most)))), most*1.4 // one whole power of ten, to read by
		decades := math.Log10(p.Y.Max / p.Y.Min)
		height = func(y float64) float64 { return math.Log10(y/p.Y.Min) / decades }
		back = func(h float64) float64 { return p.Y.Min * math.Pow(10, h*decades) }
	}
	spread(labels.XYs, p.X.Max, height, back)
	text, err := plotter.NewLabels(labels)
	if err != nil {
		return err
	}
	text.Offset = vg.Point{X: vg.Points(8), Y: vg.Points(2)}
	p.Add(text)

	canvas := vgsvg.New(20*vg.Centimeter, 13*vg.Centimeter)
	p.Draw(draw.New(canvas))
	_, err = canvas.WriteTo(w)
	return err
}

// spread moves names apart that would be written over each other: those that stand less
// than a quarter of the width beside each other and less than a line above.
func spread(names plotter.XYs, width float64, height func(float64) float64, back func(float64) float64) {
	const line = 0.045 // of the chart's height
	order := make([]int, len(names))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(names[a].Y, names[b].Y) })
	for n, i := range order {
		for _, j := range order[:n] {
			if math.Abs(names[i].X-names[j].X) < width/4 && height(names[i].Y)-height(names[j].Y) < line {
				names[i].Y = back(height(names[j].Y) + line)
			}
		}
	}
}
