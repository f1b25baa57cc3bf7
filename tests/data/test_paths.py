"""Paths and tables that need a word: each fault is named for what it is, with what would help."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.config import DatasetConfig
from featx.data.containment import Root
from featx.data.hashing import read_bytes
from featx.data.lookup import nearly
from featx.data.opening import open_data
from featx.data.reader import read_manifest
from featx.errors import DatasetError, DecodeError

NFC, NFD = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("images/a/a0.png", "images/a/a1.JPG", f"images/b/{NFD}0.png", "images/b/x y.png",
                 f"images/c/{NFC}1.png", "images/b/caf\u00e9.png"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def opened(root: Path, path: str, name: str = "m.csv", **options: str) -> DatasetError:
    file = root / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"path,label\n" + os.fsencode(path) + b",cat\n")
    with pytest.raises(DatasetError) as caught:
        open_data(DatasetConfig(dataset=str(file), **options))
    return caught.value


@pytest.mark.parametrize(
    ("path", "meant", "how"),
    [
        ("images\\a\\a0.png", "images/a/a0.png", "with forward slashes"),
        (f"images/b/{NFC}0.png", f"images/b/{NFD}0.png", "the same name in decomposed Unicode"),
        (f"images/c/{NFD}1.png", f"images/c/{NFC}1.png", "the same name in composed Unicode"),
        ("images/a/a0.png ", "images/a/a0.png", "without a space at its end"),
        ("images/a/a0", "images/a/a0.png", "with its ending"),
        ("images/a/a1.jpg", "images/a/a1.JPG", "in other case"),
        ("Images/A/a0.png", "images/a/a0.png", "in other case"),
        ("images/a/a0.jpeg", "images/a/a0.png", "with another ending"),
        ("images/b/x%20y.png", "images/b/x y.png", "with %-escapes decoded"),
        ("images/a/\u200ba0.png", "images/a/a0.png", "without characters that show nothing"),
        ("'images/a/a0.png'", None, ""),
        ("images/b/caf\udce9.png", "images/b/caf\u00e9.png", "the list is not UTF-8"),
        ("images\\A\\A0", "images/a/a0.png", "with forward slashes and in other case"),
    ],
)
def test_the_file_that_is_there_is_told(root, path, meant, how):
    error = opened(root, path)
    assert error.message.startswith("The only file that '")
    if meant is not None:
        assert f"did you mean '{meant}' ({how}" in error.message
        with pytest.raises(DecodeError, match=r"file not found; did you mean '.*' \(.*\)\?"):
            read_bytes(str(root / path))


def test_two_that_are_nearly_it_are_not_guessed(root):
    (root / "images/a/A0.PNG").write_bytes(b"y")
    assert "did you mean" not in opened(root, "images/a/a0.Png").message
    assert "did you mean" not in opened(root, "images/zebra.png").message


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("C:\\Users\\me\\images\\a\\a0.png", "begins with a Windows drive"),
        ("d:/images/a/a0.png", "begins with a Windows drive"),
        ("\\\\nas\\share\\images\\a\\a0.png", "is on a Windows network share"),
    ],
)
def test_paths_of_windows_say_what_of_them_is_there(root, path, what):
    error = opened(root, path)
    assert what in error.message
    assert error.message.endswith("did you mean 'images/a/a0.png'?")
    assert "root" not in error.hint


@pytest.mark.parametrize(
    ("path", "what", "hint"),
    [
        ("https://example.org/a0.png", "is an address (https)", "Download"),
        ("s3://bucket/a0.png", "is an address (s3)", "Download"),
        ("file:///data/a%20b.png", "is an address, not a path", "'/data/a b.png'"),
        ("~/images/a/a0.png", "begins with '~'", "Write the full path"),
        (
            "/content/drive/images/a/a0.png",
            "did you mean 'images/a/a0.png'?",
            "Write paths relative to the folder of the list",
        ),
    ],
)
def test_what_is_a_path_elsewhere(root, path, what, hint):
    error = opened(root, path)
    assert what in error.message
    assert hint in error.hint


def test_a_folder_that_is_named_with_a_tilde_is_fine(root):
    (root / "~").mkdir()
    assert Root(str(root)).locate("~/1.png")[0] == "~/1.png"
    assert Root(str(root)).locate("~1.png")[0] == "~1.png"


def test_the_hint_of_a_path_upwards_helps(root):
    error = opened(root, "../images/a/a0.png", "lists/m.csv")
    assert f"--root {root}\n" in error.hint
    manifest = open_data(DatasetConfig(dataset=str(root / "lists/m.csv"), root=str(root)))
    assert manifest.ids == ["images/a/a0.png"]
    assert manifest.paths == [str(root / "images/a/a0.png")]


def test_a_path_upwards_with_backslashes(root):
    error = opened(root, "..\\images\\a\\a0.png", "lists/m.csv")
    assert "did you mean '../images/a/a0.png' (with forward slashes)?" in error.message


def test_a_path_upwards_never_leaves_the_root(root):
    (root / "lists").mkdir()
    reader = Root(str(root / "images"), beside=str(root / "lists"))
    assert reader.locate("../images/a/a0.png")[0] == "a/a0.png"
    for path in ("../secret.png", "../../images/a.png", "a/../../lists/x.png", "../images"):
        with pytest.raises(DatasetError, match="leads outside the root"):
            reader.locate(path)


PARTS = st.lists(st.sampled_from(["..", ".", "a", "images", "lists", "~", "", "x.png"]), max_size=6)


@given(PARTS, st.booleans())
def test_no_path_leaves_the_root(tmp_path_factory, parts, absolute):
    base = tmp_path_factory.getbasetemp() / "contained"
    for name in ("images", "lists"):
        (base / name).mkdir(parents=True, exist_ok=True)
    path = ("/" if absolute else "") + "/".join(parts)
    try:
        id, found = Root(str(base / "images"), beside=str(base / "lists")).locate(path)
    except DatasetError:
        return
    assert found == os.path.normpath(base / "images" / id)
    assert ".." not in id.split("/")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_looking_for_any_name_finds_a_file_or_nothing(tmp_path_factory, name):
    base = tmp_path_factory.getbasetemp() / "looked"
    (base / "a").mkdir(parents=True, exist_ok=True)
    (base / "a" / "b.png").touch()
    found = nearly(str(base / "a" / name))
    assert found is None or (base / "a" / found[0]).is_file() or (base / found[0]).is_file()


def test_the_root_that_would_do_is_told(root):
    assert f"Try --root {root}/images" in opened(root, "a/a0.png").hint
    error = opened(root, "images/a/a0.png", "lists/m.csv")
    assert f"Try --root {root}" in error.hint
    assert "leave 'photos/' out of the paths" in opened(root, "photos/images/a/a0.png").hint
    assert "--root names another folder" in opened(root, "no/such.png").hint


def test_one_file_that_is_there_is_enough(root):
    (root / "m.csv").write_text("path\nimages/a/a0.png\nno/such.png\n")
    assert len(open_data(DatasetConfig(dataset=str(root / "m.csv")))) == 2


TABLES = [
    ("m.csv", b"path;label\n1.png;a\n", None),
    ("m.csv", b"path|label\n1.png|a\n", None),
    ("m.csv", b"path\tlabel\n1.png\ta\n", None),
    ("m.csv", b"sep=;\r\npath;label\r\n1.png;a\r\n", None),
    ("m.csv", b"\xef\xbb\xbfpath,label\n1.png,a\n", None),
    ("m.csv", "path,label\n1.png,a\n".encode("utf-16"), None),
    ("m.csv", b'"path;1",label,path\nx,a,1.png\n', None),
    ("m.csv", "path,label\n1.png,a\n".encode("utf-16-le"), "zero bytes"),
    ("m.csv", "path,label\n1.png,a\n".encode("utf-16")[:-1], "not whole UTF-16"),
    ("m.csv", "path,label\n1.png,a\n".encode("utf-32"), "zero bytes"),
    ("m.csv", b"path,label,,\n1.png,a,,\n", "2 columns have no name"),
    ("m.csv", b"", "it is empty"),
    ("m.csv", b"\xef\xbb\xbf\r\n\n", "it is empty"),
    ("m.jsonl", b"\n \n", "it is empty"),
    ("m.csv", b"PK\x03\x04\x14\0", "it is a zip archive"),
    ("m.csv", b"\x1f\x8b\x08\0", "it is a gzip archive"),
    ("m.csv", b"<!doctype html>\n<html>", "it is a web page"),
    ("m.csv", b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
    ("m.csv", b"images/1.png,cat\nimages/2.png,dog\n", "put path,label above it"),
    ("m.csv", b"# made by a tool\npath,label\n1.png,a\n", "is a comment"),
    ("m.csv", b"# made by, a tool\npath,label\n1.png,a\n", "is a comment: delete it"),
    ("m.csv", b"path,label\n# half way\n1.png,a\n", "line 2: 1 field under 2 columns; '# half"),
    ("m.csv", b"path,label\n1.png,a,b\n", "that holds a comma must be in quotes"),
    ("m.csv", b"path;label\n1.png;a;b\n", "that holds a semicolon must be in quotes"),
    ("m.csv", b"sep=;\npath;label\n1.png\n", "line 3: 1 field under 2 columns"),
    ("m.csv", b"'path','label'\n'1.png','a'\n", "take the ' away"),
    ("m.csv", b"path,label,split\n1.png,a,eval\n", "Write val or test"),
    ("m.jsonl", b'[{"path": "1.png"}]', "one object per line"),
    ("m.csv", b"path;label;size, mm\n1.png;a;3,5\n", "A name holds ';'"),
    ("m.csv", b"path,label,label\n1.png,a,b\n", "column 'label' appears more than once"),
    ("m.csv", b"path,label,Label\n1.png,a,b\n", "Several columns could be the label"),
    ("m.csv", b"path,label,label \n1.png,a,b\n", "Several columns could be the label"),
    ("m.csv", b"path,label\n", "has column names but no rows"),
    ("m.jsonl", b'{"path": "1.png", "label": "a", "label": "b"}\n',
     "line 1: the key 'label' is given twice"),
    ("m.jsonl", b'{"path": "1.png"}\n{"path": "2.png", "meta": {"x": 1, "x": 2}}\n',
     "line 2: the key 'x' is given twice"),
    ("m.jsonl", b'{"path": "1.png", "label": NaN}\n', "line 1: key 'label' holds NaN"),
    ("m.jsonl", b'{"path": "1.png", "size": -Infinity}\n', "key 'size' holds -Infinity"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "message"), TABLES)
def test_tables(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    if message is None:
        (row,) = read_manifest(str(tmp_path / name)).rows
        assert (row.id, row.label) == ("1.png", "a")
        return
    with pytest.raises(DatasetError) as caught:
        read_manifest(str(tmp_path / name))
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "hint"), [("m.xlsx", "Save the sheet as CSV"),
                                            ("m.json", "one JSON object a line"),
                                            ("m.txt", "Save a table of paths")])  # fmt: skip
def test_tables_of_other_formats(tmp_path, name, hint):
    (tmp_path / name).touch()
    with pytest.raises(DatasetError) as caught:
        read_manifest(str(tmp_path / name))
    assert hint in caught.value.hint


def test_lists_of_images_say_what_their_columns_are(tmp_path):
    (tmp_path / "photos/a").mkdir(parents=True)
    (tmp_path / f"photos/a/{NFD}.png").touch()
    dataset = str(tmp_path / "photos")
    (tmp_path / "x.csv").write_text("image_id\na/1.png\n")
    with pytest.raises(DatasetError) as caught:
        read_manifest(DatasetConfig(dataset=dataset, exclude=[str(tmp_path / "x.csv")]))
    assert caught.value.hint == "Name one of its columns path.", "no flag names it"
    (tmp_path / "x.csv").write_text(f"path\na/{NFC}.png\n", "utf-8")
    with pytest.raises(DatasetError, match=f"Did you mean 'a/{NFD}.png'"):
        read_manifest(DatasetConfig(dataset=dataset, exclude=[str(tmp_path / "x.csv")]))
