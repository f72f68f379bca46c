"""Memory that stays with the process: a step frees and takes the same hundreds of megabytes again and again."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


def keep_memory() -> None:
    """Has glibc keep freed blocks, of any size, for the next one. Without it each comes from the system as new pages.
    Other systems' allocators are left alone."""
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_MMAP_MAX, 0)
    library.mallopt(_M_TRIM_THRESHOLD, -1)
