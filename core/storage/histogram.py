"""Latencies in logarithmic buckets, from which percentiles of any union of slices follow without the latencies.

Bucket i counts latencies from 1.02^i to 1.02^(i+1) microseconds. A percentile is the middle of the bucket in which its
rank lies (the smallest value that at least that share of the values does not exceed), so it is at most 1 % off:
sqrt(1.02) = 1.00995. The same idea with the same bound is described for DDSketch (Masson, Rim, Lee, 2019).

Stored as the filled buckets only, in order: pairs of a 16-bit bucket and a 32-bit count.
"""

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

GAMMA: Final = 1.02
BUCKETS: Final = 2048
"""Enough for 1.02^2048 microseconds: 117,000 years."""

_PAIR: Final = np.dtype([("bucket", "<u2"), ("count", "<u4")])
_FEW: Final = Struct("<HI")
_FEW_BYTES: Final = 20 * _FEW.size
"""Up to here a dictionary is quicker than arrays."""

_LOG_GAMMA: Final = float(np.log(GAMMA))

Counts = NDArray[np.int64]
"""A count for each of `BUCKETS`."""

Key = TypeVar("Key")


def buckets_of(latencies_us: Sequence[int]) -> NDArray[np.int64]:
    """The bucket of each latency; what is below a microsecond counts as one."""
    values = np.maximum(np.asarray(latencies_us, dtype=np.float64), 1.0)
    return np.floor(np.log(values) / _LOG_GAMMA).astype(np.int64)


def add(stored: bytes, buckets: Sequence[int]) -> bytes:
    """The stored form of a histogram with one more value in each of `buckets`; b"" is an empty one."""
    if len(stored) + len(buckets) * _PAIR.itemsize <= _FEW_BYTES:
        counts = dict(_FEW.iter_unpack(stored))
        for bucket in buckets:
            counts[bucket] = counts.get(bucket, 0) + 1
        return b"".join(_FEW.pack(bucket, counts[bucket]) for bucket in sorted(counts))
    pairs = np.frombuffer(stored, dtype=_PAIR)
    every = np.concatenate([pairs["bucket"], np.asarray(buckets, dtype=np.uint16)])
    weights = np.concatenate([pairs["count"], np.ones(len(buckets), dtype=np.uint32)])
    filled, position = np.unique(every, return_inverse=True)
    result = np.empty(len(filled), dtype=_PAIR)
    result["bucket"] = filled
    result["count"] = np.bincount(position, weights=weights, minlength=len(filled))
    return result.tobytes()


def sums(stored: Mapping[Key, Sequence[bytes]]) -> dict[Key, Counts]:
    """For each key the sum of its stored histograms: thousands of them in one pass."""
    blobs = [blob for group in stored.values() for blob in group]
    if not blobs:
        return {}
    pairs = np.frombuffer(b"".join(blobs), dtype=_PAIR)
    filled = np.fromiter((len(blob) // _PAIR.itemsize for blob in blobs), dtype=np.int64, count=len(blobs))
    group_of_blob = np.repeat(np.arange(len(stored)), [len(group) for group in stored.values()])
    cell = np.repeat(group_of_blob, filled) * BUCKETS + pairs["bucket"]
    # Floats hold whole numbers exactly up to 2^53.
    table = np.bincount(cell, weights=pairs["count"], minlength=len(stored) * BUCKETS).astype(np.int64)
    return dict(zip(stored, table.reshape(len(stored), BUCKETS), strict=True))


def percentiles(counts: Counts, shares: Sequence[float]) -> list[float]:
    """The latencies below which the shares (0.95 ...) of the values lie, in microseconds. Counts must not be all 0."""
    cumulated = np.cumsum(counts)
    ranks: NDArray[np.float64] = np.ceil(np.asarray(shares, dtype=np.float64) * cumulated[-1])
    found = cumulated.searchsorted(np.maximum(ranks, 1), side="left")
    middles: NDArray[np.float64] = np.power(GAMMA, found + 0.5)
    return middles.tolist()
