"""Ctrl-C in threads: Python tells the main thread alone of it, and the others must be told by that one.

A thread that works for another says by `obey` which event shall end it. The kernels ask `check` between their calls, so
that no thread is waited for longer than for one call.
"""

import threading

_local = threading.local()


def obey(is_over: threading.Event | None) -> None:
    """From now on this thread ends, at its next `check`, when the event is set."""
    _local.is_over = is_over


def obeyed() -> threading.Event | None:
    """What ends this thread, if another one can."""
    return getattr(_local, "is_over", None)


def check() -> None:
    """
    Raises
    ------
    KeyboardInterrupt
        If the thread shall end: all that holds for an interrupt of the main thread holds here too.
    """
    is_over = obeyed()
    if is_over is not None and is_over.is_set():
        raise KeyboardInterrupt
