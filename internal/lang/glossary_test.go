package lang_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/lang"
)

func TestTheGlossaryOfTheDocumentsIsTheOneInTheCode(t *testing.T) {
	doc, err := os.ReadFile("../../docs/layout.md")
	require.NoError(t, err)
	table := "| word | 日本語 | meaning |\n| --- | --- | --- |\n"
	for _, w := range lang.Glossary() {
		japanese := w.Japanese + " "
		if w.Japanese == "" {
			japanese = ""
		}
		table += fmt.Sprintf("| %s | %s| %s |\n", w.English, japanese, w.Meaning(lang.English))
	}
	assert.Contains(t, string(doc), table, "write the same words in docs/layout.md and in internal/lang/glossary.go")
}

func TestTheGlossaryIsInJapaneseToo(t *testing.T) {
	for _, w := range lang.Glossary() {
		assert.NotEqual(t, w.Meaning(lang.English), w.Meaning(lang.Japanese), "%s: its meaning is in no catalogue", w.English)
	}
}
