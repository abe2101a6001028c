// Command mariadb starts MariaDB in the image that Rehearsal makes where the official
// one cannot be pulled. It does what the official image's docker-entrypoint.sh does, with
// the same variables, and needs nothing but the standard library:
//
//   - an empty /var/lib/mysql becomes a database with root's password
//     (MARIADB_ROOT_PASSWORD, MARIADB_ALLOW_EMPTY_ROOT_PASSWORD or
//     MARIADB_RANDOM_ROOT_PASSWORD), MARIADB_DATABASE, and MARIADB_USER with
//     MARIADB_PASSWORD, each also as MYSQL_..., and as ..._FILE. The system's tables
//     were made when the image was (`bake`), so that copying them is all there is to do;
//   - then the files of /docker-entrypoint-initdb.d run in order, on a server that
//     listens on its Unix socket only: *.sql, *.sql.gz, *.sh;
//   - then MariaDB replaces this process, as the user mysql.
//
// Under the name healthcheck.sh it asks, as the official image's script does with
// --connect, whether the server takes connections over TCP. The tables of time zones are
// empty.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	mysqlUID    = 999
	dataDir     = "/var/lib/mysql"
	socketDir   = "/run/mysqld"
	bakedDir    = "/usr/share/rehearsal/mysql"
	initScripts = "/docker-entrypoint-initdb.d"
	share       = "/usr/share/mysql/"
)

func main() {
	log.SetFlags(0)
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == "healthcheck.sh" {
		if err := listens(); err != nil {
			log.Fatal(err)
		}
		return
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		args = append([]string{"mariadbd"}, args...)
	}
	var err error
	switch args[0] {
	case "bake":
		if err := bake(); err != nil {
			log.Fatalf("Error: %v", err)
		}
		return
	case "mariadbd", "mysqld":
		err = start(args[1:])
	}
	if err != nil {
		log.Fatalf("[ERROR] [Entrypoint]: %v", err)
	}
	path, err := exec.LookPath(args[0])
	if err != nil {
		log.Fatalf("Error: %v", err)
	}
	log.Fatalf("Error: %s: %v", path, syscall.Exec(path, args, os.Environ()))
}

// listens says whether the server greets who connects over TCP.
func listens() error {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:3306", 5*time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	greeting := make([]byte, 5)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return err
	}
	if greeting[4] != 10 { // the version of the protocol; 255 is an error
		return errors.New("the server takes no connections")
	}
	return nil
}

// start makes the data ready, as the user mysql if this process may become it.
func start(args []string) error {
	for _, arg := range args {
		if arg == "--help" || arg == "-?" || arg == "--version" || arg == "-V" || arg == "--print-defaults" {
			return nil
		}
	}
	for _, dir := range []string{dataDir, socketDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if os.Getuid() == 0 {
			if err := chown(dir); err != nil {
				return err
			}
		}
	}
	if os.Getuid() == 0 {
		if err := errors.Join(syscall.Setgroups([]int{mysqlUID}), syscall.Setgid(mysqlUID), syscall.Setuid(mysqlUID)); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dataDir, "mysql")); err == nil {
		return nil
	}
	w, err := readWishes(os.Getenv)
	if err != nil {
		return err
	}
	if err := copyAll(bakedDir, dataDir); err != nil {
		return err
	}
	scripts, err := filepath.Glob(initScripts + "/*")
	if err != nil {
		return err
	}
	if err := w.carryOut(args, scripts); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "[Note] [Entrypoint]: MariaDB init process done. Ready for start up.")
	return nil
}

// chown gives everything below dir to mysql.
func chown(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, mysqlUID, mysqlUID)
	})
}

// wishes is what the variables ask for.
type wishes struct {
	root, rootHost, database, user, password string
}

// readWishes reads the variables: those of MariaDB, else those of MySQL.
func readWishes(getenv func(string) string) (*wishes, error) {
	read := func(names ...string) (string, error) {
		for _, name := range names {
			for _, prefix := range []string{"MARIADB_", "MYSQL_"} {
				value, file := getenv(prefix+name), getenv(prefix+name+"_FILE")
				if value != "" && file != "" {
					return "", fmt.Errorf("both %[1]s and %[1]s_FILE are set (but are exclusive)", prefix+name)
				}
				if file != "" {
					text, err := os.ReadFile(file)
					return strings.TrimRight(string(text), "\n"), err
				}
				if value != "" {
					return value, nil
				}
			}
		}
		return "", nil
	}
	w := &wishes{}
	var empty, random string
	var errs []error
	for field, names := range map[*string][]string{
		&w.root: {"ROOT_PASSWORD"}, &w.rootHost: {"ROOT_HOST"}, &w.database: {"DATABASE"}, &w.user: {"USER"}, &w.password: {"PASSWORD"},
		&empty: {"ALLOW_EMPTY_ROOT_PASSWORD", "ALLOW_EMPTY_PASSWORD"}, &random: {"RANDOM_ROOT_PASSWORD"},
	} {
		var err error
		*field, err = read(names...)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	switch {
	case w.root == "" && random != "":
		w.root = rand.Text()
		fmt.Fprintln(os.Stderr, "[Note] [Entrypoint]: GENERATED ROOT PASSWORD: "+w.root)
	case w.root == "" && empty == "":
		return nil, errors.New("database is uninitialized and password option is not specified\n" +
			"\tYou need to specify one of MARIADB_ROOT_PASSWORD, MARIADB_ALLOW_EMPTY_ROOT_PASSWORD and MARIADB_RANDOM_ROOT_PASSWORD")
	case w.user == "root":
		return nil, errors.New(`MARIADB_USER="root", MARIADB_USER cannot be used for the root user: use MARIADB_ROOT_PASSWORD`)
	case w.user == "" && w.password != "":
		return nil, errors.New("MARIADB_PASSWORD is set, and MARIADB_USER is not: the user cannot be created")
	case w.user != "" && w.password == "":
		return nil, errors.New("MARIADB_USER is set, and MARIADB_PASSWORD is not: the user cannot be created")
	}
	if w.rootHost == "" {
		w.rootHost = "%"
	}
	return w, nil
}

// statements bring the wishes about.
func (w *wishes) statements() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+";\n", args...) }
	say("SET @@SESSION.SQL_LOG_BIN=0")
	say("SET @@SESSION.SQL_MODE=REPLACE(@@SESSION.SQL_MODE, 'NO_BACKSLASH_ESCAPES', '')")
	say("DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root' AND Host <> 'localhost'")
	say("DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost'")
	say("FLUSH PRIVILEGES")
	say("SET PASSWORD FOR 'root'@'localhost' = PASSWORD(%s)", literal(w.root))
	if w.rootHost != "localhost" {
		say("CREATE USER 'root'@%s IDENTIFIED BY %s", literal(w.rootHost), literal(w.root))
		say("GRANT ALL ON *.* TO 'root'@%s WITH GRANT OPTION", literal(w.rootHost))
	}
	if w.database != "" {
		say("CREATE DATABASE IF NOT EXISTS %s", name(w.database))
	}
	if w.user != "" {
		say("CREATE USER %s@'%%' IDENTIFIED BY %s", literal(w.user), literal(w.password))
		if w.database != "" {
			say("GRANT ALL ON %s.* TO %s@'%%'", name(strings.NewReplacer("_", `\_`, "%", `\%`).Replace(w.database)), literal(w.user))
		}
	}
	return b.String()
}

func name(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\x00", `\0`).Replace(s) + "'"
}

// carryOut does what is wished and runs the files, with a server that only they reach.
func (w *wishes) carryOut(args, scripts []string) error {
	server := exec.Command("mariadbd", append(args, "--skip-networking", "--loose-innodb_buffer_pool_load_at_startup=0",
		"--skip-slave-start", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0")...)
	said, err := server.StderrPipe()
	if err != nil {
		return err
	}
	server.Stdout = os.Stdout
	if err := server.Start(); err != nil {
		return err
	}
	ready, ended := make(chan bool, 1), make(chan error, 1)
	go func() {
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			fmt.Fprintln(os.Stderr, lines.Text())
			if strings.Contains(lines.Text(), "ready for connections") {
				select {
				case ready <- true:
				default:
				}
			}
		}
		ended <- server.Wait()
	}()
	select {
	case <-ready:
	case err := <-ended:
		return fmt.Errorf("the server that prepares the database did not start: %w", err)
	}
	cmd := command(nil, "mariadb", "--no-defaults", "--user=root", "--socket="+socketDir+"/mysqld.sock", "--database=mysql")
	cmd.Stdin = strings.NewReader(w.statements())
	err = cmd.Run()
	for _, script := range scripts {
		if err == nil {
			if err = w.runScript(script); err != nil {
				err = fmt.Errorf("%s: %w", script, err)
			}
		}
	}
	if stop := server.Process.Signal(syscall.SIGTERM); stop != nil {
		return errors.Join(err, stop)
	}
	return errors.Join(err, <-ended)
}

func (w *wishes) runScript(script string) error {
	fmt.Fprintf(os.Stderr, "[Note] [Entrypoint]: running %s\n", script)
	env := []string{"MYSQL_PWD=" + w.root}
	args := []string{"--no-defaults", "--user=root", "--socket=" + socketDir + "/mysqld.sock", "--default-character-set=utf8mb4"}
	if w.database != "" {
		args = append(args, "--database="+w.database)
	}
	switch {
	case strings.HasSuffix(script, ".sql"), strings.HasSuffix(script, ".sql.gz"):
		file, err := os.Open(script)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		var text io.Reader = file
		if strings.HasSuffix(script, ".gz") {
			if text, err = gzip.NewReader(file); err != nil {
				return err
			}
		}
		cmd := command(env, "mariadb", args...)
		cmd.Stdin = text
		return cmd.Run()
	case strings.HasSuffix(script, ".sh"):
		return command(append(env, "MYSQL_UNIX_PORT="+socketDir+"/mysqld.sock"), "/bin/sh", "-e", script).Run()
	case strings.HasSuffix(script, ".sql.xz"), strings.HasSuffix(script, ".sql.zst"):
		return errors.New("only .sql, .sql.gz and .sh can be run by this image; compress it with gzip")
	}
	fmt.Fprintf(os.Stderr, "[Note] [Entrypoint]: ignoring %s\n", script)
	return nil
}

func command(env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// bake runs while the image is made, as root: it leaves the system's tables in a folder
// of the image, as mariadb-install-db would make them. /build is a tmpfs.
func bake() error {
	const data = "/build/data"
	if err := os.MkdirAll(data+"/mysql", 0o755); err != nil {
		return err
	}
	if err := chown(data); err != nil {
		return err
	}
	if err := os.Chmod("/build", 0o777); err != nil {
		return err
	}
	statements := bytes.NewBufferString("create database if not exists mysql;\nuse mysql;\nSET @auth_root_socket=NULL;\n")
	for _, file := range []string{"mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql",
		"fill_help_tables.sql", "maria_add_gis_sp_bootstrap.sql", "mysql_sys_schema.sql"} {
		text, err := os.ReadFile(share + file)
		if err != nil {
			return err
		}
		statements.Write(text)
	}
	server := command(nil, "mariadbd", "--no-defaults", "--bootstrap", "--datadir="+data, "--user=mysql", "--log-warnings=0", "--enforce-storage-engine=",
		"--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0", "--max_allowed_packet=8M", "--net_buffer_length=16K")
	server.Stdin = statements
	if err := server.Run(); err != nil {
		return fmt.Errorf("make the system's tables: %w", err)
	}
	if err := os.MkdirAll(bakedDir, 0o755); err != nil {
		return err
	}
	if err := copyAll(data, bakedDir); err != nil {
		return err
	}
	return filepath.WalkDir(bakedDir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(path, 0o755) // whoever starts the server copies them
	})
}

// copyAll copies the files below a folder into another, which is there.
func copyAll(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == from {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if entry.IsDir() {
			return os.Mkdir(target, 0o700)
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		out, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o660)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		return errors.Join(err, out.Close())
	})
}
