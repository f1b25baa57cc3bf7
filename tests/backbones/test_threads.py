"""OpenVINO is ready for several threads at once, from its very first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Without the use of the type tables in `import_openvino` a start hangs about every second time.
TWO_THREADS = """
import sys, threading
from featx.engines._network import import_openvino

openvino = import_openvino()
together = threading.Barrier(2)
sys.setswitchinterval(1e-6)


def use():
    together.wait()
    assert openvino.Type.u8.to_dtype() == "uint8"


threads = [threading.Thread(target=use) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""


@pytest.mark.parametrize("attempt", range(4))
def test_the_first_use_by_two_threads_does_not_hang(attempt: int) -> None:
    pytest.importorskip("openvino")
    result = subprocess.run(
        [sys.executable, "-c", TWO_THREADS], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "done\n", result.stderr
