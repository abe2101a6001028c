package chart

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"rehearsal/internal/lang"
)

// An ink is what something is drawn with: a list of classes of CSS. gonum/plot knows
// colours only, so that an ink goes through it as one, whose red is the ink and whose
// green is the text's anchor, and becomes classes when the SVG is written.
type ink uint8

const (
	_              ink = iota // black is what vgsvg does not write
	text                      // letters
	quiet                     // letters that need not be read first
	bold                      // letters that are read first
	axis                      // thin
	measuredLine              // of what was measured
	predictedLine             // and predicted
	measuredMinor             // the lesser of two
	predictedMinor            // and predicted
	measuredBad               // of failing
	predictedBad              // and predicted
	measuredMark              // a vertical line
	predictedMark             // and predicted
	unknown                   // dotted: no data
	solid                     // filled
	solidNew
	solidBad
	solidGood
	shade // a quiet area
	shadeMore
	shadeNew
	shadeBad
	lineNew
	lineNewPredicted
	outline
)

var classes = [...]string{
	text: "", quiet: "q", bold: "b", axis: "a",
	measuredLine: "", predictedLine: "d", measuredMinor: "u", predictedMinor: "u d", measuredBad: "x", predictedBad: "x d",
	measuredMark: "v", predictedMark: "v d", unknown: "o",
	solid: "f", solidNew: "fn", solidBad: "fx", solidGood: "fg", shade: "k", shadeMore: "k1", shadeNew: "kn", shadeBad: "kx",
	lineNew: "n w", lineNewPredicted: "n d", outline: "u",
}

// The anchors of a text.
const (
	start = iota
	end
	middle
)

func (i ink) color() color.Color            { return i.at(start) }
func (i ink) at(anchor uint8) color.Color   { return color.RGBA{uint8(i), anchor, 0, 255} }
func (i ink) stroke() draw.LineStyle        { return draw.LineStyle{Color: i.color(), Width: 1} }
func plain(s string, cols int) (cut string) { return cutTo(lang.Clean(s), cols) }

// A canvas draws with y from the top, in whole units.
type canvas struct {
	*vgsvg.Canvas
	width, height vg.Length
	face          font.Face
}

// width of every timeline and plan. Their height is as it comes.
const width = 600

func newCanvas(width, height float64) (*canvas, draw.Canvas) {
	c := &canvas{vgsvg.New(vg.Length(width), vg.Length(height)), vg.Length(width), vg.Length(height), font.DefaultCache.Lookup(font.Font{Typeface: "Liberation", Variant: "Sans"}, 10)}
	return c, draw.NewCanvas(c, vg.Length(width), vg.Length(height))
}

// whole rounds to units, and turns y around: vgsvg turns it around for everything, which
// texts then have to undo one by one.
func (c *canvas) whole(p vg.Point) vg.Point {
	return vg.Point{X: vg.Length(math.Round(float64(p.X))), Y: vg.Length(math.Round(float64(c.height - p.Y)))}
}

func (c *canvas) wholePath(p vg.Path) vg.Path {
	out := make(vg.Path, len(p))
	for i, comp := range p {
		comp.Pos = c.whole(comp.Pos)
		out[i] = comp
	}
	return out
}

func (c *canvas) Stroke(p vg.Path) { c.Canvas.Stroke(c.wholePath(p)) }
func (c *canvas) Fill(p vg.Path)   { c.Canvas.Fill(c.wholePath(p)) }

// write puts letters at x and y from the top.
func (c *canvas) write(i ink, anchor uint8, x, y float64, s string) {
	if s = lang.Clean(strings.ToValidUTF8(s, "�")); s == "" {
		return
	}
	c.SetColor(i.at(anchor))
	c.FillString(c.face, vg.Point{X: vg.Length(math.Round(x)), Y: vg.Length(-math.Round(y))}, s)
}

// path strokes or fills a path of points, x and y from the top in turn.
func (c *canvas) path(i ink, filled bool, xy ...float64) {
	var p vg.Path
	for n := 0; n+1 < len(xy); n += 2 {
		at := vg.Point{X: vg.Length(xy[n]), Y: c.height - vg.Length(xy[n+1])}
		if n == 0 {
			p.Move(at)
		} else {
			p.Line(at)
		}
	}
	c.SetColor(i.color())
	if filled {
		p.Close()
		c.Fill(p)
		return
	}
	c.SetLineWidth(1)
	c.Stroke(p)
}

func (c *canvas) box(i ink, filled bool, x0, y0, x1, y1 float64) {
	if filled {
		c.path(i, true, x0, y0, x1, y0, x1, y1, x0, y1)
		return
	}
	c.path(i, false, x0, y0, x1, y0, x1, y1, x0, y1, x0, y0)
}

// tall is how tall a canvas is until it is known how far it is drawn: y is from the top,
// so that the rest is cut off.
const tall = 100_000

// svg is the drawing down to height as part of a page: an svg element with a name and a
// description, of a class beside that of all charts (or ""), whose colours are classes and
// whose paths are short. What was drawn on the
// canvases behind comes first.
func (c *canvas) svg(class, title, description string, height float64, behind ...*canvas) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="%s" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img"><title>%s</title><desc>%s</desc>`,
		strings.TrimRight("chart "+class, " "), int(c.width), int(height), escape(title), escape(description))
	for _, c := range append(behind, c) {
		if err := c.body(&b); err != nil {
			return "", err
		}
	}
	b.WriteString("</svg>")
	return b.String(), nil
}

// body writes the elements of a drawing. vgsvg writes one in a line or two, with what
// says how it looks in its last attribute, style, and turns all of it around.
func (c *canvas) body(out *strings.Builder) error {
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	_, body, ok := strings.Cut(b.String(), "<g transform=")
	_, body, ok2 := strings.Cut(body, ">\n")
	body, ok3 := strings.CutSuffix(body, "</g>\n</svg>\n")
	if !ok || !ok2 || !ok3 {
		return fmt.Errorf("this is not how gonum/plot writes SVG: %.80q", b.String())
	}
	body = strings.NewReplacer(` transform="scale(1, -1)"`, "", "\n\t", " ", "\n", "", " />", "/>").Replace(body)
	for {
		before, rest, styled := strings.Cut(body, ` style="`)
		before, path, drawn := strings.Cut(before, ` d="`)
		out.WriteString(before)
		if drawn {
			d, after, _ := strings.Cut(path, `"`)
			fmt.Fprintf(out, ` d="%s"%s`, shortPath(d), after)
		}
		if !styled {
			return nil
		}
		style, rest, _ := strings.Cut(rest, `"`)
		if class := classOf(style); class != "" {
			fmt.Fprintf(out, ` class="%s"`, class)
		}
		body = rest
	}
}

// classOf is the classes of a style, which are in its colour.
func classOf(style string) string {
	_, rgb, ok := strings.Cut(style, "#")
	if !ok || len(rgb) < 4 {
		return ""
	}
	i, err := strconv.ParseUint(rgb[:2], 16, 8)
	if err != nil || int(i) >= len(classes) {
		return ""
	}
	return strings.TrimSpace(classes[i] + map[string]string{"01": " e", "02": " c"}[rgb[2:4]])
}

// shortPath writes "M1,2L1,9L5,9L7,9Z" as "M1 2V9H7Z": points that are in one line with
// their neighbours are left out.
func shortPath(d string) string {
	var b strings.Builder
	type point struct{ x, y int }
	var run []point
	flush := func() {
		kept := run[:0:0]
		for i, p := range run {
			if n := len(kept); n > 0 && kept[n-1] == p {
				continue
			} else if n > 1 && i > 0 && within(kept[n-2].x, kept[n-1].x, p.x) && within(kept[n-2].y, kept[n-1].y, p.y) &&
				(kept[n-1].x-kept[n-2].x)*(p.y-kept[n-1].y) == (p.x-kept[n-1].x)*(kept[n-1].y-kept[n-2].y) {
				kept[n-1] = p
				continue
			}
			kept = append(kept, p)
		}
		for i, p := range kept {
			switch {
			case i == 0:
				fmt.Fprintf(&b, "M%d %d", p.x, p.y)
			case p.y == kept[i-1].y:
				fmt.Fprintf(&b, "H%d", p.x)
			case p.x == kept[i-1].x:
				fmt.Fprintf(&b, "V%d", p.y)
			default:
				fmt.Fprintf(&b, "L%d %d", p.x, p.y)
			}
		}
		if len(kept) == 1 { // a point, which only a line of some length shows
			fmt.Fprintf(&b, "h1")
		}
		run = nil
	}
	for _, part := range strings.FieldsFunc(strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(d, "M", "|M"), "L", "|L"), "Z", "|Z"), func(r rune) bool { return r == '|' }) {
		if part == "Z" {
			flush()
			b.WriteByte('Z')
			continue
		}
		if part[0] == 'M' && len(run) > 0 {
			flush()
		}
		xs, ys, _ := strings.Cut(part[1:], ",")
		x, _ := strconv.ParseFloat(xs, 64)
		y, _ := strconv.ParseFloat(ys, 64)
		run = append(run, point{int(x), int(y)})
	}
	if len(run) > 0 {
		flush()
	}
	return b.String()
}

// within says whether b lies from a to c.
func within(a, b, c int) bool { return min(a, c) <= b && b <= max(a, c) }

// column is how wide a column of letters may be: of the larger letters.
const column = 9.3

// wide is how wide a text is at most.
func wide(s string) float64 { return column * float64(lang.Columns(s)) }

// cutTo shortens s to cols columns; what is cut off shows as a dot.
func cutTo(s string, cols int) string {
	if lang.Columns(s) <= cols {
		return s
	}
	return lang.Cut(s, max(cols-1, 0)) + "…"
}
