// One connection of the load: opened without waiting, one request in flight, its answer's end found by its length.
package main

import (
	"bytes"
	"syscall"
)

type connection struct {
	fd        int
	connected bool
	dueUs     int64 // of the request in flight or waiting for the connect; -1 when there is none
	head      []byte
	inBody    bool
	bodyLeft  int
	done      bool // with close: answered, the end of the connection is still to come
}

// connect opens a connection; dueUs is that of the request it will carry, or -1.
func (l *Load) connect(dueUs int64) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil || fd >= len(l.connections) {
		l.failed(dueUs, "socket")
		return
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	c := &connection{fd: fd, dueUs: dueUs, head: make([]byte, 0, 512)}
	l.connections[fd] = c
	l.open++
	if l.settings.Sources > 1 {
		// The port is chosen at connect, when the whole pair is known: ports do not run out per source.
		const bindAddressNoPort = 24
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1)
		source := [4]byte{127, 0, 0, byte(1 + l.sent%l.settings.Sources)}
		_ = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: source})
	}
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: l.settings.Port, Addr: l.host})
	if err != nil && err != syscall.EINPROGRESS {
		l.fail(c, "connect")
		return
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP, Fd: int32(fd)}
	_ = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &event)
}

func (l *Load) handle(c *connection, events uint32) {
	if !c.connected {
		if code, err := syscall.GetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_ERROR); err != nil || code != 0 {
			l.fail(c, "connect")
			return
		}
		if events&syscall.EPOLLOUT == 0 {
			return
		}
		c.connected = true
		event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLRDHUP, Fd: int32(c.fd)}
		_ = syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_MOD, c.fd, &event)
		if c.dueUs >= 0 {
			l.send(c, c.dueUs)
		} else {
			l.putIdle(c)
		}
		return
	}
	l.read(c)
}

func (l *Load) send(c *connection, dueUs int64) {
	request := l.requests[l.sent%len(l.requests)]
	l.sent++
	c.dueUs, c.inBody, c.head = dueUs, false, c.head[:0]
	if count, err := syscall.Write(c.fd, request); err != nil || count < len(request) {
		l.fail(c, "write")
	}
}

func (l *Load) read(c *connection) {
	count, err := syscall.Read(c.fd, l.buffer)
	if err == syscall.EAGAIN {
		return
	}
	if err != nil || count <= 0 {
		l.ended(c, err)
		return
	}
	if c.dueUs < 0 || c.done {
		l.fail(c, "unexpected bytes")
		return
	}
	data := l.buffer[:count]
	if !c.inBody {
		c.head = append(c.head, data...)
		end := bytes.Index(c.head, []byte("\r\n\r\n"))
		if end < 0 {
			return
		}
		if !bytes.HasPrefix(c.head, []byte("HTTP/1.1 200 ")) {
			l.fail(c, "status")
			return
		}
		c.inBody, c.bodyLeft = true, contentLength(c.head[:end+2])
		data = c.head[end+4:]
	}
	c.bodyLeft -= len(data)
	if c.bodyLeft < 0 {
		l.fail(c, "unexpected bytes")
	} else if c.bodyLeft == 0 {
		l.complete(c)
	}
}

func (l *Load) complete(c *connection) {
	now := nowUs()
	if c.dueUs >= l.countFromUs {
		l.latency.add(now - c.dueUs)
	}
	l.answered++
	l.answeredUs = now
	if l.settings.Close {
		c.done = true
		return
	}
	c.dueUs = -1
	l.inFlight--
	l.putIdle(c)
}

// ended takes the end of a connection: expected with close, a failure under a request, else only reopened.
func (l *Load) ended(c *connection, err error) {
	if c.done && err == nil {
		l.inFlight--
		l.remove(c)
		return
	}
	if c.dueUs < 0 {
		l.removeIdle(c)
		l.remove(c)
		l.reopened++
		l.connect(-1)
		return
	}
	if err != nil {
		l.fail(c, "reset")
	} else {
		l.fail(c, "closed early")
	}
}

func (l *Load) fail(c *connection, why string) {
	due := c.dueUs
	if due < 0 && c.connected {
		l.removeIdle(c)
	}
	l.remove(c)
	l.failed(due, why)
	if !l.settings.Close && c.connected {
		l.reopened++
		l.connect(-1)
	}
}

func (l *Load) failed(dueUs int64, why string) {
	l.errors[why]++
	if dueUs >= 0 {
		l.inFlight--
	}
}

func (l *Load) remove(c *connection) {
	l.connections[c.fd] = nil
	_ = syscall.Close(c.fd)
	l.open--
}

func (l *Load) putIdle(c *connection) {
	l.idle[(l.idleAt+l.idleCount)%len(l.idle)] = c
	l.idleCount++
}

func (l *Load) takeIdle() *connection {
	c := l.idle[l.idleAt]
	l.idleAt = (l.idleAt + 1) % len(l.idle)
	l.idleCount--
	return c
}

func (l *Load) removeIdle(c *connection) {
	for count := l.idleCount; count > 0; count-- {
		if other := l.takeIdle(); other != c {
			l.putIdle(other)
		}
	}
}

// contentLength reads the field of an answer's head; every upstream of the benchmark sends one.
func contentLength(head []byte) int {
	lower := bytes.ToLower(head)
	at := bytes.Index(lower, []byte("\r\ncontent-length:"))
	if at < 0 {
		return 0
	}
	length := 0
	for _, digit := range lower[at+len("\r\ncontent-length:"):] {
		if digit >= '0' && digit <= '9' {
			length = length*10 + int(digit-'0')
		} else if digit != ' ' {
			break
		}
	}
	return length
}
