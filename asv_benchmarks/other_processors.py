"""The inner loop of the Gram matrix, compiled for processors other than this one.

    python asv_benchmarks/other_processors.py [CPU ...]

takes the code of the kernel from numba before LLVM optimises it, lets LLVM optimise it for 64-bit Arm, and counts the
instructions of the loop: fused multiply-adds (twelve), with the width of their vectors; loads (seven are needed); and
stores, which would be registers spilled to memory.
"""

import os
import re
import sys
import tempfile

os.environ["NUMBA_OPT"] = "0"  # set before numba is imported: no optimisation by numba
unoptimised = tempfile.TemporaryDirectory()
os.environ["NUMBA_CACHE_DIR"] = unoptimised.name  # such code must not enter the cache of other processes

import llvmlite.binding as llvm  # noqa: E402
import numpy as np  # noqa: E402
from numba import njit  # noqa: E402

from sklearn_lm._kernels import tiles  # noqa: E402

TRIPLE = "aarch64-unknown-linux-gnu"
CPUS = ("neoverse-n1", "neoverse-v1", "apple-m1")


@njit(error_model="numpy")
def tile(lines, count, out):
    for row, sums in enumerate(tiles.tile(lines, np.uint64(0), lines, np.uint64(4), count)):
        for column in range(3):
            out[row, column] = sums[column]


def code_of_tile() -> str:
    """Return the LLVM code of the kernel."""
    lines = np.zeros((8, 64))
    tile(lines, np.uint64(64), np.zeros((4, 3)))
    return next(iter(tile.inspect_llvm().values()))


def assembly_for(cpu: str, code: str) -> str:
    """Return the assembly of LLVM code, optimised for a processor."""
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu=cpu, opt=3)
    code = re.sub(r'target triple = "[^"]+"', f'target triple = "{TRIPLE}"', code)
    code = re.sub(r'target datalayout = "[^"]+"', f'target datalayout = "{machine.target_data}"', code)
    module = llvm.parse_assembly(re.sub(r'"target-(cpu|features)"="[^"]*"', "", code))
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(module, builder)
    return machine.emit_assembly(module)


def loops(assembly: str) -> list[str]:
    """Return the bodies of the innermost loops: from a label to the branch back to it."""
    return [body for _, body in re.findall(r"^(\.\w+):\n((?:(?!^\.\w+:).*\n)*?)\s+b\.\w+\s+\1$", assembly, re.M)]


if __name__ == "__main__":
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    code = code_of_tile()
    for cpu in sys.argv[1:] or CPUS:
        body = max(loops(assembly_for(cpu, code)), key=lambda body: body.count("fmla"))
        width = set(re.findall(r"fmla\s+[vz]\d+\.(\w+)", body))
        counts = {what: len(re.findall(rf"^\s+{what}\w*\s", body, re.M)) for what in ("fmla", "ld", "st")}
        print(f"{cpu:12s} multiply-adds {counts['fmla']} of {width}, loads {counts['ld']}, stores {counts['st']}")
