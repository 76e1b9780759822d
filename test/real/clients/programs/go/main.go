// Clients, servers and a reverse proxy of Go's net/http. Usage: programs server PORT | proxy PORT TARGET | client PORT
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// ours tells the headers a sidecar adds.
func ours(name string) bool {
	name = strings.ToLower(name)
	return name == "traceparent" || name == "x-request-id" || strings.HasPrefix(name, "x-b3-")
}

func show(w io.Writer, what string, headers http.Header) {
	var lines []string
	for name, values := range headers {
		if !ours(name) && name != "Date" && name != "X-Forwarded-For" {
			lines = append(lines, fmt.Sprintf("%s %s: %q\n", what, name, values))
		}
	}
	sort.Strings(lines)
	fmt.Fprint(w, strings.Join(lines, ""))
}

func echo(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > 1<<25 {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	body, err := io.ReadAll(r.Body)
	check(err)
	fmt.Fprintf(w, "%s %s %s\n", r.Method, r.URL, r.Proto)
	show(w, "header", r.Header)
	show(w, "trailer", r.Trailer)
	fmt.Fprintf(w, "%d %x %v\n", len(body), sha256.Sum256(body), r.TransferEncoding)
}

func serve(port string) {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		for n := range 2 {
			w.Header().Set("Link", fmt.Sprintf("</style-%d.css>; rel=preload", n))
			w.WriteHeader(http.StatusEarlyHints)
		}
		fmt.Fprintln(w, "after the hints")
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Checksum")
		for range 100 {
			fmt.Fprint(w, strings.Repeat("x", 1000))
			w.(http.Flusher).Flush()
		}
		w.Header().Set("Checksum", "abc")
		w.Header().Set(http.TrailerPrefix+"Unannounced", "def")
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, strings.Repeat("compressed ", 10000))
		check(z.Close())
	})
	mux.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, "only this")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		connection, buffered, err := w.(http.Hijacker).Hijack()
		check(err)
		fmt.Fprint(connection, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(connection, buffered)
		check(connection.Close())
	})
	check(http.ListenAndServe("127.0.0.1:"+port, mux))
}

func proxy(port, target string) {
	to, err := url.Parse("http://127.0.0.1:" + target)
	check(err)
	handler := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	check(http.ListenAndServe("127.0.0.1:"+port, handler))
}

var base string

// send does one request and prints what came of it.
func send(client *http.Client, request *http.Request) {
	var reused bool
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		GotConn:        func(info httptrace.GotConnInfo) { reused = info.Reused },
		Got100Continue: func() { fmt.Println("100 Continue") },
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			fmt.Println(code, header)
			return nil
		},
	})
	request.Host = "go.example"
	response, err := client.Do(request.WithContext(ctx))
	if err != nil {
		fmt.Println(request.Method, request.URL.Path, "failed", strings.Contains(err.Error(), "refused"))
		return
	}
	body, err := io.ReadAll(response.Body)
	fmt.Println(request.Method, request.URL.Path, response.Proto, response.Status, "reused", reused, "length", response.ContentLength,
		response.TransferEncoding, "uncompressed", response.Uncompressed)
	show(os.Stdout, "header", response.Header)
	if len(body) > 2000 {
		fmt.Printf("%d %x", len(body), sha256.Sum256(body))
	} else {
		fmt.Printf("%s", body)
	}
	fmt.Println("\nerror", err)
	show(os.Stdout, "trailer", response.Trailer)
	check(response.Body.Close())
}

func build(method, path string, body io.Reader) *http.Request {
	request, err := http.NewRequest(method, base+path, body)
	check(err)
	return request
}

func run(port string) {
	base = "http://127.0.0.1:" + port
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 10 * time.Second}}
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	send(client, build("GET", "/echo?x=1", nil))
	send(client, build("HEAD", "/echo", nil))
	send(client, build("POST", "/echo", bytes.NewReader(data)))
	// A reader of unknown length goes chunked.
	send(client, build("POST", "/echo", io.MultiReader(bytes.NewReader(data))))
	trailed := build("POST", "/echo", io.MultiReader(strings.NewReader("body")))
	trailed.Trailer = http.Header{"Checksum": {"xyz"}}
	send(client, trailed)
	expecting := build("PUT", "/echo", bytes.NewReader(data))
	expecting.Header.Set("Expect", "100-continue")
	send(client, expecting)
	refused := build("PUT", "/echo", io.LimitReader(neverEnding{}, 1<<26))
	refused.ContentLength = 1 << 26
	refused.Header.Set("Expect", "100-continue")
	send(client, refused)
	send(client, build("GET", "/hints", nil))
	send(client, build("GET", "/trailers", nil))
	send(client, build("GET", "/gzip", nil))
	send(client, build("GET", "/none", nil))
	send(client, build("GET", "/abort", nil))
	last := build("DELETE", "/echo", nil)
	last.Close = true
	send(client, last)
	upgrade(port)
}

type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// upgrade speaks another protocol after 101 and closes its writing side first.
func upgrade(port string) {
	connection, err := net.Dial("tcp", "127.0.0.1:"+port)
	check(err)
	fmt.Fprint(connection, "GET /hijack HTTP/1.1\r\nHost: go.example\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, nil)
	check(err)
	fmt.Println(response.Status, response.Header.Get("Upgrade"))
	fmt.Fprint(connection, "said after the upgrade")
	check(connection.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(reader)
	fmt.Printf("%s %v\n", answer, err)
	check(connection.Close())
}

func main() {
	switch os.Args[1] {
	case "server":
		serve(os.Args[2])
	case "proxy":
		proxy(os.Args[2], os.Args[3])
	default:
		run(os.Args[2])
	}
}
