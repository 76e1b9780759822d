// The schedule: which request is due when, which connection takes it, and when all is over.
package main

import (
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"
)

const (
	// No answer for so long, with nothing more to send: what is still missing has timed out.
	graceUs    = 10_000_000
	maxWaitUs  = 100_000
	maxPending = 1 << 20
)

type Load struct {
	settings    Settings
	host        [4]byte
	epoll       int
	requests    [][]byte
	connections []*connection // by file descriptor
	idle        []*connection // ring, the longest idle one first
	idleAt      int
	idleCount   int
	pending     []int64 // due times of requests no connection was free for, ring
	pendingAt   int
	pendingLen  int
	startUs     int64
	countFromUs int64
	endUs       int64
	scheduled   int
	sent        int
	answered    int
	open        int
	inFlight    int
	reopened    int
	answeredUs  int64 // when the last answer came
	lastUs      int64
	errors      map[string]int
	latency     Histogram
	late        Histogram
	buffer      []byte
}

func newLoad(settings Settings) (*Load, error) {
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	host, err := netip.ParseAddr(settings.Host)
	if settings.Host == "" {
		host, err = netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	if err != nil || !host.Is4() {
		return nil, fmt.Errorf("host %q is no IPv4 address", settings.Host)
	}
	load := &Load{settings: settings, host: host.As4(), epoll: epoll, errors: map[string]int{}, buffer: make([]byte, 1<<18)}
	for _, request := range settings.Requests {
		load.requests = append(load.requests, []byte(request))
	}
	load.connections = make([]*connection, 1<<16)
	load.idle = make([]*connection, settings.Connections+1)
	load.pending = make([]int64, maxPending)
	if !settings.Close {
		for i := 0; i < settings.Connections; i++ {
			load.connect(-1)
		}
	}
	return load, nil
}

func (l *Load) run() {
	// The connections are there before the first request is due.
	for deadline := nowUs() + 5_000_000; !l.settings.Close && l.idleCount < l.settings.Connections && nowUs() < deadline; {
		l.wait(1000)
	}
	l.startUs = nowUs()
	l.answeredUs = l.startUs
	l.countFromUs = l.startUs + int64(l.settings.WarmUp*1e6)
	l.endUs = l.countFromUs + int64(l.settings.Seconds*1e6)
	for {
		now := nowUs()
		l.takeDue(now)
		l.dispatch(now)
		if l.over(now) {
			break
		}
		l.wait(l.untilNextUs(nowUs()))
	}
	l.lastUs = nowUs()
	if lost := l.inFlight + l.pendingLen; lost > 0 {
		l.errors["timeout"] += lost
	}
}

func (l *Load) dueUs(number int) int64 {
	return l.startUs + int64(float64(number)*1e6/l.settings.Rate)
}

func (l *Load) allScheduled(now int64) bool {
	if l.settings.Total > 0 {
		return l.scheduled >= l.settings.Total
	}
	if l.settings.Rate > 0 {
		return l.dueUs(l.scheduled) >= l.endUs
	}
	return now >= l.endUs
}

// takeDue moves every request that is due by now into the queue.
func (l *Load) takeDue(now int64) {
	if l.settings.Rate == 0 {
		for l.pendingLen < l.idleCount && !l.allScheduled(now) {
			l.enqueue(now)
		}
		return
	}
	for !l.allScheduled(now) && l.dueUs(l.scheduled) <= now && l.pendingLen < maxPending {
		due := l.dueUs(l.scheduled)
		if due >= l.countFromUs {
			l.late.add(now - due)
		}
		l.enqueue(due)
	}
}

func (l *Load) enqueue(dueUs int64) {
	l.pending[(l.pendingAt+l.pendingLen)%maxPending] = dueUs
	l.pendingLen++
	l.scheduled++
}

// dispatch sends what is queued while there are connections for it.
func (l *Load) dispatch(now int64) {
	for l.pendingLen > 0 {
		due := l.pending[l.pendingAt]
		if l.settings.Close {
			if l.open >= l.settings.Connections {
				return
			}
		} else if l.idleCount == 0 {
			return
		}
		l.pendingAt = (l.pendingAt + 1) % maxPending
		l.pendingLen--
		l.inFlight++
		if l.settings.Close {
			l.connect(due)
		} else {
			l.send(l.takeIdle(), due)
		}
	}
}

func (l *Load) over(now int64) bool {
	if !l.allScheduled(now) {
		return false
	}
	quietSince := l.answeredUs
	if l.settings.Total == 0 && l.endUs > quietSince {
		quietSince = l.endUs
	}
	return (l.inFlight == 0 && l.pendingLen == 0) || now > quietSince+graceUs
}

func (l *Load) untilNextUs(now int64) int64 {
	if l.settings.Rate == 0 || l.allScheduled(now) {
		return maxWaitUs
	}
	wait := l.dueUs(l.scheduled) - now
	if wait < 0 {
		return 0
	}
	if wait > maxWaitUs {
		return maxWaitUs
	}
	return wait
}

type pollFd struct {
	fd      int32
	events  int16
	revents int16
}

// wait handles what the sockets have to say, for at most us microseconds; epoll_wait alone counts in milliseconds.
func (l *Load) wait(us int64) {
	fds := pollFd{fd: int32(l.epoll), events: 1}
	timeout := syscall.NsecToTimespec(us * 1000)
	_, _, _ = syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&fds)), 1, uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	if fds.revents == 0 {
		return
	}
	var events [256]syscall.EpollEvent
	count, _ := syscall.EpollWait(l.epoll, events[:], 0)
	for i := 0; i < count; i++ {
		if c := l.connections[events[i].Fd]; c != nil {
			l.handle(c, events[i].Events)
		}
	}
}

func (l *Load) result() Result {
	return Result{
		Sent: l.sent, Answered: l.answered, Errors: l.errors, Reopened: l.reopened, DurationUs: l.lastUs - l.startUs,
		MaxUs: l.latency.max, Latency: l.latency.sparse(), Late: l.late.sparse(),
	}
}
