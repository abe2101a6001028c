// Command inside is a service of the tests of compose files: it says what it finds in its
// container, which has nothing else in it, no shell and no curl.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

var build = "unknown" // set when it is linked

// found is what it finds.
type found struct {
	Build     string
	Args, Env []string
	Uid       int
	Dir, Host string
	Files     map[string]file
	Names     map[string][]string // addresses by name
}

type file struct {
	Text string
	Mode string
	Uid  uint32
}

func look(paths, names []string) found {
	f := found{Build: build, Args: os.Args, Env: os.Environ(), Uid: os.Getuid(), Files: map[string]file{}, Names: map[string][]string{}}
	f.Dir, _ = os.Getwd()
	f.Host, _ = os.Hostname()
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		data, _ := os.ReadFile(path)
		f.Files[path] = file{string(data), info.Mode().String(), info.Sys().(*syscall.Stat_t).Uid}
	}
	for _, name := range names {
		f.Names[name], _ = net.LookupHost(name)
		slices.Sort(f.Names[name])
	}
	return f
}

func main() {
	command := append(os.Args[1:], "serve")[0]
	switch command {
	case "serve":
		serve()
	case "fail":
		fmt.Println("the lights are out")
		fmt.Fprintln(os.Stderr, "cannot go on")
		os.Exit(3)
	case "write": // PATH TEXT
		if err := os.WriteFile(os.Args[2], []byte(os.Args[3]), 0o644); err != nil {
			log.Fatal(err)
		}
	case "exists": // PATH: a health check
		if _, err := os.Stat(os.Args[2]); err != nil {
			log.Fatal(err)
		}
	default:
		log.Fatalf("unknown command %q", command)
	}
}

// serve answers on the port of $PORT, 8080 without.
func serve() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /look", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(look(strings.Split(r.FormValue("files"), ","), strings.Split(r.FormValue("names"), ",")))
	})
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() { <-ended; os.Exit(0) }()
	log.Println("listening on", port)
	server := &http.Server{Addr: ":" + port, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}
