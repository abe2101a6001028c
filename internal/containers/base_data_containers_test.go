//go:build containers

package containers

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"rehearsal/internal/stage"
)

// What a database's image makes at its first start is made once, and each copy of the
// database begins with it, and with nothing that another copy wrote.
func TestADatabaseBeginsWithWhatItsFirstStartMade(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	init := t.TempDir()
	require.NoError(t, os.Chmod(init, 0o755))
	first := filepath.Join(init, "01.sql")
	require.NoError(t, os.WriteFile(first, []byte("CREATE TABLE made (at varchar(40)); INSERT INTO made VALUES (CURRENT_TIMESTAMP);"), 0o644))
	for name, c := range map[string]struct {
		image, environment, data string
		d                        stage.Dependency
		variable                 string
	}{
		"MariaDB": {"mariadb:10.11", "{MARIADB_ROOT_PASSWORD: root, MARIADB_DATABASE: orders, MARIADB_USER: shop, MARIADB_PASSWORD: shop}", "/var/lib/mysql",
			stage.Dependency{Name: "db", Kind: stage.MySQL, Port: 3306, URLFrom: "DATABASE"}, "shop:shop@tcp(db:3306)/orders"},
		"PostgreSQL": {"postgres:17", "{POSTGRES_USER: shop, POSTGRES_PASSWORD: shop}", "/var/lib/postgresql/data",
			stage.Dependency{Name: "db", Kind: stage.Postgres, Port: 5432, URLFrom: "DATABASE"}, "postgres://shop:shop@db:5432/shop?sslmode=disable"},
	} {
		t.Run(name, func(t *testing.T) {
			raise := func(volume string) (made func() string, s *Stage) {
				s, err := raiseDependencies(t, `
services:
  app:
    image: redis:7
    environment: {DATABASE: "`+c.variable+`"}
  db:
    image: `+c.image+`
    environment: `+c.environment+`
    volumes: [`+init+`:/docker-entrypoint-initdb.d:ro`+volume+`]
volumes: {data: {}}
`, stage.Setup{Versions: map[string]stage.Version{"v1": {Name: "v1", Image: "redis:7"}}, Dependencies: []stage.Dependency{c.d}}, c.image)
				require.NoError(t, err)
				return func() string {
					a, err := s.queryDatabase(t.Context(), c.d, s.directPath(c.d), s.releasedEnvironment(nil), "SELECT min(at), count(*) FROM made")
					require.NoError(t, err)
					return strings.Join(a.Rows[0], " ")
				}, s
			}
			made, s := raise("")
			was := made()
			require.True(t, strings.HasSuffix(was, " 1"), was)
			_, err := s.queryDatabase(t.Context(), c.d, s.directPath(c.d), s.releasedEnvironment(nil), "INSERT INTO made VALUES ('later')")
			require.NoError(t, err)
			require.NoError(t, s.Close(context.Background()))

			again, s := raise("")
			assert.Equal(t, was, again(), "the same moment, so the same data; and nothing of what was written since")
			require.NoError(t, s.Close(context.Background()))

			kept, err := filepath.Glob(filepath.Join(s.images.shop.Dir, "databases", "*", "0.tar"))
			require.NoError(t, err)
			require.NotEmpty(t, kept)
			for _, f := range kept {
				require.NoError(t, os.Truncate(f, 1000))
			}
			anew, s := raise("")
			assert.NotEqual(t, was, anew(), "half a template is none")
			require.NoError(t, s.Close(context.Background()))

			other, s := raise(", data:" + c.data)
			assert.True(t, strings.HasSuffix(other(), " 1"), "in a named volume too")
			require.NoError(t, s.Close(context.Background()))
		})
	}
}
