"""``featx finetune`` as a user runs it: models, folds, the guard, kill -9, wrong input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import featx
from featx.artifact import load_model, save_model
from featx.config import ExtractConfig, FinetuneConfig
from featx.errors import ModelError
from featx.finetuning.checkpoints import read_snapshot
from featx.finetuning.devices import choose_place
from featx.finetuning.folds import FinetuneContext
from featx.fitting.data import Part
from tests.lab import NETWORK, NUMERICS, TUNING, Featx, csv_rows, flags, in_folder

SMALL, NUMBERS, TRAINING = flags(NETWORK), flags(NUMERICS), flags(TUNING)


@pytest.fixture
def run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, workspace: Path
) -> Featx:
    """Run ``featx ARGUMENTS`` in the workspace."""
    return in_folder(workspace, capfd, monkeypatch)


def rows(folder: Path, split: str) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in csv_rows(folder / "predictions.csv") if row["split"] == split}


def results(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return document


@pytest.fixture
def tuned(run: Featx, workspace: Path) -> Path:
    """A run with a test split, made once; fine-tuning ended above its warm start."""
    folder = workspace / "runs" / "tuned"
    if not folder.exists():
        done = run("finetune", "split", *SMALL, *TRAINING, "--epochs", "3", "--name", "tuned", "-v")
        assert done.code == 0, done.err
        assert "Estimate: the fine-tuned backbone and head" in done.out
        recipe = "balanced preset, one recipe of 3 epochs at learning rate 0.001, last-1 unfrozen"
        assert f"Plan: {recipe}, in 1 training: about " in done.err
        assert results(folder)["finetuning"]["tried"]["recipe"] == recipe
        assert recipe in (folder / "model" / "README.md").read_text()
    return folder


def test_the_configuration_of_a_run_makes_it_again(run: Featx, tuned: Path) -> None:
    config = str(tuned / "config.yaml")
    done = run("run", config, "--set", "finetune.name=again", "--set", "finetune.epochs=1", "-v")
    assert done.code == 0, done.err
    assert "Estimate: " in done.out
    assert "Next: featx score runs/again NEW_IMAGES" in done.err


@pytest.fixture
def fitted(run: Featx, workspace: Path) -> Path:
    """A run of ``featx fit`` on images without a test split, made once."""
    folder = workspace / "runs" / "first"
    if not folder.exists():
        made = run("fit", "photos", *SMALL, *NUMBERS, "--cv", "2", "--seed", "3", "--name", "first")
        assert made.code == 0, made.err
    return folder


def test_a_run_is_like_any_other(tuned: Path) -> None:
    found = results(tuned)
    assert found["chosen"]["kind"] == "finetuned"
    assert found["estimate"]["method"] == "test"
    assert found["estimate"]["n_images"] == 9
    assert found["estimates"]["frozen"]["n_images"] == 9
    assert len(rows(tuned, "test")) == len(rows(tuned, "frozen")) == 9
    assert {row["fold"] for row in rows(tuned, "test").values()} == {""}
    assert found["cost"]["finetune_s"] > 0
    [training] = found["finetuning"]["trainings"]
    change = training["validation_change"]
    for kind in ("frozen", "finetuned"):
        said = training[kind]["validation_score"]
        assert change["score"][kind] == pytest.approx(said, abs=1e-4)
    assert change["loss"]["finetuned"] <= training["finetuned"]["validation_loss"]  # calibrated
    assert change["loss"]["low"] <= change["loss"]["difference"] <= change["loss"]["high"]
    header, *lines = (tuned / "curves.csv").read_text().splitlines()
    assert header.startswith("training,epoch,step,train_loss")
    assert len(lines) == 4
    config = (tuned / "config.yaml").read_text()
    assert "finetune.overwrite=true" in config
    assert "name: tuned" in config


def test_the_model_is_scored_with_its_own_backbone(run: Featx, tuned: Path) -> None:
    done = run("score", "runs/tuned", "split/test", "--proba", "-o", "s.csv", "--overwrite")
    assert done.code == 0, done.err
    scored = {row["path"]: row for row in csv_rows(Path("s.csv"))}
    for name, row in rows(tuned, "test").items():
        short = name.removeprefix("test/")
        assert scored[short]["prediction"] == row["y_pred"]
        for c in "abc":
            assert float(scored[short][f"p_{c}"]) == pytest.approx(float(row[f"p_{c}"]), abs=1e-6)


def test_the_backbone_is_verified_and_travels_in_one_file(
    run: Featx, tuned: Path, tmp_path: Path
) -> None:
    model = load_model(tuned)
    assert model.extractors[0].backbone_request.weights == str(
        tuned / "model" / "backbone-0.safetensors"
    )
    assert model.extractors[0].request["weights"] is None
    found = results(tuned)
    assert model.specs[0].fingerprint == found["finetuning"]["extraction"]["fingerprint"]
    frozen = found["extraction"]["timm:test_resnet"]
    assert frozen["fingerprint"] != model.specs[0].fingerprint  # what it began with is priced
    assert frozen["report"]["images"] == frozen["report"]["cached"] + frozen["report"]["computed"]
    save_model(model, tmp_path / "m.featx")
    again = load_model(tmp_path / "m.featx")
    X = np.random.default_rng(0).normal(size=(4, model.n_features)).astype(np.float32)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    assert run("score", str(tmp_path / "m.featx"), "split/test", "-o", "t.csv").code == 0
    save_model(model, tmp_path / "copy")
    weights = tmp_path / "copy" / "backbone-0.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match=r"backbone-0\.safetensors is not the file that model"):
        load_model(tmp_path / "copy")


def test_its_embeddings_have_a_store_of_their_own(run: Featx, tuned: Path) -> None:
    done = run("extract", "split", "--model", "runs/tuned", "--json")
    assert done.code == 0, done.err
    [document] = json.loads(done.out)
    assert document["fingerprint"] == load_model(tuned).specs[0].fingerprint
    assert document["report"]["cached"] == 39
    found = featx.extract("split", model=tuned)
    assert not isinstance(found, list)
    model = load_model(tuned)
    said = dict(zip(found.ids, model.predict(found.X), strict=True))
    assert {
        name: row["y_pred"] for name, row in rows(tuned, "test").items()
    }.items() <= said.items()
    refused = run("extract", "split", "--model", "runs/tuned", "--backbone", "featx:mini-v1")
    assert refused.code == 2
    assert "--backbone cannot be combined with --model" in refused.err


def test_it_says_how_far_to_trust_it(tuned: Path) -> None:
    model = load_model(tuned)
    X = featx.extract("split", model=model).X  # type: ignore[union-attr]
    sets, scores = model.predict_sets(X), model.ood_scores(X)
    assert sets is not None
    assert scores is not None
    assert sets.any(axis=1).all()
    assert model.trust is not None
    assert model.trust.novelty is not None
    far = model.ood_scores(X + 100)
    assert far is not None
    assert (far > model.trust.novelty.limit).all()


def test_folds_are_those_of_the_run(run: Featx, fitted: Path, workspace: Path) -> None:
    done = run(
        "finetune", "photos", "--from", "runs/first", *TRAINING, "--epochs", "1", "--name", "cv"
    )
    assert done.code == 0, done.err
    found = results(workspace / "runs" / "cv")
    assert found["seed"] == 3
    assert found["estimate"]["method"] == "cv"
    assert [t["name"] for t in found["finetuning"]["trainings"]] == [
        "fold 1 of 2",
        "fold 2 of 2",
        "all images",
    ]
    mine, theirs = rows(workspace / "runs" / "cv", "oof"), rows(fitted, "oof")
    assert {k: r["fold"] for k, r in mine.items()} == {k: r["fold"] for k, r in theirs.items()}
    assert len(mine) == 30


def test_the_judged_fold_is_not_read_in_training(
    run: Featx, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featx import finetuning

    seen = []
    original = finetuning.train

    def record(task: Any, config: Any) -> Any:
        seen.append((task.name, set(task.training), set(task.validation), task.bank.paths))
        return original(task, config)

    monkeypatch.setattr(finetuning, "train", record)
    assert (
        run(
            "finetune",
            "photos",
            "--from",
            "runs/first",
            *TRAINING,
            "--epochs",
            "1",
            "--name",
            "seen",
        ).code
        == 0
    )
    fold = {name: int(row["fold"]) for name, row in rows(fitted, "oof").items()}
    for held, (_, training, validation, paths) in enumerate(seen[:2]):
        assert not training & validation
        images = ["/".join(Path(paths[i]).parts[-2:]) for i in training | validation]
        assert {fold[name] for name in images} == {1 - held}
        assert len(images) == sum(f != held for f in fold.values())


def test_a_search_is_made_inside_every_fold_and_told(
    run: Featx, fitted: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    from featx.finetuning import searching

    seen = []
    original = searching.train

    def record(task: Any, config: Any) -> Any:
        seen.append((task.name, set(task.training) | set(task.validation), task.bank.paths))
        return original(task, config)

    monkeypatch.setattr(searching, "train", record)
    asked = ["--trials", "2", "--budget", "1h", "--tune", "learning_rate", "--tune", "augment"]
    done = run(
        *("finetune", "photos", "--from", "runs/first", *TRAINING, *asked),
        *("--epochs", "1", "--name", "searched", "-v"),
    )
    assert done.code == 0, done.err
    assert "Tried for all images" in done.out
    trainings = results(workspace / "runs" / "searched")["finetuning"]["trainings"]
    assert [len(t["search"]["trials"]) for t in trainings] == [2, 2, 2]
    for training in trainings:
        first, second = training["search"]["trials"]
        assert (first["learning_rate"], first["augment"]) == (1e-3, "crop")
        assert (second["learning_rate"], second["augment"]) != (1e-3, "crop")
        best = min(first, second, key=lambda t: (-t["validation_score"], t["validation_loss"]))
        assert training["finetuned"]["validation_loss"] == best["validation_loss"]
    fold = {name: int(row["fold"]) for name, row in rows(fitted, "oof").items()}
    for name, images, paths in seen:
        if name.startswith("fold"):
            used = ["/".join(Path(paths[i]).parts[-2:]) for i in images]
            judged = int(name.split()[1]) - 1
            assert {fold[i] for i in used} == {1 - judged}
    assert len({name for name, _, _ in seen}) == 6
    assert not list((workspace / "runs").glob(".finetuning-*/*/trial-*"))


def test_the_guard_keeps_the_frozen_model(
    run: Featx, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = [*SMALL, *NUMBERS, "--optimizer", "sgd", "--learning-rate", "50", "--clip", "0"]
    done = run("finetune", "split", *options, "--epochs", "2", "--name", "worse", "-v")
    assert done.code == 0, done.err
    assert "featx keeps the frozen backbone: training ended before its first epoch" in done.err
    assert "Tried: balanced preset, one recipe of 2 epochs at learning rate 50; another" in done.err
    assert "that backbone with a head fitted on all 30 training images" in done.err
    assert "not fine-tuned, since no epoch was better: the frozen backbone with a head" in done.out
    folder = workspace / "runs" / "worse"
    found = results(folder)
    assert found["finetuning"]["answer"] == found["chosen"]["kind"] == "frozen"
    assert found["finetuning"]["trainings"][0]["below_warm_start"]
    model = load_model(folder)
    assert model.extractors[0].weights is None
    assert len(rows(folder, "test")) == len(rows(folder, "finetuned")) == 9


def featx_where(change: str, *arguments: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own, in which ``change`` of `interrupt_lab` was made."""
    imports = "import sys; import interrupt_lab as lab; from featx.cli.main import main"
    code = f"{imports}; from featx.finetuning import starting; {change}; main(sys.argv[1:])"
    paths = [Path(__file__).parent, Path(__file__).parents[2]]
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
    )


def test_kill_9_and_the_same_command_goes_on(run: Featx, workspace: Path) -> None:
    options = ["--epochs", "3", "--patience", "9", "--checkpoint-s", "0"]
    arguments = ["finetune", "split", *SMALL, *TRAINING, *options, "--runs", "killed"]
    process = featx_where("lab.before_step(5, lab.die)", *arguments, "--name", "k")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (workspace / "killed" / "k").exists()
    done = run(*arguments, "--name", "k")
    assert done.code == 0, done.err
    assert "going on from a checkpoint, epoch 2, step 5" in done.err
    assert not list(Path("killed").glob(".finetuning-*"))
    whole = run(*arguments, "--name", "whole")
    assert whole.code == 0, whole.err
    assert "going on from" not in whole.err
    texts = [Path(f"killed/{name}/predictions.csv").read_text() for name in ("k", "whole")]
    assert texts[0] == texts[1]
    digests = [
        load_model(f"killed/{name}").specs[0].document["weights_sha256"] for name in ("k", "whole")
    ]
    assert digests[0] == digests[1]


def running(parent: int | None = None) -> set[int]:
    """Processes that compute still, as Linux tells: all, or those that one process started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, its_parent = path.read_text().rpartition(") ")[2].split()[:2]
        except OSError:  # it has ended meanwhile
            continue
        if state not in "ZX" and parent in (None, int(its_parent)):
            found.add(int(path.parent.name))
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_processes_end_with_the_command_and_another_number_goes_on(
    run: Featx, tuned: Path, workspace: Path
) -> None:
    options = [*TRAINING, "--epochs", "3", "--checkpoint-s", "0", "--runs", "shared"]
    arguments = ["finetune", "split", *SMALL, *options, "--name", "s"]
    change = "starting._train_share = lab.share_until_halted"
    process = featx_where(change, *arguments, "--processes", "2")
    deadline = time.monotonic() + 600  # longer than a machine stops for
    while process.poll() is None and time.monotonic() < deadline:
        found = list(Path("shared").glob(".finetuning-*/*/last.safetensors"))
        snapshot = read_snapshot(found[0], aloud=False) if found else None
        if snapshot is not None and snapshot[1]["step"] == 3:
            break
        time.sleep(0.05)
    children = running(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    said = process.communicate()[1].decode()
    assert "with torch in fp32 on cpu in 2 processes" in said
    assert "Error" not in said
    assert len(children) >= 2
    while children & running() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not children & running()
    assert not (workspace / "shared" / "s").exists()
    done = run(*arguments)
    assert done.code == 0, done.err
    assert "going on from a checkpoint, epoch 1, step 3" in done.err
    mine, theirs = rows(workspace / "shared" / "s", "test"), rows(tuned, "test")
    assert mine.keys() == theirs.keys()
    for name, row in mine.items():
        for c in "abc":
            expected = pytest.approx(float(theirs[name][f"p_{c}"]), abs=1e-4)
            assert float(row[f"p_{c}"]) == expected


@pytest.mark.parametrize("native", [True, False])
def test_emulated_bf16_is_warned_of(
    native: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("featx.engines.torch._multiplies_bf16", lambda _: native)
    for precision in ("bf16", "auto", "fp32"):
        extract = ExtractConfig(device="cpu", precision=precision)
        place = choose_place(extract, FinetuneConfig())
        said = capsys.readouterr().err
        assert ("torch emulates it" in said) == (precision == "bf16" and not native)
    assert place.precision == "fp32"


def test_torchrun_is_refused(run: Featx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = run("finetune", "split", *SMALL, *TRAINING)
    assert done.code == 2
    assert "torchrun started 2 processes of featx finetune, which starts its own" in done.err
    assert "without torchrun" in done.err


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:0,cuda:7", "Device 'cuda:0,cuda:7' is not on this machine; there are: auto, "),
        ("cpu,cuda:0", "Device 'cpu,cuda:0'"),
        ("cpu,cpu", "Device 'cpu,cpu': only different GPUs can run together"),
    ],
)
def test_devices_that_cannot_share_a_step(run: Featx, device: str, message: str) -> None:
    done = run("finetune", "split", *SMALL, "--engine", "torch", "--device", device)
    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--processes", "33"], "--train-batch 32 is smaller than the 33 devices that share"),
        (["--processes", "0"], "processes: input should be greater than or equal to 1"),
        (["--unfreeze", "some"], "should be head, last-N (such as last-1), all or gradual"),
        (["--unfreeze", "last-99"], "the backbone has 5 stages: conv1, layer1"),
        (["--learning-rate", "-1"], "learning_rate: input should be greater than 0"),
        (["--from", "nowhere"], "--from nowhere is not a run"),
        (["--backbone", "featx:mini-v1"], "One backbone can be fine-tuned at a time; 2 are named"),
        (["--precision", "fp16"], "fp16"),
        (["--from", "runs/first", "--seed", "9"], "--seed 9 is not what the run runs/first has: 3"),
        (["--from", "runs/first", "--estimate", "test"], "--estimate test is not what the run"),
        (["--name", "a/b"], "must be a plain folder name"),
    ],
)
def test_wrong_input_is_a_usage_error(
    run: Featx, fitted: Path, arguments: list[str], message: str
) -> None:
    options = [*SMALL, "--engine", "torch", "--epochs", "1"]
    done = run("finetune", "photos", *options, *arguments)
    assert done.code == 2
    assert message in done.err


def test_a_run_on_other_images_is_refused(run: Featx, fitted: Path) -> None:
    done = run("finetune", "split/train", "--from", "runs/first", *TRAINING)
    assert done.code == 2
    assert "other images: names are equal, contents or labels are not" in done.err


def test_the_library_says_the_same(
    run: Featx, tuned: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = featx.finetune(
        "split",
        **NETWORK,
        **TUNING,
        epochs=3,
        name="library",
    )
    assert rows(finished.folder, "test") == rows(tuned, "test")
    assert finished.model.predict(np.zeros((1, finished.model.n_features), np.float32))[0] in "abc"


@pytest.mark.parametrize("strength", ["none", "strong", "randaugment"])
def test_the_preview_shows_images_and_their_views(
    run: Featx, workspace: Path, strength: str
) -> None:
    done = run(
        "finetune",
        "split",
        *SMALL,
        "--crop",
        "1",
        "--augment",
        strength,
        "--preview",
        f"{strength}.png",
    )
    assert done.code == 0, done.err
    assert "8 images and 7 views of each written to" in done.err
    with Image.open(f"{strength}.png") as sheet:
        assert sheet.size == (8 * 36 - 4, 8 * 36 - 4)
        pixels = np.asarray(sheet)
    views = [pixels[:32, k * 36 : k * 36 + 32] for k in range(8)]
    same = [np.array_equal(views[0], view) for view in views]
    assert same == [True] * 8 if strength == "none" else same == [True] + [False] * 7
    with Image.open(workspace / "split" / "train" / "b" / "0.png") as image:
        np.testing.assert_array_equal(pixels[36 : 36 + 32, :32], np.asarray(image))


def test_a_preview_of_another_kind_is_refused(run: Featx) -> None:
    done = run("finetune", "split", *SMALL, "--preview", "sheet.gif")
    assert done.code == 2
    assert "allowed are .png, .jpg, .jpeg, .webp" in done.err


def test_an_mlp_of_two_classes_in_groups_from_a_configuration(run: Featx, workspace: Path) -> None:
    lines = ["path,label,group,side"]
    for folder in ("photos", "split/train"):
        paths = [(c, i, f"{folder}/{c}/{i}.png") for c in "ab" for i in range(10)]
        lines += [f"{path},{c},{folder}{c}{i // 2},{folder[:5]}" for c, i, path in paths]
    Path("grouped.csv").write_text("\n".join(lines) + "\n")
    options = ["--head", "mlp", "--folds", "2", "--epochs", "1", "--unfreeze", "gradual"]
    options += ["--by", "side"]
    first = run("finetune", "grouped.csv", *SMALL, *NUMBERS, *options, "--name", "grouped")
    assert first.code == 0, first.err
    found = results(workspace / "runs" / "grouped")
    assert found["n_groups"] == 20
    assert found["chosen"]["head"] == "mlp"
    assert found["estimate"]["by_group"]["n_predicted_groups"] == 20
    assert found["estimate"]["by_group"]["prediction_sets"]["over"] == "groups"
    [by] = found["by"]
    assert [(row["value"], row["images"]) for row in by["rows"]] == [("photo", 20), ("split", 20)]
    model = json.loads((workspace / "runs/grouped/model/model.json").read_text())
    assert model["trust"]["groups"]["groups"] > 0
    oof = rows(workspace / "runs" / "grouped", "oof")
    folds: dict[str, set[str]] = {}
    for name, row in oof.items():
        group = f"{Path(name).parent}{int(Path(name).stem) // 2}"
        folds.setdefault(group, set()).add(row["fold"])
    assert all(len(found) == 1 for found in folds.values())
    again = run(
        "run",
        "runs/grouped/config.yaml",
        "--set",
        "finetune.overwrite=true",
        "--json",
    )
    assert again.code == 0, again.err
    assert rows(workspace / "runs" / "grouped", "oof") == oof


@pytest.mark.parametrize("seed", range(5))
def test_no_group_straddles_the_validation_part(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 80
    groups = rng.integers(0, 25, n)
    part = Part(
        X={"x": np.zeros((n, 2), np.float32)},
        y=rng.integers(0, 3, n),
        classes=["a", "b", "c"],
        ids=[str(i) for i in range(n)],
        copies=np.where(rng.random(n) < 0.1, 0, np.arange(n)),
        groups=groups,
        hashes=np.zeros((n, 32), np.uint8),
    )
    config = FinetuneConfig(seed=seed)
    context = FinetuneContext(part, None, None, config, "cpu", "fp32", True, Path())  # type: ignore[arg-type]
    rows_ = rng.random(n) < 0.7
    held = context._validation(rows_)
    assert held.any()
    assert not (held & ~rows_).any()
    training = rows_ & ~held
    assert not np.intersect1d(part.components[held], part.components[training]).size
    assert set(part.y[training]) == set(part.y[rows_])
