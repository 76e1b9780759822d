// Log-linear histogram of microseconds: exact below 256, at most 0.8 % wide above. The reader knows the same layout.
package main

import "math/bits"

const histogramBuckets = 128 * 34

type Histogram struct {
	counts [histogramBuckets]int64
	max    int64
}

func (h *Histogram) add(us int64) {
	if us < 0 {
		us = 0
	}
	if us > h.max {
		h.max = us
	}
	index := us
	if us >= 256 {
		shift := bits.Len64(uint64(us)) - 8
		index = int64(shift)*128 + us>>shift
	}
	if index >= histogramBuckets {
		index = histogramBuckets - 1
	}
	h.counts[index]++
}

// sparse lists the buckets that are not empty as pairs of index and count.
func (h *Histogram) sparse() [][2]int64 {
	pairs := [][2]int64{}
	for index, count := range h.counts {
		if count > 0 {
			pairs = append(pairs, [2]int64{int64(index), count})
		}
	}
	return pairs
}
