package page

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
)

// together is how many scenarios share a chunk: so many timelines are within reach of
// each other for gzip, which looks back 32 KiB, and opening one inflates little.
const together = 25

// pack puts the timelines of packed scenarios, and what was printed, into chunks of JSON,
// gzip and base64, which the page's script inflates when one is opened.
func (v *view) pack(pages *template.Template, all []*scenarioView) error {
	var items []string
	flush := func() error {
		if len(items) == 0 {
			return nil
		}
		text, err := json.Marshal(items)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := z.Write(text); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
		v.Chunks = append(v.Chunks, template.HTML(fmt.Sprintf("<script type=\"application/gzip\" id=\"c%d\">%s</script>", len(v.Chunks), base64.StdEncoding.EncodeToString(b.Bytes())))) //nolint:gosec // base64
		items = nil
		return nil
	}
	for _, s := range all {
		if !s.Packed {
			continue
		}
		var b strings.Builder
		if err := pages.ExecuteTemplate(&b, "pictures", s); err != nil {
			return err
		}
		s.Chunk, s.Item = len(v.Chunks), len(items)
		// What is inflated does not pass by the page's writer any more.
		items = append(items, strings.Map(visible, strings.ToValidUTF8(b.String(), "�")))
		v.HasPacked = true
		if len(items) == together {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
