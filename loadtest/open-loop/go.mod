module tracecar/loadtest/open-loop

go 1.19
