package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheVariablesOfTheOfficialImage(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("from a file\n"), 0o600))
	for name, c := range map[string]struct {
		environment map[string]string
		want        *wishes
		err         string
	}{
		"MariaDB's": {map[string]string{"MARIADB_ROOT_PASSWORD": "r", "MARIADB_DATABASE": "n", "MARIADB_USER": "u", "MARIADB_PASSWORD": "p"},
			&wishes{root: "r", rootHost: "%", database: "n", user: "u", password: "p"}, ""},
		"MySQL's": {map[string]string{"MYSQL_ROOT_PASSWORD": "r", "MYSQL_DATABASE": "n", "MYSQL_ROOT_HOST": "10.%"},
			&wishes{root: "r", rootHost: "10.%", database: "n"}, ""},
		"MariaDB's go first": {map[string]string{"MYSQL_ROOT_PASSWORD": "r", "MARIADB_ROOT_PASSWORD": "s"}, &wishes{root: "s", rootHost: "%"}, ""},
		"in a file":          {map[string]string{"MYSQL_ROOT_PASSWORD_FILE": secret}, &wishes{root: "from a file", rootHost: "%"}, ""},
		"both":               {map[string]string{"MYSQL_ROOT_PASSWORD_FILE": secret, "MYSQL_ROOT_PASSWORD": "r"}, nil, "MYSQL_ROOT_PASSWORD and MYSQL_ROOT_PASSWORD_FILE are set"},
		"in no file":         {map[string]string{"MYSQL_ROOT_PASSWORD_FILE": secret + "x"}, nil, "no such file"},
		"no password":        {map[string]string{"MYSQL_DATABASE": "n"}, nil, "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD"},
		"an empty one":       {map[string]string{"MYSQL_ALLOW_EMPTY_PASSWORD": "yes"}, &wishes{rootHost: "%"}, ""},
		"root again":         {map[string]string{"MYSQL_ROOT_PASSWORD": "r", "MYSQL_USER": "root", "MYSQL_PASSWORD": "p"}, nil, "cannot be used for the root user"},
		"half a user":        {map[string]string{"MYSQL_ROOT_PASSWORD": "r", "MYSQL_USER": "u"}, nil, "MARIADB_PASSWORD is not"},
		"the other half":     {map[string]string{"MYSQL_ROOT_PASSWORD": "r", "MYSQL_PASSWORD": "p"}, nil, "MARIADB_USER is not"},
	} {
		w, err := readWishes(func(name string) string { return c.environment[name] })
		if c.err != "" {
			assert.ErrorContains(t, err, c.err, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.want, w, name)
	}
	w, err := readWishes(func(name string) string { return map[string]string{"MARIADB_RANDOM_ROOT_PASSWORD": "1"}[name] })
	require.NoError(t, err)
	assert.Greater(t, len(w.root), 20)
}

func TestStatementsAreQuoted(t *testing.T) {
	w := &wishes{root: `it's \ "hard"`, rootHost: "%", database: "or_ders`", user: "o'brien", password: "p\nq"}
	said := w.statements()
	for _, want := range []string{
		`SET PASSWORD FOR 'root'@'localhost' = PASSWORD('it\'s \\ "hard"');`,
		"CREATE DATABASE IF NOT EXISTS `or_ders```;",
		`CREATE USER 'o\'brien'@'%' IDENTIFIED BY 'p\nq';`,
		"GRANT ALL ON `or\\_ders```.* TO 'o\\'brien'@'%';",
	} {
		assert.Contains(t, said, want)
	}
	assert.NotContains(t, (&wishes{rootHost: "localhost"}).statements(), "CREATE USER")
}
