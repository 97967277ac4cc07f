"""How kernels are compiled, and whether a call runs on one thread or on several.

Every kernel goes through `jit`; a driver with a `prange` loop goes through `serial_and_parallel`, which compiles
the same Python body twice: once serial, once parallel. Both add the same blocks in the same order, so
they give the same bits, and a call is free to take whichever is safe and worth its start-up cost.

No threading layer is chosen and no global of numba is set: both belong to the application.
"""

import hashlib
import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, cast

import numba
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.caching import FunctionCache
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from . import interrupt

# Below this many multiply-adds, waking a thread pool costs more than it saves.
SMALL_WORK = 4_000_000
# Above this many a call is divided, since Ctrl-C is heard between calls only: about 0.1 s of one thread.
LARGE_WORK = 500_000_000


class Part(NamedTuple):
    """Part of the work of a driver: blocks `first_round` to `end_round` - 1 of slots `first_slot` to `end_slot` - 1."""

    first_slot: int
    end_slot: int
    n_slots: int  # of the whole work: slot s has the blocks s, s + n_slots, s + 2 n_slots, ...
    first_round: int
    end_round: int
    begins: bool  # whether the sums of the slots begin with this part


class Work(NamedTuple):
    """Size of a call of a driver."""

    multiply_adds: float
    n_slots: int
    n_rounds: int = 1  # blocks that a slot has at most
    begins: bool = True  # False: add to the sums of the call before


MAX_ROUNDS = 2**31

# A forked child of the "omp" layer is killed at its first parallel region (numba manual, "The threading layers"), so it
# never enters one. The lock lets one thread at a time enter one: more threads than processors gain nothing.
_parallel_region = threading.Lock()
_forked = False


def _after_fork_in_child() -> None:
    global _forked, _parallel_region
    _forked = True
    _parallel_region = threading.Lock()  # the parent may have held it at the moment of the fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
    # A fork waits until no other thread compiles: the child would inherit LLVM in the middle of its work, locked.
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def _hash_sources(folder: Path) -> str:
    """Return a hash of the names and contents of all Python files in a folder; empty if it has none."""
    digest = hashlib.sha256()
    paths = sorted(folder.glob("*.py"))
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest() if paths else ""


_sources = _hash_sources(Path(__file__).parent)


class KernelCache(FunctionCache):
    """Machine code of one kernel on disk, used only while no file of this package has changed.

    A kernel contains the kernels that it calls, some of them from other files, and numba itself compares the file of
    the outer one only. The version is compared before anything else is read: an index of other sources may name bundles
    of arguments that no longer exist, and could not be unpickled. None of these attributes is public; tests edit a
    callee and rename a bundle, and would notice if numba renamed the attributes.

    A full disk or a damaged file costs time only: what cannot be read is compiled, with one warning in a process.
    """

    _has_warned = False

    def __init__(self, function: Callable):
        super().__init__(function)
        if _sources:
            self._cache_file._source_stamp, self._cache_file._version = _sources, f"{numba.__version__} {_sources}"

    def load_overload(self, *arguments: object) -> object:
        """Return the kernel for a signature, None if it must be compiled."""
        try:
            return super().load_overload(*arguments)
        except Exception as error:  # of pickle, and of all that pickle calls
            self._warn("read", error)
            with suppress(Exception):
                self.flush()  # otherwise a damaged index could not be written again
        return None

    def save_overload(self, *arguments: object) -> None:
        """Write a kernel."""
        try:
            super().save_overload(*arguments)
        except Exception as error:
            self._warn("written", error)

    def _warn(self, done: str, error: Exception) -> None:
        """Warn once in a process."""
        if not KernelCache._has_warned:
            KernelCache._has_warned = True
            warnings.warn(
                f"Compiled kernels in {self.cache_path!r} could not be {done} ({type(error).__name__}: {error}), and "
                "are compiled again, which takes seconds. Free some space there, delete the folder, or set "
                "NUMBA_CACHE_DIR to another one.",
                RuntimeWarning,
                stacklevel=2,
            )


def jit(**options: Any) -> Callable[[Callable], Callable]:
    """Return a decorator that compiles at the first call and keeps the machine code on disk if a folder is writable."""

    def decorate(function: Callable) -> Callable:
        # A kernel is never passed to another one as an argument, which is what its "cfunc" wrapper would be for.
        dispatcher = numba.njit(**{"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, **options})(
            function
        )
        if not vars(config)["DISABLE_JIT"]:
            with suppress(RuntimeError):  # no cache folder is writable: slower at start, but it works
                dispatcher._cache = KernelCache(function)
        return dispatcher

    return decorate


def _mark_full_width(typing_context: Any) -> Any:
    """Return the intrinsic that marks the function that calls it; see `prefer_512bit`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        attributes = builder.function.attributes
        if "alwaysinline" not in attributes:
            attributes.add("noinline")  # an inlined body would be compiled with the attributes of its caller
        # llvmlite keeps a list of the attributes it knows; LLVM itself takes any name and ignores those it does not.
        set.add(attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen


def _read_clock(typing_context: Any) -> Any:
    """Return the intrinsic that reads the monotonic clock of the C library; see `clock`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, word = ir.IntType(64), ir.IntType(32)
        kind = ir.FunctionType(word, [word, number.as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        timespec = cgutils.alloca_once(builder, number, size=2)
        builder.call(function, [ir.Constant(word, time.CLOCK_MONOTONIC), timespec])
        parts = [builder.load(builder.gep(timespec, [ir.Constant(word, i)])) for i in range(2)]
        seconds, nanoseconds = (builder.sitofp(part, ir.DoubleType()) for part in parts)
        return builder.fadd(seconds, builder.fmul(nanoseconds, ir.Constant(ir.DoubleType(), 1e-9)))

    return types.float64(), codegen


# Whether kernels can read a clock: not on Windows, whose C library has none of this name.
HAS_CLOCK = hasattr(time, "CLOCK_MONOTONIC")

if vars(config)["DISABLE_JIT"]:
    clock = time.perf_counter

    def prefer_512bit() -> None:
        """Do nothing, because nothing is compiled."""

else:
    # Seconds, for kernels that tell where their time went; differences mean something, and nothing else.
    clock = cast(Callable[[], float], intrinsic(_read_clock))
    # Called at the top of a kernel, it lets the compiler use the widest vectors that the processor has (by default LLVM
    # keeps to half of them on Intel processors with AVX-512, at two thirds of the speed), and keeps the kernel from
    # being inlined. Every kernel whose sums may be reordered needs the latter too: inlined into the two twins below, it
    # could be reordered in two ways, and they would not have the same bits.
    prefer_512bit = cast(Callable[[], None], intrinsic(_mark_full_width))


def _twin(function: Callable, suffix: str) -> Callable:
    """Return the function under another name: the disk cache of numba tells functions apart by name and line only."""
    twin = FunctionType(function.__code__, function.__globals__, function.__name__ + suffix, function.__defaults__)
    twin.__qualname__ = function.__qualname__ + suffix
    return twin


class Driver:
    """A loop over slots, compiled twice: as a serial and as a parallel kernel, which give the same bits.

    Parameters
    ----------
    body : callable
        Called as `body(part, *arguments)`, with a loop by `numba.prange` over the slots of the `Part`. It returns
        nothing: what it computes stands in its arguments.

    Attributes
    ----------
    serial : callable
        The serial kernel, which other kernels may call, and which becomes a part of them.
    """

    def __init__(self, body: Callable):
        self.serial = jit(inline="always")(_twin(body, "_serial"))
        self._parallel = jit(parallel=True)(body)
        self.__name__, self.__doc__ = body.__name__, body.__doc__

    def __call__(self, work: Work, *arguments: Any) -> None:
        """Do all of the work, on several threads if it is worth while and safe."""
        if work.multiply_adds < SMALL_WORK:
            self.serial(Part(0, work.n_slots, work.n_slots, 0, MAX_ROUNDS, work.begins), *arguments)
        elif _forked or (n_threads := numba.get_num_threads()) == 1 or not _parallel_region.acquire(blocking=False):
            _run_in_turn(self.serial, work, arguments, 1)
        else:
            try:
                # The "workqueue" layer aborts the process when a second thread enters it, and that thread may belong
                # to another library.
                kernel = self.serial if numba.threading_layer() == "workqueue" else self._parallel
                _run_in_turn(kernel, work, arguments, n_threads)
            finally:
                _parallel_region.release()


serial_and_parallel = Driver  # as a decorator


def _run_in_turn(kernel: Callable, work: Work, arguments: tuple, n_threads: int) -> None:
    """Do all of the work in as many calls as are needed for Ctrl-C to be seen between them."""
    n_calls = max(1.0, work.multiply_adds / LARGE_WORK)
    rounds_per_call = max(1, int(work.n_rounds / n_calls)) if n_calls > 1.0 else MAX_ROUNDS
    # If one round of all slots is too much, a call has as many slots as keep the threads busy.
    slots_per_call = work.n_slots if work.multiply_adds / work.n_rounds < LARGE_WORK else min(n_threads, work.n_slots)
    for first_round in range(0, work.n_rounds, rounds_per_call):
        for first_slot in range(0, work.n_slots, slots_per_call):
            interrupt.check()
            end_slot, begins = min(first_slot + slots_per_call, work.n_slots), work.begins and first_round == 0
            part = Part(first_slot, end_slot, work.n_slots, first_round, first_round + rounds_per_call, begins)
            kernel(part, *arguments)
