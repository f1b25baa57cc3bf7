"""Manifest files: formats, columns, containment, contradictions."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.config import DatasetConfig
from featx.data.cells import is_no_value
from featx.data.manifest import Manifest
from featx.data.reader import read_manifest
from featx.errors import DatasetError, MissingExtraError, UnknownNameError, UsageError


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def read(dataset: str, **options: str) -> Manifest:
    return read_manifest(DatasetConfig(dataset=dataset, **options))


def table(manifest: Manifest) -> list[tuple[str | None, ...]]:
    return [(r.id, r.label, r.group, r.split) for r in manifest.rows]


PLAIN = "path,label,group,split\nb/1.jpg,cat,p1,train\na/2.jpg,dog,p2,test\n"
EXPECTED = [("b/1.jpg", "cat", "p1", "train"), ("a/2.jpg", "dog", "p2", "test")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", PLAIN),
        ("m.CSV", PLAIN),
        ("bom.csv", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("crlf.csv", PLAIN.replace("\n", "\r\n")),
        ("blank_lines.csv", "\n" + PLAIN.replace("\n", "\n\n")),
        ("semicolons.csv", PLAIN.replace(",", ";")),
        ("m.tsv", PLAIN.replace(",", "\t")),
        ("tabs.csv", PLAIN.replace(",", "\t")),
        ("utf16.csv", PLAIN.encode("utf-16")),
        ("quoted.csv", '"path","label","group","split"\n"b/1.jpg","cat","p1","train"\n'
                       'a/2.jpg,"dog",p2,"test"'),
        ("m.jsonl", '{"path":"b/1.jpg","label":"cat","group":"p1","split":"train"}\n\n'
                    '{"split":"test","path":"a/2.jpg","group":"p2","label":"dog"}\n'),
        ("m.ndjson", '{"path":"b/1.jpg","label":"cat","group":"p1","split":"train"}\r\n'
                     '{"split":"test","path":"a/2.jpg","group":"p2","label":"dog"}'),
    ],
)  # fmt: skip
def test_formats(tmp_path, name, content):
    manifest = read(write(tmp_path, name, content))
    assert table(manifest) == EXPECTED, "in file order"
    assert manifest.root == str(tmp_path)
    assert manifest.paths == [str(tmp_path / "b/1.jpg"), str(tmp_path / "a/2.jpg")]
    assert manifest.ignored == {}


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "m.parquet"
    columns = {
        "path": pa.array([b"b/1.jpg", b"caf\xe9.jpg"], pa.binary()),
        "label": pa.array(["cat", "dog"]).dictionary_encode(),
        "group": pa.array([1, 2]),
        "split": pa.array(["train", "val"]),
        "extra": pa.array([[1], [2]]),
    }
    pq.write_table(pa.table(columns), path)
    assert table(read(str(path))) == [
        ("b/1.jpg", "cat", "1", "train"),
        (os.fsdecode(b"caf\xe9.jpg"), "dog", "2", "val"),
    ]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_broken_parquet(tmp_path, content):
    pytest.importorskip("pyarrow")
    with pytest.raises(DatasetError, match="not valid Parquet"):
        read(write(tmp_path, "m.parquet", content))


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'featx\[parquet\]'"):
        read(write(tmp_path, "m.parquet", b""))


def test_quoted_newlines_commas_and_quotes(tmp_path):
    content = 'path,label\n"a\nb.jpg","x, ""y""\r\nz"\n'
    assert table(read(write(tmp_path, "m.csv", content)))[0][:2] == ("a\nb.jpg", 'x, "y"\r\nz')


def test_bytes_that_are_not_utf8_are_carried(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    (row,) = read(write(tmp_path, "m.csv", b"path,label\ncaf\xe9.jpg,caf\xe9\n")).rows
    assert Path(row.path).read_bytes() == b"x"
    assert os.fsencode(row.label) == b"caf\xe9"


# Anything a file name can be on POSIX, but the parts that a path resolves, and undecodable bytes.
PIECE = st.text(
    st.one_of(
        st.characters(exclude_characters="/\0", exclude_categories=["Cs"]),
        st.integers(0xDC80, 0xDCFF).map(chr),
    ),
    min_size=1,
    max_size=8,
).filter(lambda text: text not in {".", ".."} and os.fsdecode(os.fsencode(text)) == text)
NAME = (
    st.lists(PIECE, min_size=1, max_size=3)
    .map("/".join)
    .filter(lambda path: not re.match(r"[A-Za-z]:[\\/]|\\\\|~|[\w.+-]+://", path))  # refused
)
LABEL = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8
).filter(lambda text: not is_no_value(text))
ROWS = st.dictionaries(
    NAME,
    st.tuples(LABEL, LABEL, st.sampled_from(["train", "val", "test"])),
    min_size=1,
    max_size=5,
)


@settings(deadline=None)
@given(ROWS)
def test_csv_round_trip(tmp_path_factory, rows):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["path", "label", "group", "split"])
    writer.writerows([path, *facts] for path, facts in rows.items())
    content = text.getvalue().encode("utf-8", "surrogateescape")
    found = read(write(tmp_path_factory.getbasetemp(), "round.csv", content))
    assert table(found) == [(path, *facts) for path, facts in rows.items()]


@settings(deadline=None)
@given(ROWS, st.booleans())
def test_jsonl_round_trip(tmp_path_factory, rows, ensure_ascii):
    keys = ["path", "label", "group", "split"]
    lines = [
        json.dumps(dict(zip(keys, [path, *facts], strict=True)), ensure_ascii=ensure_ascii)
        for path, facts in rows.items()
    ]
    content = "\n".join(lines).encode("utf-8", "surrogateescape")
    found = read(write(tmp_path_factory.getbasetemp(), "round.jsonl", content))
    assert table(found) == [(path, *facts) for path, facts in rows.items()]


@pytest.mark.parametrize(
    "header",
    ["path,label", "Path,LABEL", "file,class", "image_path,category", "filename, Label"],
)
def test_columns_by_synonym(tmp_path, header):
    assert table(read(write(tmp_path, "m.csv", f"{header}\n1.jpg,cat\n"))) == [
        ("1.jpg", "cat", None, None)
    ]


def test_columns_by_name(tmp_path):
    content = "path,label,who,what,when\nx,y,1.jpg,cat,train\n"
    names = {"path_column": "who", "label_column": "what", "split_column": "when"}
    assert table(read(write(tmp_path, "m.csv", content), **names)) == [
        ("1.jpg", "cat", None, "train")
    ]


def test_the_exact_name_wins_over_synonyms(tmp_path):
    content = "file,path,class,label\nx,1.jpg,y,cat\n"
    assert table(read(write(tmp_path, "m.csv", content)))[0][:2] == ("1.jpg", "cat")


def test_ambiguous_columns(tmp_path):
    dataset = write(tmp_path, "m.csv", "path,class,category\n1.jpg,a,b\n")
    with pytest.raises(DatasetError, match=r"label: class, category\.\nName one with --label-col"):
        read(dataset)
    assert read(dataset, label_column="category").labels == ["b"]


def test_missing_columns(tmp_path):
    dataset = write(tmp_path, "m.csv", "name,species\n1.jpg,a\n")
    with pytest.raises(DatasetError, match="No column with image paths among: name, species"):
        read(dataset)
    message = (
        r"Unknown label column 'specie'\. Choose from: name, species\.\nDid you mean 'species'"
    )
    with pytest.raises(UnknownNameError, match=message):
        read(dataset, path_column="name", label_column="specie")


def test_no_label_column(tmp_path):
    dataset = write(tmp_path, "m.csv", "path\n1.jpg\n")
    assert read(dataset).labels == [None]
    with pytest.raises(DatasetError, match=r"1 of 1 images .* have no label"):
        read_manifest(dataset, labelled=True)


def test_scoring_reads_paths_only(tmp_path):
    dataset = write(tmp_path, "m.csv", "path,label,split\n1.jpg,cat,nonsense\n1.jpg,dog,\n")
    manifest = read_manifest(dataset, labelled=False)
    assert table(manifest) == [("1.jpg", None, None, None)]


def test_a_root_of_its_own(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "lists").mkdir()
    dataset = write(tmp_path / "lists", "m.csv", "path\na/1.jpg\n")
    manifest = read(dataset, root=str(tmp_path / "images"))
    assert manifest.paths == [str(tmp_path / "images/a/1.jpg")]
    assert manifest.ids == ["a/1.jpg"]
    with pytest.raises(UsageError, match=r"The root '.*absent' is not a folder"):
        read(dataset, root=str(tmp_path / "absent"))


def test_paths_are_normalised_by_name(tmp_path):
    dataset = write(tmp_path, "m.csv", f"path\n./a//1.jpg\na/../b/./2.jpg\n{tmp_path}/c/3.jpg\n")
    assert read(dataset).ids == ["a/1.jpg", "b/2.jpg", "c/3.jpg"]


def test_an_absolute_path_below_a_linked_root(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "real", "m.csv", f"path\n{tmp_path}/real/1.jpg\n{tmp_path}/link/2.jpg\n")
    assert read(str(tmp_path / "link" / "m.csv")).ids == ["1.jpg", "2.jpg"]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../outside.jpg", "a/../../outside.jpg", "..", ".", "a/..", "/",
        "out/1.jpg", "file.jpg", "deep/file.jpg", "chain/1.jpg", "{root}-sibling/1.jpg",
        "../back/1.jpg",
    ],
)  # fmt: skip
def test_paths_that_lead_outside_are_refused(tmp_path, path):
    root = tmp_path / "set"
    (root / "deep").mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "1.jpg").touch()
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "chain").symlink_to("out")
    (tmp_path / "back").symlink_to(root)  # outside by name, although it leads back in
    (root / "file.jpg").symlink_to(tmp_path / "secret" / "1.jpg")
    (root / "deep" / "file.jpg").symlink_to("../../secret/not_there.jpg")
    path = path.replace("{root}", str(root)).replace("\\\\", "\\")
    content = json.dumps({"path": path}) + "\n"
    with pytest.raises(
        DatasetError, match=r"line 1: path '.*' leads outside the root '.*set'"
    ) as e:
        read(write(root, "m.jsonl", content))
    assert "Give a folder that contains all images with --root." in e.value.hint


def test_links_within_the_root_are_fine(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "a" / "1.jpg").touch()
    (tmp_path / "a" / "2.jpg").symlink_to("1.jpg")
    (tmp_path / "a" / "loop.jpg").symlink_to("loop.jpg")
    assert len(read(write(tmp_path, "m.csv", "path\nb/1.jpg\na/2.jpg\na/loop.jpg\n"))) == 3


@pytest.mark.parametrize("path", ["", "a\0b.jpg", "\0"])
def test_what_cannot_be_a_path(tmp_path, path):
    dataset = write(tmp_path, "m.jsonl", json.dumps({"path": path}))
    with pytest.raises(DatasetError, match=r"line 1: (not a path|column 'path' is empty)"):
        read(dataset)


def test_missing_files_stay_rows(tmp_path):
    assert read(write(tmp_path, "m.csv", f"path\nnot/there.jpg\n{'x' * 300}.jpg\n")).ids == [
        "not/there.jpg",
        "x" * 300 + ".jpg",
    ]


def test_repeated_rows_count_once(tmp_path):
    content = "path,label\n1.jpg,cat\n2.jpg,dog\n./1.jpg,cat\n1.jpg,cat\n"
    manifest = read(write(tmp_path, "m.csv", content))
    assert manifest.ids == ["1.jpg", "2.jpg"]
    assert manifest.ignored == {"repeated row": 2}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1.jpg,cat,p,train\n1.jpg,dog,p,train", "label 'cat' and 'dog' "),
        ("1.jpg,cat,p,train\n1.jpg,cat,q,train", "group 'p' and 'q' "),
        ("1.jpg,cat,p,train\n1.jpg,cat,p,test", "split 'train' and 'test' "),
        ("1.jpg,cat,p,train\n1.jpg,,p,val", "label 'cat' and None, split 'train' and 'val' "),
    ],
)
def test_contradictions_are_refused(tmp_path, rows, message):
    dataset = write(tmp_path, "m.csv", f"path,label,group,split\n{rows}\n")
    with pytest.raises(DatasetError) as caught:
        read(dataset)
    assert f"'1.jpg' has {message}(line 2 and line 3)." in str(caught.value)


@pytest.mark.parametrize("column", ["group", "split"])
def test_half_a_grouping_or_split_is_refused(tmp_path, column):
    dataset = write(tmp_path, "m.csv", f"path,{column}\n1.jpg,train\n2.jpg,\n3.jpg,val\n")
    with pytest.raises(DatasetError, match=f"1 of 3 rows have no {column}, for instance '2.jpg'"):
        read(dataset)


def test_empty_columns_are_no_columns(tmp_path):
    manifest = read(write(tmp_path, "m.csv", "path,label,group,split\n1.jpg,,,\n2.jpg,,,\n"))
    assert set(table(manifest)) == {("1.jpg", None, None, None), ("2.jpg", None, None, None)}


def test_unknown_split(tmp_path):
    dataset = write(tmp_path, "m.csv", "path,split\n1.jpg,Validation\n2.jpg,tets\n")
    message = r"line 3: unknown split 'tets'; allowed are train.*\nDid you mean 'test'\?"
    with pytest.raises(DatasetError, match=message):
        read(dataset)


@pytest.mark.parametrize(
    ("value", "label"),
    [(3, "3"), (3.0, "3"), (True, "true"), (None, None), ("nan", None), ("NULL", None),
     ("3.0", "3.0"), ("", None), ("  ", None), ("NA", "NA"), ("None", "None"), ("-", "-"),
     (" x ", " x "), (10**30, "1" + "0" * 30)],
)  # fmt: skip
def test_labels_that_are_not_text(tmp_path, value, label):
    dataset = write(tmp_path, "m.jsonl", json.dumps({"path": "1.jpg", "label": value}))
    assert read(dataset).labels == [label]


@pytest.mark.parametrize("value", [0.5, [1], {"a": 1}])
def test_labels_that_are_no_names(tmp_path, value):
    dataset = write(tmp_path, "m.jsonl", json.dumps({"path": "1.jpg", "label": value}))
    with pytest.raises(DatasetError, match="column 'label' must hold text or whole numbers, got"):
        read(dataset)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", "path,label\n1.jpg\n", "line 2: 1 field under 2 columns"),
        ("m.csv", "path,label\n1.jpg,a,b\n", "line 2: 3 fields under 2 columns"),
        ("m.csv", 'path,label\n1.jpg,"a\n', "line 2: unexpected end of data"),
        ("m.csv", 'path,label\n1.jpg,"a"b\n', "line 2: ',' expected after '\"'"),
        ("m.csv", "path,path\n1.jpg,a\n", "the header: column 'path' appears more than once"),
        ("m.csv", "path\n" + "x" * 200_000, "line 2: field larger than field limit"),
        ("m.csv", "", "the file: it is empty"),
        ("m.csv", "path,label\n", "has column names but no rows"),
        ("m.jsonl", "{}\n[1]\n", "line 2: expected a JSON object"),
        ("m.jsonl", '{"path": "1.jpg", "label": "a\\u0000"}', "line 1: column 'label' holds a NUL"),
        ("m.jsonl", '{"path": 1\n', "line 1: not JSON"),
        ("m.jsonl", '{"path": ' + "[" * 100_000, "line 1: it is nested too deeply"),
        ("m.jsonl", "", "the file: it is empty"),
    ],
)
def test_malformed_files(tmp_path, name, content, message):
    with pytest.raises(DatasetError) as caught:
        read(write(tmp_path, name, content))
    assert message in str(caught.value)


def test_a_manifest_that_may_not_be_read(tmp_path):
    path = Path(write(tmp_path, "m.csv", PLAIN))
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("root reads anything")
        with pytest.raises(
            DatasetError, match=r"Cannot read manifest '.*m.csv': Permission denied"
        ):
            read(str(path))
    finally:
        path.chmod(0o600)


def test_names_that_are_not_utf8_are_said(tmp_path):
    content = "path,label\na.jpg,caf\xe9\nb.jpg,th\xe9\n".encode("cp1252")
    manifest = read(write(tmp_path, "excel.csv", content))
    (remark,) = manifest.remarks
    assert "is not UTF-8: the name 'caf\\xe9' in it is not readable" in remark
    assert "CSV UTF-8" in remark
    assert not read(write(tmp_path, "utf8.csv", "path,label\na.jpg,caf\xe9\n")).remarks


@pytest.mark.parametrize("row", [",", ",,,", " , ", '"",""'])
def test_rows_of_nothing_are_passed_over(tmp_path, row):
    content = f"path,label\na.jpg,x\n{row}\nb.jpg,y\n{row}\n"
    assert [r.id for r in read(write(tmp_path, "m.csv", content)).rows] == ["a.jpg", "b.jpg"]
