// Open-loop load generator: requests leave on a fixed schedule, whatever the answers do, and every latency counts from the
// moment a request was due. One thread, one epoll, no garbage collection while it runs, so that it is not itself the noise.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// Settings come as JSON in the file that is named as the one argument.
type Settings struct {
	Host        string   `json:"host"` // IPv4 address; 127.0.0.1 when absent
	Port        int      `json:"port"`
	Connections int      `json:"connections"`
	Rate        float64  `json:"rate"`     // requests per second; 0: the next one as soon as a connection is free
	Seconds     float64  `json:"seconds"`  // counted time
	WarmUp      float64  `json:"warmUp"`   // seconds before that, sent but not counted
	Total       int      `json:"total"`    // when above 0, ends after so many requests instead
	Close       bool     `json:"close"`    // a new connection for each request, read to its end
	Sources     int      `json:"sources"`  // above 1: connect from 127.0.0.1 up to 127.0.0.N in turn
	Requests    []string `json:"requests"` // raw requests, sent in turn
}

// Result is printed as one line of JSON.
type Result struct {
	Sent       int            `json:"sent"`
	Answered   int            `json:"answered"`
	Errors     map[string]int `json:"errors"`
	Reopened   int            `json:"reopened"`
	DurationUs int64          `json:"durationUs"`
	MaxUs      int64          `json:"maxUs"`
	Latency    [][2]int64     `json:"latency"`
	Late       [][2]int64     `json:"late"`
}

func main() {
	var settings Settings
	if len(os.Args) != 2 {
		fail("the name of a file with the settings is expected")
	}
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = json.Unmarshal(text, &settings)
	}
	if err != nil {
		fail(err.Error())
	}
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	// Wake up when due, not up to 50 µs later; and before the servers on this core, where that is allowed.
	const setTimerSlack = 29
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0)
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, -20)
	load, err := newLoad(settings)
	if err != nil {
		fail(err.Error())
	}
	load.run()
	line, err := json.Marshal(load.result())
	if err != nil {
		fail(err.Error())
	}
	fmt.Println(string(line))
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, "open-loop: "+why)
	os.Exit(2)
}

var epoch = time.Now()

// nowUs is the monotonic time in microseconds since the start.
func nowUs() int64 { return int64(time.Since(epoch) / time.Microsecond) }
