"""Flat FAISS files, and distances between their rows."""
import struct

import numpy as np
from scipy.spatial.distance import pdist, squareform


def read_index(path):
    data = path.read_bytes()
    if data[:4] not in (b"IxFI", b"IxF2"):
        raise ValueError("%s is no flat index" % path)
    dimension, rows = struct.unpack_from("<iq", data, 4)
    return np.frombuffer(data, np.float32, rows * dimension, 45).reshape(rows, dimension)


def square_distances(vectors):
    """float64, pair by pair: equal vectors are exactly 0 apart, equal pairs equally far."""
    return squareform(pdist(vectors.astype(np.float64), "sqeuclidean"))


def canonical_square_distances(vectors):
    """The program's own dist2 (docs/algorithms.md, 1): float32, 16 lanes, fused multiply-add, a
    fixed tree. A product of two float32 is exact in float64, so adding there and rounding once is
    the fused step, but for double rounding (about one pair in 2^29 additions)."""
    count, dimension = vectors.shape
    result = np.zeros((count, count), np.float32)
    padded = np.zeros((count, -(-dimension // 16) * 16), np.float32)
    padded[:, :dimension] = vectors
    for i in range(count - 1):
        difference = (padded[i + 1:] - padded[i]).reshape(count - i - 1, -1, 16)
        square = difference.astype(np.float64) ** 2
        lanes = np.zeros((count - i - 1, 16), np.float32)
        for step in range(square.shape[1]):
            lanes = (lanes.astype(np.float64) + square[:, step]).astype(np.float32)
        for half in (8, 4, 2, 1):
            lanes = lanes[:, :half] + lanes[:, half:2 * half]
        result[i, i + 1:] = result[i + 1:, i] = lanes[:, 0]
    return result
