"""CPU cores: affinity, and the quota of a container, whichever way it is set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from featx import machine
from featx.cli import _process
from featx.machine import cpu_cores

ALL = 16


def cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: Mapping[str, str]
) -> int:
    """What is found where the groups' files are these."""
    monkeypatch.setattr(machine, "usable_cores", lambda: ALL)
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return cpu_cores(str(tmp_path / "groups"), str(tmp_path / "own"))


V1 = {"cpu.cfs_quota_us": "{}\n", "cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, ALL),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),  # rounded up
        ("0::/\n", {"cpu.max": "1000 100000\n"}, 1),  # never none
        ("0::/\n", {"cpu.max": "9900000 100000\n"}, ALL),  # more than there are
        ("0::/\n", {"cpu.max": "200000 50000\n"}, 4),
        (  # the least along the path
            "0::/user/job/step\n",
            {
                "user/job/step/cpu.max": "max 100000\n",
                "user/job/cpu.max": "300000 100000\n",
                "user/cpu.max": "800000 100000\n",
            },
            3,
        ),
        ("0::/not/mounted/here\n", {"cpu.max": "500000 100000\n"}, 5),
        ("0::/a:b/c\n", {"a:b/c/cpu.max": "500000 100000\n"}, 5),
        ("4:cpu,cpuacct:/\n", {f"cpu,cpuacct/{k}": v.format(250000) for k, v in V1.items()}, 3),
        ("4:cpu:/docker/1\n", {f"cpu/docker/1/{k}": v.format(700000) for k, v in V1.items()}, 7),
        ("4:cpu:/docker/1\n", {f"cpu/{k}": v.format(700000) for k, v in V1.items()}, 7),
        ("4:cpu:/\n", {f"cpu/{k}": v.format(-1) for k, v in V1.items()}, ALL),
        ("4:cpuset:/\n", {f"cpuset/{k}": v.format(100000) for k, v in V1.items()}, ALL),
        (
            "4:memory:/x\n0::/x\n",
            {"unified/x/cpu.max": "600000 100000\n"},
            6,
        ),
        ("0::/\n", {"cpu.max": "what\n"}, ALL),
        ("0::/\n", {"cpu.max": "100000 0\n"}, ALL),
        ("", {}, ALL),
        ("nonsense\n", {}, ALL),
    ],
)
def test_a_quota_is_obeyed_like_an_affinity(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: str,
    files: dict[str, str],
    expected: int,
) -> None:
    assert cores(tmp_path, monkeypatch, own, files) == expected


def test_without_control_groups_all_cores_count(tmp_path: Path) -> None:
    assert cpu_cores(str(tmp_path), str(tmp_path / "none")) == machine.usable_cores()


@pytest.mark.parametrize(("quota", "given", "expected"), [(3, None, "3"), (3, "9", "9"),
                                                          (ALL, None, None)])  # fmt: skip
def test_libraries_that_count_cores_themselves_are_told_of_the_quota(
    monkeypatch: pytest.MonkeyPatch, quota: int, given: str | None, expected: str | None
) -> None:
    monkeypatch.setattr(_process, "cpu_cores", lambda: quota)
    monkeypatch.setattr(_process, "usable_cores", lambda: ALL)
    monkeypatch.setattr(_process, "_speak_utf8", lambda: None)
    for name in ("HF_HUB_VERBOSITY", "TORCH_CPP_LOG_LEVEL"):
        monkeypatch.setenv(name, "error")
    if given is None:
        # set first, so that what the code sets is taken back
        monkeypatch.setenv("OMP_NUM_THREADS", "")
        monkeypatch.delenv("OMP_NUM_THREADS")
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    _process.prepare_process()
    assert os.environ.get("OMP_NUM_THREADS") == expected
