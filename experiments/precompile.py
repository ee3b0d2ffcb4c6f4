"""Compile the kernels that read logs once, so that no process that reads one waits for a compiler.

Run as `python -m experiments.precompile`; `make setup` does. What it makes is kept beside the code.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from experiments.diagnostics.cells import add_rows
from experiments.logs.alike import cut_features


def precompile() -> None:
    """Read a few contexts, and add some columns up."""
    text = '{"features":{"age":30,"plan":"basic"},"contacts":[]}'
    cut_features(pa.array([text]), ',"contacts":')
    add_rows(np.zeros(1, dtype=np.intp), np.zeros((1, 1)), np.zeros((1, 1)))


if __name__ == "__main__":
    precompile()
