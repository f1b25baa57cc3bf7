"""`featx.load_run`: runs of this version and of older ones, and folders that are none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featx
from featx.errors import ConfigError, NoRunError, RunError, UsageError
from featx.formats import write_rows
from featx.record import Record
from featx.runs import Run
from featx.runs.curve import CURVE_COLUMNS
from featx.runs.estimates import Estimate
from featx.runs.extracted import Dataset
from featx.runs.results import Results
from featx.runs.search import Candidate, Search
from featx.runs.tuning import Finetuning
from tests.lab import RESULTS

#: Runs without their models: groups, repeats, an ensemble, a threshold and a learning curve; a
#: fine-tune with a search. The first version of the results, schema 1.
OLD = Path(__file__).parent / "old"
KINDS = ["fit", "finetune"]
LATER = {"n_training", "watched", "validation_change", "last", "search"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the older fit."""
    return Path(shutil.copytree(OLD / "fit", tmp_path / "first"))


def records(value: Any, place: str = "results") -> Iterator[tuple[str, Record]]:
    """Every record of a document, with where it is."""
    if isinstance(value, Record):
        yield place, value
    if isinstance(value, Record | dict):
        for key, each in value.items():
            yield from records(each, f"{place}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from records(each, f"{place}[]")


@pytest.mark.parametrize("kind", KINDS)
def test_an_older_run_is_the_same_document_to_the_byte(kind: str) -> None:
    run = featx.load_run(OLD / kind)
    text = json.dumps(run.results.document(), indent=2, allow_nan=False) + "\n"
    assert text == (OLD / kind / "results.json").read_text()
    environment = json.dumps(run.environment.document(), indent=2) + "\n"
    assert environment == (OLD / kind / "environment.json").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_declared(kind: str) -> None:
    found = dict(records(featx.load_run(OLD / kind).results))
    assert len(found) > 30
    assert {
        place: set(each.model_extra or ()) for place, each in found.items() if each.model_extra
    } == {}


@pytest.mark.parametrize("kind", KINDS)
def test_tables_are_written_as_they_were_read(kind: str, tmp_path: Path) -> None:
    run = featx.load_run(OLD / kind)
    table = run.predictions
    write_rows(tmp_path / "predictions.csv", table.columns, table.rows())
    rows = [[f.id, f.path, f.sha256, f.reason] for f in run.failures]
    write_rows(tmp_path / "failures.csv", ["id", "path", "sha256", "reason"], rows)
    if run.epochs:
        write_rows(tmp_path / "curves.csv", list(run.epochs[0]), (e.values() for e in run.epochs))
    if run.results.learning_curve is not None:
        write_rows(
            tmp_path / "learning_curve.csv", CURVE_COLUMNS, run.results.learning_curve.rows()
        )
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(path.name for path in (OLD / kind).glob("*.csv"))
    for name in written:
        assert (tmp_path / name).read_bytes() == (OLD / kind / name).read_bytes()


def test_what_is_in_a_run() -> None:
    run = featx.load_run(str(OLD / "fit"))
    assert (run.name, run.section, run.classes) == ("fit", "fit", ["+", "-"])
    assert set(run.predictions) == {"oof", "repeated-1", "repeated-2"}
    assert sorted(run.predictions["oof"].ids)[-1] == "-/=00.png"
    assert [failure.id for failure in run.failures] == ["-/broken.png"]
    assert run.config.fit.repeats == 2
    assert run.epochs == []
    assert list(run.levels) == ["repeated", "folds", "oof"]
    accuracy = run.results.estimate.metrics["accuracy"]
    right = run.levels["repeated"].y == run.levels["repeated"].y_pred
    assert accuracy.value == pytest.approx(right.mean())
    tuned = featx.load_run(OLD / "finetune")
    assert tuned.results.finetuning is not None
    assert [(e.training, e.epoch) for e in tuned.epochs][:2] == [
        ("fold 1 of 2", 0),
        ("fold 1 of 2", 1),
    ]
    assert tuned.epochs[0].train_loss is None
    assert tuned.command == f"featx run {OLD}/finetune/config.yaml --set finetune.overwrite=true"


def test_results_are_attributes_and_a_mapping() -> None:
    results = featx.load_run(OLD / "fit").results
    document = json.loads((OLD / "fit" / "results.json").read_text())
    assert list(results) == list(results.keys()) == list(document)
    assert len(results) == len(document)
    assert results == document
    assert results["estimate"]["metrics"] == document["estimate"]["metrics"]
    assert results != {**document, "seed": 5}
    assert results["estimate"]["repeats"]["n"] == results.estimate.repeats.n == 2  # type: ignore[union-attr]
    assert ("finetuning" in results, results.finetuning) == (False, None)
    assert results.get("finetuning", 3) == 3
    with pytest.raises(KeyError):
        results["finetuning"]
    [curve, _] = results["learning_curve"]["classes"]
    assert (curve["class"], curve.label) == ("+", "+")
    assert {**results}.keys() == document.keys()


@pytest.mark.parametrize(
    "later",
    ["schema_version", "near_copies", "trust", "learning_curve", "n_groups_in_all", "search"],
)
def test_what_came_later_may_be_missing(folder: Path, later: str) -> None:
    document = json.loads((folder / "results.json").read_text())
    del document[later]
    (folder / "results.json").write_text(json.dumps(document))
    results = featx.load_run(folder).results
    assert later not in results
    assert results.document() == document


def test_the_first_fine_tunes_said_less_of_their_trainings(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(OLD / "finetune", tmp_path / "tuned"))
    document = json.loads((folder / "results.json").read_text())
    document["finetuning"] = {
        "answer": document["finetuning"]["answer"],
        "trainings": [
            {k: v for k, v in each.items() if k not in LATER}
            for each in document["finetuning"]["trainings"]
        ],
    }
    (folder / "results.json").write_text(json.dumps(document))
    assert featx.load_run(folder).results.document() == document


def test_the_least_that_a_run_holds_is_read(folder: Path) -> None:
    (folder / "results.json").write_text(json.dumps({**RESULTS, "classes": ["+", "-"]}))
    run = featx.load_run(folder)
    assert run.results.schema_version == 1
    assert len(run.predictions["oof"]) == 40


def test_what_a_newer_version_adds_is_kept(folder: Path) -> None:
    document = json.loads((folder / "results.json").read_text())
    document["estimate"]["colour"] = document["colour"] = {"blue": [1]}
    (folder / "results.json").write_text(json.dumps(document))
    results = featx.load_run(folder).results
    assert results.document() == document
    assert results["estimate"]["colour"] == {"blue": [1]}


def test_a_newer_schema_is_refused(folder: Path) -> None:
    document = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**document, "schema_version": 2}))
    with pytest.raises(
        RunError, match=r"results.json' was written by a newer .* its schema is 2, and 1 is"
    ) as found:
        featx.load_run(folder)
    assert found.value.hint == "pip install --upgrade featx"


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("results.json", '"n_images": 40', '"n_images": "x"', "n_images is 'x', but input should"),
        ("results.json", "{", "[", "Expecting"),
        ("environment.json", '"versions"', '"visions"', "it has no versions"),
        ("environment.json", "{", "", "Expecting|Extra data"),
        ("failures.csv", "sha256", "md5", "it has no column 'sha256'"),
        ("failures.csv", "'-/broken.png,", "", "row 1 has 3 of 4 cells"),
        ("predictions.csv", "oof,0,'+", "oof,0,'*", "y_true holds '\\*', which is not a class"),
        ("curves.csv", "fold 1 of 2,0", "fold 1 of 2,one", "epoch is 'one', but input should"),
    ],
)
def test_a_damaged_file_is_named(
    tmp_path: Path, name: str, old: str, new: str, problem: str
) -> None:
    kind = "finetune" if name == "curves.csv" else "fit"
    folder = Path(shutil.copytree(OLD / kind, tmp_path / "run"))
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    with pytest.raises(RunError, match=f"{name}' is not what featx writes: .*({problem})") as found:
        everything(featx.load_run(folder))
    assert found.value.exit_code == 1
    assert found.value.hint == "Fit the run again with --overwrite."


def everything(run: Run) -> None:
    """Read all there is but the model."""
    assert run.levels
    assert run.environment
    assert run.failures is not None
    assert run.epochs is not None


@pytest.mark.parametrize("name", ["environment.json", "failures.csv"])
def test_a_file_that_is_gone_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(RunError, match=f"{name} cannot be read"):
        everything(featx.load_run(folder))


def test_a_configuration_that_is_gone_is_named(folder: Path) -> None:
    (folder / "config.yaml").unlink()
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        featx.load_run(folder).config  # noqa: B018


def test_a_folder_that_is_no_run_is_a_usage_error(tmp_path: Path) -> None:
    for kind in (RunError, UsageError, NoRunError):
        with pytest.raises(kind, match="is not a run: it has no results") as found:
            featx.load_run(tmp_path)
        assert found.value.exit_code == 2


def test_probabilities_come_back_to_the_bit(tmp_path: Path) -> None:
    table = featx.load_run(OLD / "fit").predictions
    part = table["oof"]
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([1e-3, 1.0], len(part))
    changed = type(table)(table.classes, {"oof": type(part)(**{**vars(part), "proba": proba})})
    write_rows(tmp_path / "p.csv", changed.columns, changed.rows())
    again = type(table).parse((tmp_path / "p.csv").read_bytes(), table.classes)
    np.testing.assert_array_equal(again["oof"].proba, proba)


def test_the_documentation_names_every_field() -> None:
    page = (Path(__file__).parents[2] / "docs" / "runs.md").read_text("utf-8")
    fields = {*Results.model_fields, *Candidate.model_fields, *Estimate.model_fields}
    fields |= {*Dataset.model_fields, *Search.model_fields, *Finetuning.model_fields}
    assert {name for name in fields if f"`{name}`" not in page} == set()
