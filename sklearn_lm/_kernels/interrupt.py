"""Ctrl-C in threads: Python interrupts the main thread only, which must pass it on to the others.

A thread that works for another says by `obey` which event shall end it. The kernels ask `check` between their calls, so
that no thread is waited for longer than for one call.
"""

import threading

_local = threading.local()


def obey(is_over: threading.Event | None) -> None:
    """Make this thread end, at its next `check`, when the event is set."""
    _local.is_over = is_over


def check() -> None:
    """Raise an error if this thread shall end.

    Raises
    ------
    KeyboardInterrupt
        If the thread shall end: all that holds for an interrupt of the main thread holds here too.
    """
    is_over = getattr(_local, "is_over", None)
    if is_over is not None and is_over.is_set():
        raise KeyboardInterrupt
