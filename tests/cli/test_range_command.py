"""``--range`` from the command line: found once, kept in the run and the model, used in scoring."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from featx.artifact import load_model
from tests.lab import NETWORK, Featx, flags

BACKBONE = flags(NETWORK)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of grey pictures whose 10-bit values lie in 16-bit files; one has a copy in 8."""
    random = np.random.default_rng(0)
    for label, mean in (("dark", 300), ("light", 700)):
        for i in range(6):
            values = random.normal(mean, 60, (24, 24)).clip(0, 1023)
            path = tmp_path / "photos" / label / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.astype(np.uint16)).save(path)
    return tmp_path / "photos"


@pytest.mark.parametrize("command", ["inspect", "extract"])
def test_a_narrow_range_is_said(featx: Featx, photos: Path, command: str):
    said = "These 12 files hold 16-bit values but use only 0..1023 (10 bits)"
    own = [] if command == "inspect" else BACKBONE
    outcome = featx(command, photos, *own)
    assert outcome.code == 0, outcome.err
    assert said in " ".join((outcome.out + outcome.err).split())
    if command == "extract":  # nothing is decoded any more
        assert said not in featx(command, photos, *own).err
        assert said not in featx(command, photos, *own, "--range", "0-1023").err


def test_auto_is_settled_in_the_run_and_the_model_and_used_in_scoring(
    featx: Featx, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    runs = tmp_path / "runs"
    options = ["--runs", runs, "--name", "r", "--cv", "2", "-j", "1", "--no-report"]
    outcome = featx("fit", photos, *BACKBONE, "--range", "auto", "--head", "logreg", *options)
    assert outcome.code == 0, outcome.err
    assert "--range auto is 0-1023: the values fit 10 bits, in 12 training images" in outcome.err
    assert "16-bit values" not in outcome.err
    config = yaml.safe_load((runs / "r" / "config.yaml").read_text())
    assert config["extract"]["range"] == "0-1023"
    model = load_model(runs / "r")
    assert model.extractors[0].document["preprocess"]["range"] == "0-1023"

    seen: list[str] = []
    from featx.extraction import reading

    decode = reading.decode

    def watched(data: bytes, *, range: str, **options: object) -> object:
        seen.append(range)
        return decode(data, range=range, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "decode", watched)
    new = tmp_path / "new"
    new.mkdir()
    Image.fromarray(np.full((24, 24), 500, np.uint16)).save(new / "x.png")
    outcome = featx("score", runs / "r", new, "-o", tmp_path / "scores.csv")
    assert outcome.code == 0, outcome.err
    assert seen == ["0-1023"]


def test_ranges_have_stores_of_their_own_and_full_keeps_the_one_it_has(featx: Featx, photos: Path):
    def store(*more: str) -> tuple[str, int]:
        outcome = featx("extract", photos, *BACKBONE, *more, "--json")
        assert outcome.code == 0, outcome.err
        [document] = json.loads(outcome.out)
        return document["store"], document["report"]["computed"]

    full = store()[0]
    assert store("--range", "full") == (full, 0)
    assert store("--range", "0-65535.0")[0] != full
    narrow = store("--range", "0-1023")
    assert narrow[0] != full
    assert store("--range", "auto") == (narrow[0], 0)
    assert store("--range", "0.0-1023.0") == (narrow[0], 0)


@pytest.mark.parametrize("text", ["4095-0", "twelve bits", "0-"])
def test_a_wrong_range_is_a_usage_error(featx: Featx, photos: Path, text: str):
    outcome = featx("extract", photos, *BACKBONE, "--range", text)
    assert outcome.code == 2
    assert f"'{text}' is not a range of pixel values: give full, auto or LOW-HIGH" in outcome.err
    assert ".." not in outcome.err.replace(text, "")
