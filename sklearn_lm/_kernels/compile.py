"""How kernels are compiled, and whether a call runs on one thread or on several.

Every kernel goes through `jit`; a driver with a `prange` loop goes through `serial_and_parallel`, which compiles
the same Python body twice: once serial, once parallel. Both add the same blocks in the same order, so
they give the same bits, and a call is free to take whichever is safe and worth its start-up cost.

No threading layer is chosen and no global of numba is set: both belong to the application.
"""

import hashlib
import inspect
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import numba
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic

from . import interrupt

# Below this many multiply-adds, waking a thread pool costs more than it saves.
SMALL_WORK = 4_000_000
# Above this many a call is divided, since Ctrl-C is heard between calls only: about 0.1 s of one thread.
LARGE_WORK = 500_000_000

# Rows may come in parts, added together: sums begin with the first part, and are done with the last. A part is all
# rows, or as many blocks as there are slots, or a multiple of that: then the sums have the bits of those over all rows.
BEGINS, ENDS = 1, 2
WHOLE = BEGINS | ENDS
ALL = (0, 2**31)  # slots or rounds

# A forked child of the "omp" layer is killed at its first parallel region (numba manual, "The threading layers"), so it
# never takes the parallel way. The lock lets one thread at a time take it: more threads than processors gain nothing.
_parallel_region = threading.Lock()
_forked = False


def _after_fork_in_child() -> None:
    global _forked, _parallel_region
    _forked = True
    _parallel_region = threading.Lock()  # the parent may have held it at the moment of the fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _hash_sources(folder: Path) -> str:
    """Return a hash of the names and contents of all Python files in a folder; empty if it has none."""
    digest = hashlib.sha256()
    paths = sorted(folder.glob("*.py"))
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest() if paths else ""


_sources = _hash_sources(Path(__file__).parent)


def _invalidate_with_all_sources(dispatcher: Any) -> None:
    """Let machine code on disk be used only while no file of this package has changed.

    A kernel contains the kernels that it calls, some of them from other files, and numba itself compares the file of
    the outer one only. Neither attribute is public; a test edits a callee and would notice if numba renamed them.
    """
    cache_file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if _sources and getattr(cache_file, "_source_stamp", None) is not None:
        cache_file._source_stamp = _sources  # type: ignore[union-attr]


def jit(**options: Any) -> Callable[[Callable], Callable]:
    """Return a decorator that compiles at the first call and keeps the machine code on disk if a folder is writable."""

    def decorate(function: Callable) -> Callable:
        # A kernel is never passed to another one as an argument, which is what its "cfunc" wrapper would be for.
        options_in_full = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, **options}
        try:
            dispatcher = numba.njit(cache=True, **options_in_full)(function)
        except RuntimeError:  # no cache folder is writable: slower at start, but it works
            return numba.njit(**options_in_full)(function)
        _invalidate_with_all_sources(dispatcher)
        return dispatcher

    return decorate


def _mark_full_width(typing_context: Any) -> Any:
    """An LLVM attribute on the function in which the call stands; see `prefer_512bit`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        attributes = builder.function.attributes
        if "alwaysinline" not in attributes:
            attributes.add("noinline")  # an inlined body would be compiled with the attributes of its caller
        # llvmlite keeps a list of the attributes it knows; LLVM itself takes any name and ignores those it does not.
        set.add(attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


def _read_clock(typing_context: Any) -> Any:
    """Seconds of the C library's monotonic clock; see `clock`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, word = ir.IntType(64), ir.IntType(32)
        kind = ir.FunctionType(word, [word, number.as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        room = cgutils.alloca_once(builder, number, size=2)  # struct timespec
        builder.call(function, [ir.Constant(word, time.CLOCK_MONOTONIC), room])
        parts = [builder.load(builder.gep(room, [ir.Constant(word, i)])) for i in range(2)]
        seconds, nanoseconds = (builder.sitofp(part, ir.DoubleType()) for part in parts)
        return builder.fadd(seconds, builder.fmul(nanoseconds, ir.Constant(ir.DoubleType(), 1e-9)))

    return types.float64(), codegen


# Whether kernels can read a clock: not on Windows, whose C library has none of this name.
HAS_CLOCK = hasattr(time, "CLOCK_MONOTONIC")

if vars(config)["DISABLE_JIT"]:
    clock = time.perf_counter

    def prefer_512bit() -> None:
        """Nothing, where nothing is compiled."""

else:
    # Seconds, for kernels that tell where their time went; differences mean something, and nothing else.
    clock = cast(Callable[[], float], intrinsic(_read_clock))
    # Called at the top of a kernel, it lets the compiler use the widest vectors that the processor has (by default LLVM
    # keeps to half of them on Intel processors with AVX-512, at two thirds of the speed), and keeps the kernel from
    # being inlined. Every kernel whose sums may be reordered needs the latter too: inlined into the two twins below, it
    # could be reordered in two ways, and they would not have the same bits.
    prefer_512bit = cast(Callable[[], None], intrinsic(_mark_full_width))


def _twin(function: Callable, suffix: str) -> Callable:
    """The same function under another name: numba's disk cache tells functions apart by name and line only."""
    twin = FunctionType(function.__code__, function.__globals__, function.__name__ + suffix, function.__defaults__)
    twin.__qualname__ = function.__qualname__ + suffix
    twin.__module__ = function.__module__
    return twin


def serial_and_parallel(slots: str, block: int | None = None) -> Callable[[Callable], Callable]:
    """Compile a loop over slots written with `numba.prange` as a serial and as a parallel kernel, of the same bits.

    Parameters
    ----------
    slots : str
        The argument of the body that has an entry for each slot, or is their number.
    block : int, optional
        Rows that a slot takes in one round, of those of the body's first argument. Without it there is one round.

    The body is called as `body(part, *arguments)` with `part = (slots, rounds, begins, ends)`: which slots shall go
    through which of their rounds, both as (first, end), where an end may be beyond the last; whether sums begin with
    these; and whether they are complete then, so that the result can be made of them.

    The decorated kernel is called as `kernel(work, which, *arguments)`. `work` estimates the multiply-adds, and `which`
    part of the rows these are: `WHOLE`, or the one that `BEGINS` or `ENDS` the sums, or neither (0). Its attribute
    `serial` is the serial twin, which other kernels may call, and which becomes a part of them.
    """

    def decorate(body: Callable) -> Callable:
        serial = jit(inline="always")(_twin(body, "_serial"))
        parallel = jit(parallel=True)(body)
        position = list(inspect.signature(body).parameters).index(slots) - 1

        def extent(arguments: tuple) -> tuple[int, int]:
            """Number of slots, and of the rounds of the longest of them."""
            n_slots = arguments[position] if isinstance(arguments[position], int) else len(arguments[position])
            return n_slots, 1 if block is None else -(-len(arguments[0]) // (block * n_slots))

        def call(work: float, which: int, *arguments: Any) -> Any:
            if work < SMALL_WORK:
                return serial((ALL, ALL, which & BEGINS > 0, which & ENDS > 0), *arguments)
            if _forked or (n_threads := numba.get_num_threads()) == 1:
                return _in_turn(serial, work, which, extent, arguments)
            if not _parallel_region.acquire(blocking=False):
                return _in_turn(serial, work, which, extent, arguments)
            try:
                if numba.threading_layer() == "workqueue":
                    return _in_own_threads(serial, work, which, extent, arguments, n_threads)
                return _in_turn(parallel, work, which, extent, arguments, n_threads)
            finally:
                _parallel_region.release()

        call.serial = serial  # type: ignore[attr-defined]
        call.__name__ = body.__name__
        call.__doc__ = body.__doc__
        return call

    return decorate


def _in_turn(kernel: Callable, work: float, which: int, extent: Callable, arguments: tuple, n_threads: int = 1) -> Any:
    """The whole work, in as many calls as it takes for Ctrl-C to be heard between them."""
    begins, ends = which & BEGINS > 0, which & ENDS > 0
    if work >= SMALL_WORK:
        interrupt.check()
    if work < LARGE_WORK:
        return kernel((ALL, ALL, begins, ends), *arguments)
    n_slots, n_rounds = extent(arguments)
    n_rounds_a_call = _rounds_of_a_call(work, n_rounds)
    # Where a round of all slots is too much, as many of them as keep the threads busy.
    n_slots_a_call = n_slots if work / n_rounds < LARGE_WORK else min(n_threads, n_slots)
    for first in range(0, n_rounds, n_rounds_a_call):
        for slot in range(0, n_slots, n_slots_a_call):
            end, slot_end = first + n_rounds_a_call, slot + n_slots_a_call
            is_last = end >= n_rounds and slot_end >= n_slots
            part = (slot, slot_end), (first, end), begins and first == 0, ends and is_last
            interrupt.check()
            result = kernel(part, *arguments)
    return result


def _in_own_threads(
    serial: Callable, work: float, which: int, extent: Callable, arguments: tuple, n_threads: int
) -> Any:
    """The slots spread over Python threads: numba's "workqueue" layer is not entered.

    It aborts the process when a second thread comes in, and that thread may belong to another library.
    """
    n_slots, n_rounds = extent(arguments)
    step = _rounds_of_a_call(work, n_rounds)
    waiting, is_over, begins = list(range(n_slots)), False, which & BEGINS > 0
    caller_obeys = interrupt.obeyed()

    def run() -> None:
        interrupt.obey(caller_obeys)
        while waiting and not is_over:
            try:
                slot = waiting.pop()  # one operation for the interpreter: no slot is taken twice
            except IndexError:  # another thread was faster
                return
            for first in range(0, n_rounds, step):
                if is_over:
                    return
                interrupt.check()
                serial(((slot, slot + 1), (first, first + step), begins and first == 0, False), *arguments)

    n_threads = min(n_threads, n_slots)
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for future in [pool.submit(run) for _ in range(n_threads)]:
                future.result()
        except BaseException:  # Ctrl-C: the others end with their call
            is_over = True
            raise
    return serial(((0, 0), (n_rounds, n_rounds), False, which & ENDS > 0), *arguments)


def _rounds_of_a_call(work: float, n_rounds: int) -> int:
    return max(1, int(n_rounds * min(1.0, LARGE_WORK / max(work, 1.0))))
