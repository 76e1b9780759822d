// Oracle: Go's net/http. Prints its port, then one JSON line for each connection it has served to the end.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
)

type request struct {
	Method       string   `json:"method"`
	Target       string   `json:"target"`
	Body         string   `json:"body"`
	Complete     bool     `json:"complete"`
	Refused      bool     `json:"refused"`
	Traceparents []string `json:"traceparents"`
	Trailers     string   `json:"trailers"`
}

type connection struct {
	mu       sync.Mutex
	requests []request
}

type key struct{}

func bytes(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func serve(response http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	trailers := ""
	for name, values := range r.Trailer {
		trailers += fmt.Sprint(name, values)
	}
	traceparents := r.Header.Values("Traceparent")
	if traceparents == nil {
		traceparents = []string{}
	}
	seen := request{
		Method:       bytes(r.Method),
		Target:       bytes(r.RequestURI),
		Body:         bytes(string(body)),
		Complete:     err == nil,
		Refused:      err != nil && !errors.Is(err, io.ErrUnexpectedEOF),
		Traceparents: traceparents,
		Trailers:     bytes(trailers),
	}
	owner := r.Context().Value(key{}).(*connection)
	owner.mu.Lock()
	owner.requests = append(owner.requests, seen)
	owner.mu.Unlock()
	response.Header().Set("Content-Length", "0")
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var mu sync.Mutex
	connections := map[net.Conn]*connection{}
	output := json.NewEncoder(os.Stdout)
	server := &http.Server{
		Handler:  http.HandlerFunc(serve),
		ErrorLog: log.New(io.Discard, "", 0),
		// Else `OPTIONS *` is answered without asking the handler.
		DisableGeneralOptionsHandler: true,
		ConnContext: func(parent context.Context, conn net.Conn) context.Context {
			opened := &connection{requests: []request{}}
			mu.Lock()
			connections[conn] = opened
			mu.Unlock()
			return context.WithValue(parent, key{}, opened)
		},
		ConnState: func(conn net.Conn, state http.ConnState) {
			if state != http.StateClosed {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			closed := connections[conn]
			delete(connections, conn)
			closed.mu.Lock()
			defer closed.mu.Unlock()
			_ = output.Encode(map[string]any{"peer": conn.RemoteAddr().(*net.TCPAddr).Port, "requests": closed.requests})
		},
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	// The oracle ends with whoever started it.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(server.Serve(listener))
}
