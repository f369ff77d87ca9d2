"""Asks the driver itself, by ctypes, on the *image's* Python; never imported on the host.

Reads ``{"mark": "..."}`` from stdin and replies on a line of stdout behind the mark::

    {"error": null, "cuda": 13000, "devices": [{"name": "NVIDIA H100", "capability": "9.0"}]}

Functions and result codes as in CUDA's driver API (cuda.h).  Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


class DriverError(Exception):
    """A call into the driver failed."""


def call(library: Any, name: str, *arguments: Any) -> None:
    """Call a function of the driver; raise DriverError with the driver's own word."""
    code = getattr(library, name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        library.cuGetErrorName(code, ctypes.byref(text))
        word = (text.value or b"an unknown error").decode("ascii", "replace")
        raise DriverError(f"{name}: {word} ({code})")


def device(library: Any, number: int) -> dict[str, str]:
    """Return what the driver says of one GPU."""
    handle, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    call(library, "cuDeviceGet", ctypes.byref(handle), number)
    call(library, "cuDeviceGetName", name, len(name), handle)
    call(library, "cuDeviceGetAttribute", ctypes.byref(major), _MAJOR, handle)
    call(library, "cuDeviceGetAttribute", ctypes.byref(minor), _MINOR, handle)
    return {
        "name": name.value.decode("utf-8", "replace"),
        "capability": f"{major.value}.{minor.value}",
    }


def look() -> dict[str, Any]:
    """Return the reply."""
    reply: dict[str, Any] = {"error": None, "cuda": None, "devices": []}
    try:
        library = ctypes.CDLL("libcuda.so.1")
        version, count = ctypes.c_int(), ctypes.c_int()
        call(library, "cuDriverGetVersion", ctypes.byref(version))
        reply["cuda"] = version.value
        call(library, "cuInit", 0)
        call(library, "cuDeviceGetCount", ctypes.byref(count))
        reply["devices"] = [device(library, number) for number in range(count.value)]
    except (OSError, DriverError, AttributeError) as error:
        reply["error"] = str(error)
    return reply


if __name__ == "__main__":
    request = json.loads(sys.stdin.read())
    os.write(1, "\n{}{}\n".format(request["mark"], json.dumps(look())).encode("ascii"))
