"""Write the golden results anew: ``python -m tests.golden.make [CASE ...]``.

Only where behaviour was changed on purpose, or after an update of NumPy, SciPy, scikit-learn,
imbalanced-learn or torch that changes numbers: say so in the commit's message. On another kind of
processor than the one that the files name, numbers differ in their last digits; see ``results.py``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

# As tests/conftest.py does, before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["FEATX_REPORT"] = "0"

from tests.golden.cases import CASES
from tests.golden.results import computed, write_expected


def main(names: list[str]) -> None:
    """Compute the cases ``names``, or all, and write what they give."""
    with tempfile.TemporaryDirectory() as folder, computed(Path(folder)) as compute:
        for name in names or CASES:
            write_expected(name, compute(name))
            print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
