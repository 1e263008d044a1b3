# interface.py <library>: the C interface from Python's ctypes, as any language without a C compiler loads it.
import ctypes as c
import math
import sys

library = c.CDLL(sys.argv[1])
library.nadaraya_last_error.restype = c.c_char_p
library.nadaraya_version.restype = c.c_char_p


class Array(c.Structure):
    _fields_ = [("data", c.c_void_p), ("shape", c.c_int64 * 4), ("strides", c.c_int64 * 4), ("type", c.c_int32)]


class Sparse(c.Structure):
    _fields_ = [("rows", c.c_int64), ("cols", c.c_int64), ("count", c.c_int64), ("offsets", c.POINTER(c.c_int64)),
                ("columns", c.POINTER(c.c_int32)), ("values", c.POINTER(c.c_double)), ("type", c.c_int32)]


def matrix(rows):
    """A view of rows of float64, which it keeps alive."""
    n, d = len(rows), len(rows[0])
    numbers = (c.c_double * (n * d))(*[x for row in rows for x in row])
    array = Array(c.cast(numbers, c.c_void_p), (1, 1, n, d), (n * d, n * d, d, 1), 2)
    array.numbers = numbers
    return array


def succeed(status):
    assert status == 0, library.nadaraya_last_error().decode()


op = c.c_void_p()
succeed(library.nadaraya_operator_create(b"kernel=epanechnikov", c.byref(op)))
query, key, value = matrix([[1.0]]), matrix([[1.0], [0.8], [0.1]]), matrix([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
out = matrix([[0.0, 0.0]])
workspace = c.c_void_p()
succeed(library.nadaraya_workspace_create(c.c_int(2), c.byref(workspace)))
succeed(library.nadaraya_attend(op, c.byref(query), c.byref(key), c.byref(value), c.byref(out), workspace))
assert math.isclose(out.numbers[0], 1.4) and math.isclose(out.numbers[1], 14.0), list(out.numbers)

weights = c.POINTER(Sparse)()
succeed(library.nadaraya_weights(op, c.byref(query), c.byref(key), None, c.byref(weights)))
assert weights[0].count == 2 and list(weights[0].columns[:2]) == [0, 1]
assert math.isclose(weights[0].values[0], 0.6), weights[0].values[0]
library.nadaraya_sparse_destroy(weights)
library.nadaraya_operator_destroy(op)
library.nadaraya_workspace_destroy(workspace)

assert library.nadaraya_operator_create(b"kernel=box", c.byref(op)) == 1
assert b"got 'box'" in library.nadaraya_last_error() and not op.value
print("nadaraya", library.nadaraya_version().decode())
