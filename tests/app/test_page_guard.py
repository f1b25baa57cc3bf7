"""Nobody but the page itself is answered, and nothing but the images is served."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_lab import Served, draw, labelling, page_of, serving

from featx.app.guard import MOST_BYTES
from featx.labelling import LabellingSession

CHANGE = {"rows": [0], "decision": "label", "label": "red", "marks": [""]}


def test_the_page_itself_is_answered_and_may_load_nothing_from_elsewhere(served: Served) -> None:
    found = served.ask("GET", "")
    assert found.status == 200
    policy = found.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert found.headers["referrer-policy"] == "no-referrer"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in found.headers
    assert b"http" not in found.data.replace(b"http-equiv", b"")
    for name in ("app.css", "app.js", "label.js"):
        assert served.ask("GET", f"static/{name}").status == 200
    assert served.place.listening.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1:1"}, 403),
        ({"Origin": None}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content-Length": str(MOST_BYTES + 1)}, 413),
    ],
)
def test_a_change_from_anywhere_else_is_refused(
    served: Served, session: LabellingSession, changed: dict[str, str | None], status: int
) -> None:
    headers = {k: v for k, v in {**served.own, **changed}.items() if v is not None}
    marks = [item["mark"] for item in served.ask("POST", "api/items", {"rows": [0]}).json["items"]]
    before = len(session.log.events())
    found = served.ask("POST", "api/decide", {**CHANGE, "marks": marks}, headers)
    assert found.status == status
    assert len(session.log.events()) == before
    assert served.ask("POST", "api/decide", {**CHANGE, "marks": marks}).status == 200  # it can be
    assert len(session.log.events()) == before + 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(served: Served, method: str) -> None:
    assert served.ask(method, "api/decide", CHANGE).status == 405


@pytest.mark.parametrize("path", ["/", "/{}x/", "/x{}/", "/%2e/", "/api/state", "/static/app.js"])
def test_without_the_token_nothing_is_answered(served: Served, path: str) -> None:
    token = served.place.token
    found = served.raw("GET", path.replace("{}", token[:-1]))
    assert found.status == 403
    assert token.encode() not in found.data


def test_reading_is_refused_to_other_sites_too(served: Served) -> None:
    for changed in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"},
                    {"Host": "localhost.evil.example"}):  # fmt: skip
        assert served.ask("GET", "api/state", headers={**served.own, **changed}).status == 403
    localhost = f"localhost:{served.place.port}"
    own = {"Host": localhost, "Origin": f"http://{localhost}"}
    assert served.ask("GET", "api/state", headers=own).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "static/../pages.py", "static/..%2fpages.py", "static/%2e%2e/pages.py", "static/pages.py",
        "static/%00app.js", "static//etc/passwd", "picture/large/../../../etc/passwd",
        "picture/large/-1", "picture/large/30", "picture/large/0x1", "picture/large/..%2f0",
        "picture/large/99999999999999999999999", "..%2f..%2fetc%2fpasswd", "/etc/passwd",
        "../secret.txt", "templates/label.html",
    ],
)  # fmt: skip
def test_no_other_file_is_served(served: Served, path: str) -> None:
    found = served.ask("GET", path)
    assert found.status in (403, 404)
    assert b"root:" not in found.data
    assert b"import" not in found.data


def test_pictures_are_featx_s_own_never_the_bytes_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("root: secret")
    (tmp_path / "page.png").write_text("<script>alert(1)</script>")
    names = ["0.png", "link.png", "page.png", "gone.png"]
    paths = draw(tmp_path, ["0.png"])
    (tmp_path / "link.png").symlink_to(tmp_path / "secret.txt")
    session = labelling(tmp_path, names, [*paths, *(str(tmp_path / n) for n in names[1:])])
    with serving(page_of(session, tmp_path / "thumbnails")) as served:
        for size in ("small", "large"):
            whole = served.ask("GET", f"picture/{size}/0")
            assert whole.headers["content-type"] == "image/webp"
            assert whole.data[:4] + whole.data[8:12] == b"RIFFWEBP"
            for row in (1, 2, 3):
                found = served.ask("GET", f"picture/{size}/{row}")
                assert found.status == 404
                assert b"secret" not in found.data
                assert b"<script" not in found.data


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"rows": 1}', b'{"rows": ["0"], "marks": [""]}',
     b'{"rows": [true], "marks": [""]}', b'{"rows": [1]}', b'{"rows": [], "marks": []}',
     b'{"rows": [99], "decision": "skip", "marks": [""]}',
     b'{"rows": [1], "decision": "undo", "marks": [""]}',
     b'{"rows": [1], "decision": "label", "marks": [""]}',
     b'{"rows": [1], "decision": "label", "label": " ", "marks": [""]}',
     b'{"rows": [1], "decision": "label", "label": "a\\u0000b", "marks": [""]}',
     b'{"rows": [1], "decision": "label", "label": "\\ud800", "marks": [""]}'],
)  # fmt: skip
def test_requests_that_make_no_sense_change_nothing(
    served: Served, session: LabellingSession, body: bytes
) -> None:
    before = session.log.events()
    found = served.ask("POST", "api/decide", body)
    assert found.status == 400
    assert found.json["error"]
    assert session.log.events() == before
