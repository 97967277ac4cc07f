"""How kernels are compiled, and whether a call runs on one thread or on several.

Every kernel goes through `jit`; a driver with a `prange` loop goes through `two_ways`, which compiles
the same Python body twice: once serial, once parallel. Both add the same blocks in the same order, so
they give the same bits, and a call is free to take whichever is safe and worth its start-up cost.

No threading layer is chosen and no global of numba is set: both belong to the application.
"""

import os
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import numba
from numba.core import config, types
from numba.extending import intrinsic

# Below this many multiply-adds, waking a thread pool costs more than it saves.
SMALL_WORK = 4_000_000

# Two threads inside numba's "workqueue" layer abort the process, and a forked child of the "omp" layer is
# killed at its first parallel region (numba manual, "The threading layers"). The lock lets one thread at a
# time take the parallel way, and a forked child never takes it; everybody else runs the serial twin.
_parallel_region = threading.Lock()
_forked = False


def _after_fork_in_child() -> None:
    global _forked, _parallel_region
    _forked = True
    _parallel_region = threading.Lock()  # the parent may have held it at the moment of the fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def jit(**options: Any) -> Callable[[Callable], Callable]:
    """Decorator: compile at first call, keep the machine code on disk where a folder is writable."""

    def decorate(function: Callable) -> Callable:
        options_in_full = {"nogil": True, "error_model": "numpy", **options}
        try:
            return numba.njit(cache=True, **options_in_full)(function)
        except RuntimeError:  # no cache folder is writable: slower at start, but it works
            return numba.njit(**options_in_full)(function)

    return decorate


def _mark_full_width(typing_context: Any) -> Any:
    """An LLVM attribute on the function in which the call stands; see `full_width`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        attributes = builder.function.attributes
        if "alwaysinline" not in attributes:
            attributes.add("noinline")  # an inlined body would be compiled with the attributes of its caller
        # llvmlite keeps a list of the attributes it knows; LLVM itself takes any name and ignores those it does not.
        set.add(attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


if vars(config)["DISABLE_JIT"]:

    def full_width() -> None:
        """Nothing, where nothing is compiled."""

else:
    # Called at the top of a kernel, it lets the compiler use the widest vectors that the processor has (by default LLVM
    # keeps to half of them on Intel processors with AVX-512, at two thirds of the speed), and keeps the kernel from
    # being inlined. Every kernel whose sums may be reordered needs the latter too: inlined into the two twins below, it
    # could be reordered in two ways, and they would not have the same bits.
    full_width = cast(Callable[[], None], intrinsic(_mark_full_width))


def _twin(function: Callable, suffix: str) -> Callable:
    """The same function under another name: numba's disk cache tells functions apart by name and line only."""
    twin = FunctionType(function.__code__, function.__globals__, function.__name__ + suffix, function.__defaults__)
    twin.__qualname__ = function.__qualname__ + suffix
    twin.__module__ = function.__module__
    return twin


def two_ways(body: Callable) -> Callable:
    """Compile `body`, a loop over slots written with `numba.prange`, as a serial and as a parallel kernel.

    The result is called as `kernel(work, *arguments)`, where `work` estimates the multiply-adds of the call.
    """
    serial = jit()(_twin(body, "_serial"))
    parallel = jit(parallel=True)(body)

    def call(work: float, *arguments: Any) -> Any:
        if work < SMALL_WORK or _forked or numba.get_num_threads() == 1:
            return serial(*arguments)
        if not _parallel_region.acquire(blocking=False):
            return serial(*arguments)
        try:
            return parallel(*arguments)
        finally:
            _parallel_region.release()

    call.__name__ = body.__name__
    call.__doc__ = body.__doc__
    return call
