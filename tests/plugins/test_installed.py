"""Plug-ins of installed packages: found, used, recorded, and refused where they must be."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featx
from featx.errors import ModelError, PluginError
from featx.heads import HEADS, freeze
from featx.samplers import SAMPLERS
from tests.lab import Featx, flags, in_process
from tests.plugins.acme import PAGE, install, install_page


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder where packages are installed; what is imported from it is forgotten."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"acme_featx", "other"}:
            del sys.modules[name]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Featx:
    """The command line, in a folder with twelve photos of two colours."""
    rng = np.random.default_rng(0)
    for i in range(12):
        colour = [200, 60, 60] if i % 2 else [60, 60, 200]
        pixels = np.clip(rng.normal(colour, 30, (40, 48, 3)), 0, 255).astype(np.uint8)
        path = tmp_path / "photos" / ("red" if i % 2 else "blue") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATX_NETWORKS", str(tmp_path / "networks"))
    return in_process(capfd)


def test_the_package_of_the_page_fits_and_scores(
    site: Path, run: Featx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_page(site)
    commands = re.findall(r"^\$ featx (.*)$", PAGE.read_text(), re.M)
    assert len(commands) == 2
    for command in commands:
        outcome = run(*shlex.split(command))
        assert outcome.code == 0, outcome.err
    header, *rows = (tmp_path / "scores.tsv").read_text().splitlines()
    assert header.split("\t")[:3] == ["path", "prediction", "probability"]
    assert [Path(row.split("\t")[0]).parent.name for row in rows] == [
        row.split("\t")[1] for row in rows
    ]
    results = featx.load_run("runs/acme").results
    assert {c["sampler"] for c in results.document()["candidates"]} == {"none", "tomek-links"}
    document = json.loads((tmp_path / "runs/acme/model/model.json").read_bytes())
    acme = {"package": "acme-featx", "version": "1.0"}
    assert document["heads"]["head.safetensors"]["plugin"] == acme
    assert document["extractors"][0]["plugin"] == acme
    assert document["extractors"][0]["document"]["numerics"]["engine"] == "acme-loop"

    doctor = run("doctor")
    assert re.search(r"acme-loop +engine +acme-featx 1\.0 +yes", doctor.out)
    listed = json.loads(run("doctor", "--json").out)["plugins"]
    assert [row["fault"] for row in listed] == [None] * 5
    backbones = run("backbones", "acme:")
    assert "acme:stripes" in backbones.out
    assert "acme: from the package acme-featx 1.0" in backbones.err
    [row] = json.loads(run("backbones", "acme:", "--json").out)
    assert row["plugin"] == "acme-featx 1.0"

    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(site)])
    with pytest.raises(ModelError, match=r"of the package acme-featx 1\.0, which is not inst"):
        featx.load_model("runs/acme")
    without = run("score", "runs/acme", "photos", "-o", "again.csv")
    assert without.code == 1
    assert "pip install 'acme-featx==1.0'" in without.err


def test_a_backbone_of_a_package_that_is_gone_is_named_when_it_is_needed(
    site: Path, run: Featx, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_page(site)
    options = flags({"backbone": "acme:stripes", "engine": "torch", "estimate": "cv", "cv": 2})
    assert run("fit", "photos", "--name", "m", *options).code == 0
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p != str(site)])
    model = featx.load_model("runs/m")  # predicts from arrays without it
    assert len(model.predict(np.zeros((2, model.n_features), np.float32))) == 2
    outcome = run("score", "runs/m", "photos", "-o", "again.csv")
    assert outcome.code == 1
    assert "'acme:stripes' comes from the package acme-featx 1.0" in outcome.err
    featx.artifact.save_model(model, "copy")
    saved = json.loads(Path("copy/model.json").read_bytes())["extractors"][0]
    assert saved["plugin"] == {"package": "acme-featx", "version": "1.0"}


def test_broken_plug_ins_are_named_and_cost_nothing_else(site: Path, run: Featx) -> None:
    install_page(site)
    install(
        site,
        {
            "other.py": "raise RuntimeError('no such\\nlibrary')",
            "acme_featx/offline.py": "class Source:\n"
            "    def names(self): raise OSError('no network')\n"
            "    info = build = sketch = names\n"
            "SOURCE = Source()",
            "acme_featx/blind.py": "class Source:\n"
            "    def names(self): return ['stripes']\n"
            "    def info(self, name): raise OSError('nothing known')\n"
            "    build = sketch = info\n"
            "SOURCE = Source()",
        },
        name="other",
        groups={
            "featx.heads": {"crashes": "other:HEAD", "absent": "nowhere:HEAD", "A b": "other:X"},
            "featx.backbones": {
                "zoo": "other:ZOO",
                "offline": "acme_featx.offline:SOURCE",
                "blind": "acme_featx.blind:SOURCE",
            },
            "featx.samplers": {"wrong": "acme_featx.heads:GAUSSIAN_NB", "late": "acme_featx:NONE"},
        },
    )
    assert {"crashes", "gaussian-nb", "logreg"} <= set(HEADS.names())
    with pytest.raises(PluginError, match=r"of the package other 1\.0 cannot be imported"):
        HEADS.get("crashes")
    with pytest.raises(PluginError, match=r"it is a Head, not a featx\.samplers\.Sampler"):
        SAMPLERS.get("wrong")
    assert HEADS.get("gaussian-nb").name == "gaussian-nb"
    outcome = run("fit", "photos", "--head", "crashes")
    assert outcome.code == 1
    assert "RuntimeError: no such library" in outcome.err
    assert "pip uninstall other" in outcome.err
    listed = run("backbones", "stripes")
    assert "acme:stripes" in listed.out
    for name, why in (("offline", "no network"), ("blind", "nothing known")):
        assert f"{name!r} of the package other 1.0 is left out: OSError: {why}" in listed.err
    faults = {r["name"]: r["fault"] for r in json.loads(run("doctor", "--json").out)["plugins"]}
    broken = {"crashes", "absent", "A b", "zoo", "wrong", "late"}
    assert {name for name, fault in faults.items() if fault} == broken


def test_a_name_has_one_meaning(site: Path) -> None:
    install_page(site)
    groups = {"featx.heads": {"logreg": "other:HEAD", "gaussian-nb": "other:HEAD"}}
    install(site, {"other.py": "HEAD = 1"}, name="other", version="2", groups=groups)
    with pytest.raises(PluginError, match="'logreg' comes from featx itself and other 2"):
        HEADS.get("logreg")
    with pytest.raises(PluginError, match=r"comes from acme-featx 1\.0 and other 2"):
        HEADS.get("gaussian-nb")
    assert HEADS.get("ridge").name == "ridge"


def test_a_damaged_package_of_others_changes_nothing(site: Path) -> None:
    install_page(site)
    folder = site / "damaged-1.dist-info"
    folder.mkdir()
    (folder / "entry_points.txt").write_bytes(b"[featx.heads]\n\xff\xfe no equals sign\n")
    assert "gaussian-nb" in HEADS.names()


def test_the_head_that_was_fitted_is_the_one_that_is_saved(site: Path) -> None:
    """Even where featx has a head that fits classifiers of the same class."""
    code = "from dataclasses import replace\nfrom featx.heads.ridge import PLUGIN as own\n"
    code += "HEAD = replace(own, name='a-ridge')"
    install(site, {"other.py": code}, name="other", groups={"featx.heads": {"a-ridge": "other"}})
    with pytest.raises(PluginError, match="it is a module"):
        HEADS.get("a-ridge")
    (site / "other.py").write_text(code.replace("HEAD", "PLUGIN"))
    sys.modules.pop("other")
    fitted = HEADS.get("a-ridge").build(None, 0).fit(np.eye(4), [0, 1, 0, 1])
    assert freeze(fitted).head == "ridge"
    fitted.featx_head = "a-ridge"
    assert freeze(fitted).head == "a-ridge"


def test_what_is_kept_is_kept_for_one_content_of_a_plug_in(site: Path) -> None:
    install_page(site)
    before = HEADS.contents()
    assert before[0][:3] == ["gaussian-nb", "acme-featx", "1.0"]
    path = site / "acme_featx" / "heads.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert HEADS.contents() != before


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"]])
def test_help_reads_no_entry_points(arguments: list[str]) -> None:
    code = (
        "import sys, featx.registry as r\n"
        "def read(*a, **k): sys.exit('entry points were read')\n"
        "r._entry_points = r._all_entry_points = read\n"
        f"from featx.cli.main import main\nmain({arguments})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
