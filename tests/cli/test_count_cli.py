"""``featx count`` as a user types it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from featx.api.count import count
from featx.errors import UsageError
from tests.cli.conftest import COLOURS, Featx, paint
from tests.lab import csv_rows


@pytest.fixture
def season(workspace: Path) -> Path:
    """Sixteen blue and eight red images at two sites, no green one, and a broken file."""
    folder = workspace / "season"
    if not folder.exists():
        rng = np.random.default_rng(5)
        for i in range(24):
            name = "red" if i % 3 == 0 else "blue"
            paint(folder / f"site{i % 2}" / f"{name}-{i:02}.png", COLOURS[name], rng)
        (folder / "site0" / "broken.png").write_bytes(b"")
    return folder


def fill(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def audit(featx: Featx, run_folder: Path, season: Path, workspace: Path) -> list[dict[str, str]]:
    """Twelve images drawn, as they are written."""
    done = featx("count", run_folder, season, "--audit", "12", "--overwrite")
    assert done.code == 0, done.err
    return csv_rows(workspace / "audit.csv")


def test_counts_by_site(featx: Featx, run_folder: Path, season: Path, workspace: Path) -> None:
    flags = ["--by", "folder:0", "-o", "counts.csv", "--report", "counts.html", "--overwrite"]
    done = featx("count", run_folder, season, *flags)
    assert done.code == 0, done.err
    rows = csv_rows(workspace / "counts.csv")
    assert [(r["by"], r["value"], r["images"]) for r in rows[::3]] == [
        ("", "", "24"), ("folder:0", "site0", "12"), ("folder:0", "site1", "12"),
    ]  # fmt: skip
    for start in (0, 3, 6):
        part = rows[start : start + 3]
        assert sum(int(r["count"]) for r in part) == int(part[0]["images"])
        assert sum(float(r["share"]) for r in part) == pytest.approx(1)
        for r in part:
            assert 0 <= int(r["low"]) <= int(r["count"]) <= int(r["high"]) <= int(r["images"])
    whole = {r["class"]: r for r in rows[:3]}
    assert {k: int(r["predicted"]) for k, r in whole.items()} == {"blue": 16, "green": 0, "red": 8}
    assert int(whole["blue"]["low"]) <= 16 <= int(whole["blue"]["high"])
    assert done.out.splitlines()[0].split() == (
        ["class", "predicted", "count", "95", "%", "interval", "share", "interval"]
    )
    assert "1 file could not be read and is in no count." in done.out
    assert "Corrected for the model's errors on held-out folds (28 images)." in done.out
    assert "site1         12" in done.out
    assert done.out.endswith("Counts: counts.csv\nPage: counts.html\n")
    page = (workspace / "counts.html").read_text("utf-8")
    assert "Counts with their intervals" in page
    assert "site1" in page
    again = featx("count", run_folder, season, "-o", "counts.csv")
    assert (again.code, "exists already" in again.err) == (2, True)
    assert featx("count", run_folder, season, "-q", "--strict").code == 3


def test_json(featx: Featx, run_folder: Path, season: Path) -> None:
    done = featx("count", run_folder, season, "--json", "--by", "folder:0")
    document = json.loads(done.out)
    assert (document["images"], document["unread"], document["audited"]) == (24, 1, 0)
    assert [part["value"] for part in document["counts"]] == [None, "site0", "site1"]
    assert sum(c["count"] for c in document["counts"][0]["classes"].values()) == 24
    assert (
        json.loads(featx("count", run_folder, season, "--json", "--by", "folder:0").out) == document
    )


def test_an_audit_is_drawn_filled_in_and_read(
    featx: Featx, run_folder: Path, season: Path, workspace: Path, audit: list[dict[str, str]]
) -> None:
    assert len({row["path"] for row in audit}) == 12
    for row in audit:
        assert row["label"] == ""
        assert 0 < float(row["inclusion_probability"]) <= 1
        assert (row["drawn"], row["seed"]) == ("12", "0")
    for name in {row["stratum"] for row in audit}:
        own = [row for row in audit if row["stratum"] == name]
        of = int(own[0]["stratum_images"])
        assert len(own) >= min(2, of)
        assert float(own[0]["inclusion_probability"]) == pytest.approx(len(own) / of)
    # The person finds a green image that the model took for another class.
    for row in audit:
        row["label"] = Path(row["path"]).name.partition("-")[0]
    audit[0]["label"] = "green"
    fill(workspace / "filled.csv", audit)
    done = featx(
        "count", run_folder, season, "--audited", "filled.csv", "--by", "folder:0", "--json"
    )
    assert done.code == 0, done.err
    document = json.loads(done.out)
    whole = document["counts"][0]["classes"]
    assert document["audited"] == 12
    assert whole["green"]["low"] >= 1 == whole["green"]["audited"]
    assert sum(c["count"] for c in whole.values()) == 24
    assert document["unsafe"] == []
    sites = document["counts"][1:]
    assert sum(part["classes"]["green"]["audited"] for part in sites) == 1
    for name, each in whole.items():
        assert sum(part["classes"][name]["count"] for part in sites) == each["count"]


def named(row: dict[str, str]) -> str:
    return Path(row["path"]).name.partition("-")[0]


def test_a_label_beyond_the_model_is_a_class_of_its_own(
    featx: Featx, run_folder: Path, season: Path, workspace: Path
) -> None:
    """All images are labelled, four of them as something that the model does not know."""
    flags = ("--audit", "100", "--audit-file", "count_new.csv", "--overwrite")
    featx("count", run_folder, season, *flags)
    rows = sorted(csv_rows(workspace / "count_new.csv"), key=lambda row: row["path"])
    for i, row in enumerate(rows):
        row["label"] = "<b>frog</b>" if i < 4 else named(row)
    fill(workspace / "count_new.csv", rows)
    files = ["-o", "new.csv", "--report", "new.html", "--overwrite"]
    asked = ("count", run_folder, season, "--audited", "count_new.csv", "--by", "folder:0", *files)
    done = featx(*asked)
    assert done.code == 0, done.err
    note = "A label is no class of the model and counted as a class of its own: '<b>frog</b>' (4 "
    assert note in done.out
    sites = done.out[done.out.index("By folder:0") :]
    assert "<b>frog</b>" in sites.splitlines()[1]
    found = [row for row in csv_rows(workspace / "new.csv") if row["class"] == "<b>frog</b>"]
    assert [(r["value"], r["predicted"], r["audited"], r["low"], r["count"], r["high"])
            for r in found] == [
        ("", "0", "4", "4", "4", "4"), ("site0", "0", "4", "4", "4", "4"),
        ("site1", "0", "0", "0", "0", "0"),
    ]  # fmt: skip
    page = (workspace / "new.html").read_text("utf-8")
    assert "<b>frog" not in page
    assert "&lt;b&gt;frog" in page
    document = json.loads(featx(*asked, "--json").out)
    assert document["new_classes"] == {"<b>frog</b>": 4}
    rows[0]["label"] = "rde"
    fill(workspace / "count_new.csv", rows)
    refused = featx(*asked)
    assert (refused.code, "add --new-class rde" in refused.err) == (2, True), refused.err
    assert featx(*asked, "--new-class", "rde").code == 0
    unused = featx(*asked, "--new-class", "rde", "--new-class", "toad")
    assert (unused.code, "no image is labelled so" in unused.err) == (2, True)
    alone = featx("count", run_folder, season, "--new-class", "toad")
    assert (alone.code, "no labels are read" in alone.err) == (2, True)


def test_labelled_images_count_as_labelled(
    featx: Featx, run_folder: Path, season: Path, workspace: Path
) -> None:
    """By a file of `featx label`, and as copies of the images that the run was fitted on."""
    files = sorted(season.glob("site*/*-*.png"))
    events = [{"id": f.relative_to(season).as_posix(), "action": "label", "label": "green"}
              for f in files[:6]]  # fmt: skip
    events[0]["label"] = "frog"
    (workspace / "season-labels.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    asked = ("count", run_folder, season, "--labelled", "season-labels.jsonl", "--by", "folder:0")
    done = featx(*asked)
    assert done.code == 0, done.err
    assert "6 of 24 images are labelled already and counted as labelled." in done.out
    assert "an audit (--audit 200) estimates how many there are" in done.out
    document = json.loads(featx(*asked, "--json").out)
    whole = document["counts"][0]["classes"]
    assert (document["labelled"], document["new_classes"]) == (6, {"frog": 1})
    assert whole["green"]["low"] >= 5 == whole["green"]["labelled"]
    assert sum(each["count"] for each in whole.values()) == 24
    # What is labelled is not drawn again, and stays labelled beside the audit.
    flags = ("--audit-file", "count_rest.csv", "--overwrite")
    assert featx(*asked, "--audit", "100", *flags).code == 0
    rows = csv_rows(workspace / "count_rest.csv")
    assert len(rows) == 18
    fill(workspace / "count_rest.csv", [{**row, "label": named(row)} for row in rows])
    document = json.loads(featx(*asked, "--audited", "count_rest.csv", "--json").out)
    whole = document["counts"][0]["classes"]
    assert (whole["green"]["low"], whole["green"]["count"], whole["green"]["high"]) == (5, 5, 5)
    assert (document["audited"], document["labelled"]) == (18, 6)
    forgotten = featx("count", run_folder, season, "--audited", "count_rest.csv")
    assert (forgotten.code, "--labelled that it was drawn with" in forgotten.err) == (1, True)
    (workspace / "other-labels.csv").write_text("path,label\nelsewhere.png,red\n")
    odd = featx("count", run_folder, season, "--labelled", "other-labels.csv")
    assert (odd.code, "has no label of an image of this folder" in odd.err) == (1, True)


def test_copies_of_training_images_count_as_labelled(
    featx: Featx, run_folder: Path, season: Path, workspace: Path
) -> None:
    old = sorted((workspace / "photos").rglob("*.png"))[:3]
    assert len(old) == 3
    shutil.copytree(season, workspace / "again", dirs_exist_ok=True)
    for i, path in enumerate(old):
        shutil.copy(path, workspace / "again" / f"old-{i}.png")
    done = featx("count", run_folder, "again")
    assert done.code == 0, done.err
    assert "3 of 27 images are labelled already and counted as labelled." in done.out


def test_an_audit_of_all_images_leaves_nothing_uncertain(
    featx: Featx, run_folder: Path, season: Path, workspace: Path
) -> None:
    featx(
        "count",
        run_folder,
        season,
        "--audit",
        "100",
        "--audit-file",
        "count_all.csv",
        "--overwrite",
    )
    rows = csv_rows(workspace / "count_all.csv")
    assert len(rows) == 24
    for row in rows:
        row["label"] = Path(row["path"]).name.partition("-")[0]
    fill(workspace / "count_all.csv", rows)
    done = featx("count", run_folder, season, "--audited", "count_all.csv", "--json")
    found = json.loads(done.out)["counts"][0]["classes"]
    assert {k: (c["low"], c["count"], c["high"]) for k, c in found.items()} == {
        "blue": (16, 16, 16), "green": (0, 0, 0), "red": (8, 8, 8),
    }  # fmt: skip


def test_rows_without_a_label_are_told(
    featx: Featx, run_folder: Path, season: Path, workspace: Path, audit: list[dict[str, str]]
) -> None:
    for row in audit[:7]:
        row["label"] = Path(row["path"]).name.partition("-")[0]
    fill(workspace / "some.csv", audit)
    done = featx("count", run_folder, season, "--audited", "some.csv")
    assert done.code == 0, done.err
    assert "5 rows of the audit without a label" in done.out


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ({"path": "site9/none.png", "label": "red"}, 1, "is no image of this folder"),
        ({"label": "rd"}, 2, "Did you mean 'red'?"),
        ({"inclusion_probability": "0.9999"}, 1, "does not draw so"),
        ({"inclusion_probability": "often"}, 1, "must be as they were written"),
        ({"seed": "7"}, 1, "mixes several audits"),
    ],
)
def test_a_wrong_audit_is_refused(
    featx: Featx, run_folder: Path, season: Path, workspace: Path, audit: list[dict[str, str]],
    change: dict[str, str], code: int, told: str,
) -> None:  # fmt: skip
    audit[1]["label"] = "blue"
    audit[0] |= change
    fill(workspace / "count_wrong.csv", audit)
    done = featx("count", run_folder, season, "--audited", "count_wrong.csv")
    assert (done.code, told in done.err) == (code, True), done.err


def test_an_empty_or_foreign_audit_is_refused(
    featx: Featx, run_folder: Path, season: Path, workspace: Path, audit: list[dict[str, str]]
) -> None:
    empty = featx("count", run_folder, season, "--audited", "audit.csv")
    assert (empty.code, "'audit.csv' has no label." in empty.err) == (1, True)
    (workspace / "other.csv").write_text("path,label\na.png,red\n")
    other = featx("count", run_folder, season, "--audited", "other.csv")
    assert (other.code, "is not an audit: it has no column drawn" in other.err) == (1, True)
    twice = [{**audit[0], "label": "red"}, {**audit[0], "label": "blue"}]
    fill(workspace / "twice.csv", twice)
    done = featx("count", run_folder, season, "--audited", "twice.csv")
    assert (done.code, "twice, differently" in done.err) == (1, True)


def test_what_cannot_be_asked(
    featx: Featx, run_folder: Path, season: Path, workspace: Path
) -> None:
    both = featx("count", run_folder, season, "--audit", "12", "--audited", "audit.csv")
    assert (both.code, "give one of them" in both.err) == (2, True)
    few = featx("count", run_folder, season, "--audit", "3")
    assert few.code == 2
    (workspace / "depths.csv").write_text(
        "path,depth (m)\n"
        + "".join(f"{f},{i % 2}\n" for i, f in enumerate(sorted(season.glob("site*/*-*.png"))))
    )
    by = ("--by", "depth (m)", "--json")
    asked = json.loads(featx("count", run_folder, "depths.csv", "--root", ".", *by).out)
    assert [part["value"] for part in asked["counts"]] == [None, "0", "1"]
    near = featx("count", run_folder, "depths.csv", "--root", ".", "--by", "dept (m)")
    assert (near.code, "Did you mean 'depth (m)'?" in near.err) == (2, True)
    place = featx("count", run_folder, season, "--by", "folder:7")
    assert (place.code, "no image of" in place.err) == (2, True)
    rule = featx("count", run_folder, season, "--by", "folder:x")
    assert (rule.code, "--by 'folder:x' has no whole number" in rule.err) == (2, True)


def test_a_model_without_its_run_needs_an_audit(
    featx: Featx, run_folder: Path, season: Path, workspace: Path
) -> None:
    shutil.rmtree(workspace / "alone", ignore_errors=True)
    shutil.copytree(run_folder / "model", workspace / "alone")
    refused = featx("count", "alone", season)
    assert (refused.code, "comes without its run" in refused.err) == (2, True)
    drawn = featx("count", "alone", season, "--audit", "10", "--audit-file", "a.csv", "--overwrite")
    assert drawn.code == 0, drawn.err
    assert "without a correction" in drawn.out
    with pytest.raises(UsageError, match="without its run"):
        count(workspace / "alone", season)


def test_columns_and_groups_of_a_manifest(
    featx: Featx, run_folder: Path, season: Path, workspace: Path
) -> None:
    files = sorted(season.glob("site*/*-*.png"))
    lines = ["path,camera,group"]
    lines += [f"{f.relative_to(season)},cam{i % 3},{f.parent.name}" for i, f in enumerate(files)]
    (season / "count_list.csv").write_text("\n".join(lines) + "\n")
    done = featx(
        "count", run_folder, season / "count_list.csv", "--by", "camera", "--by", "group", "--json"
    )
    assert done.code == 0, done.err
    parts = json.loads(done.out)["counts"]
    assert [(p["by"], p["value"], p["images"]) for p in parts] == [
        (None, None, 24), ("camera", "cam0", 8), ("camera", "cam1", 8), ("camera", "cam2", 8),
        ("group", "site0", 12), ("group", "site1", 12),
    ]  # fmt: skip
    (season / "count_list.csv").unlink()


def test_images_unlike_those_of_training_are_told(
    featx: Featx, run_folder: Path, workspace: Path
) -> None:
    rng = np.random.default_rng(9)
    for i in range(30):
        paint(workspace / "odd" / f"{i}.png", (120, 120, 120), rng)
    done = featx("count", run_folder, "odd")
    assert done.code == 0, done.err
    assert "The correction assumes" in done.out
    assert "--audit 200" in done.out
