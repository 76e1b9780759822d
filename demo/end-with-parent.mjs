// Loaded before a child's own program: when whoever started it is gone, however it went, the child is told to end.
// The standard input is a pipe held by the parent; it ends with the parent.
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM')).resume();
