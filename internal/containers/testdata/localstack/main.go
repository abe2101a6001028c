// Command localstack stands in for LocalStack where its image cannot be had: a
// CloudWatch that answers on LocalStack's port, says that it is healthy as LocalStack
// does, and evaluates its alarms by its own clock, every 10 s.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"rehearsal/internal/clock"
	"rehearsal/internal/cloudwatch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if os.Getenv("SERVICES") != "cloudwatch,logs,sts" || os.Getenv("LOCALSTACK_AUTH_TOKEN") == "" {
		log.Fatalf("SERVICES is %q; the token is %q", os.Getenv("SERVICES"), os.Getenv("LOCALSTACK_AUTH_TOKEN"))
	}
	store := cloudwatch.NewStore(cloudwatch.Options{Now: clock.Wall})
	mux := http.NewServeMux()
	mux.Handle("/", store.Handler())
	mux.HandleFunc("GET /_localstack/health", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"services": {"cloudwatch": "available", "logs": "available", "sts": "available", "s3": "disabled"}, "edition": "community"}`))
	})
	server := &http.Server{Addr: ":4566", Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go clock.Every(ctx, time.Second, func() { store.Evaluate(clock.Wall()) })
	log.Println(server.ListenAndServe())
}
