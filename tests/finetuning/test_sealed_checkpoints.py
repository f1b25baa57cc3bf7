"""Checkpoints and finished trials are gone on from only as they were written."""

from __future__ import annotations

from pathlib import Path

import torch
from finetune_lab import Lab
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featx.config import FinetuneConfig
from featx.finetuning import search
from featx.finetuning.checkpoints import read_snapshot, write_snapshot

TENSORS = {
    "w": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "n": torch.tensor(7),
    "b": torch.ones(3, dtype=torch.bfloat16),
}
DOCUMENT = {"epoch": 3, "history": [{"validation_score": 0.567}]}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(draw=st.data())
def test_a_checkpoint_with_an_altered_byte_is_not_used(draw, tmp_path: Path, capsys) -> None:
    path = tmp_path / "last.safetensors"
    write_snapshot(path, TENSORS, DOCUMENT)
    data = bytearray(path.read_bytes())
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    path.write_bytes(data)
    capsys.readouterr()
    found = read_snapshot(path)
    if found is None:
        assert "cannot be read and is not used" in capsys.readouterr().err
    else:  # a byte that says nothing, as one of the padding
        assert found[1] == DOCUMENT
        assert all(torch.equal(found[0][name], t) for name, t in TENSORS.items())


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "a", TENSORS, DOCUMENT)
    found = read_snapshot(tmp_path / "a")
    assert found is not None
    assert found[1] == DOCUMENT
    assert found[0].keys() == TENSORS.keys()
    assert all(torch.equal(found[0][name], t) for name, t in TENSORS.items())


def test_a_history_or_a_weight_made_up_by_hand_is_not_used(tmp_path: Path, capsys) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "last.safetensors"
    for change in ("history", "weight", "older"):
        write_snapshot(path, TENSORS, DOCUMENT)
        metadata = _metadata(path)
        tensors = load_file(path)
        if change == "history":
            metadata["document"] = metadata["document"].replace("0.567", "0.967")
        elif change == "weight":
            tensors["w"][0, 0] = 9.0
        else:
            metadata.pop("sha256")
        save_file(tensors, path, metadata)
        assert read_snapshot(path) is None
        assert "no valid checksum" in capsys.readouterr().err


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def test_a_finished_trial_that_was_altered_is_tried_again(lab: Lab, tmp_path: Path, capsys) -> None:
    asked = FinetuneConfig(epochs=1, trials=2, augment="none", unfreeze="head", tune=["augment"])
    whole = search(lab.task(folder=tmp_path), asked, None)
    journal = tmp_path / "trials.jsonl"
    first, second, *rest = journal.read_bytes().splitlines(keepends=True)
    best = whole.trials[1].history[-1]["validation_loss"]
    journal.write_bytes(first + second.replace(repr(best).encode(), b"0.0") + b"".join(rest))
    capsys.readouterr()
    again = search(lab.task(folder=tmp_path), asked, None)
    said = capsys.readouterr().err
    assert "line 2 has no valid checksum" in said
    assert "goes on from 1 finished trial before it" in said
    losses = [[t.history[-1]["validation_loss"] for t in s.trials] for s in (whole, again)]
    assert losses[0] == losses[1]
