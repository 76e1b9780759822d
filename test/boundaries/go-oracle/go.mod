module tracecar/boundaries/go-oracle

go 1.21
