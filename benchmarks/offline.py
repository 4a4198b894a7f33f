"""What the fused kernels are compiled to, without a GPU: registers, spills, shared memory, instructions.

    python benchmarks/offline.py [--arch resnet20] [--batch 64] [--capability 90] [--pdl] [--only "backward C64"]

Registers times threads is what bounds how many programs a multiprocessor holds (65,536 registers, 232,448 bytes of
shared memory on Hopper); a stack is what did not fit. HGMMA are Hopper's matrix products, LDG.128 loads of 16
bytes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import triton
from triton.backends.nvidia import compiler

from repro.engine.strategies.fused import ahead
from repro.report.tables import markdown_table

TOOLS = Path(compiler.__file__).parent / "bin"
SHOWN = ("C", "SIDE", "MODE", "KIND", "DW", "EVAL", "M", "HS")
INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d+ )?([A-Z0-9_]+)((?:\.[A-Z0-9_]+)*)", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="resnet20")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--capability", type=int, default=90)
    parser.add_argument("--pdl", action="store_true", help="with programmatic dependent launch")
    parser.add_argument("--only", default="", help="kernels whose name and sizes have this in them")
    asked = parser.parse_args()
    ahead.name_target(asked.capability)
    rows = []
    for kernel, args, sizes in ahead.launches(asked.arch, asked.batch, pdl=asked.pdl):
        name = kernel.fn.__name__.removesuffix("_kernel")
        told = " ".join([name, *(f"{size}{sizes[size]}" for size in SHOWN if size in sizes)])
        if asked.only in told:
            rows.append([told, str(sizes.get("warps", 4)), *row(ahead.compiled(kernel, args, sizes))])
    header = ["kernel", "warps", "registers", "stack", "shared", "instructions", "HGMMA", "HMMA", "LDG", "LDG.128"]
    print(f"triton {triton.__version__}, sm_{asked.capability}, {asked.arch}, batch {asked.batch}\n")
    print(markdown_table(header, rows))


def row(made: Any) -> list[str]:
    """What one kernel was compiled to."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        usage, code = (
            subprocess.run(
                [TOOLS / "cuobjdump", what, file.name], capture_output=True, text=True, check=True
            ).stdout
            for what in ("-res-usage", "-sass")
        )
    found = re.search(r"REG:(\d+) STACK:(\d+)", usage)
    instructions = INSTRUCTION.findall(code)
    counts = Counter(name for name, _ in instructions)
    wide = sum(name == "LDG" and "128" in suffix for name, suffix in instructions)
    numbers = [made.metadata.shared, len(instructions), counts["HGMMA"], counts["HMMA"], counts["LDG"], wide]
    return [*(found.groups() if found else ("?", "?")), *map(str, numbers)]


if __name__ == "__main__":
    main()
