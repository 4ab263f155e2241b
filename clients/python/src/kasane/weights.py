"""Reads weights files: safetensors, which is a JSON header with the place of each tensor, and their bytes."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import KasaneError

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}


def tensors_of(data: bytes) -> dict[str, NDArray[Any]]:
    """All tensors of a safetensors file by name, in the order of the header, as arrays of their own memory.

    Raises KasaneError FILE_DAMAGED.
    """
    try:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        body = memoryview(data)[8 + size :]
        return {name: _tensor(body, entry) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise KasaneError("FILE_DAMAGED", f"the weights are not a safetensors file: {error}") from error


def _tensor(body: memoryview, entry: dict[str, Any]) -> NDArray[Any]:
    begin, end = entry["data_offsets"]
    found: NDArray[Any] = np.frombuffer(body[begin:end], dtype=_TYPES[entry["dtype"]])
    return found.reshape(entry["shape"]).copy()
