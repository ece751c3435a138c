"""The folder store: written once, complete or not at all, links that cannot be bent."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from paywindow.receipts.local_store import LocalStore
from paywindow.receipts.local_url import FILES_PATH, InvalidLink, verify_local_url
from paywindow.receipts.storage import StorageRefused, StorageUnavailable, content_disposition, sha256

KEY = "receipts/2026/R-2026-000123.pdf"
SECRET = "a-secret-of-the-tests"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "receipts", "http://127.0.0.1:8080/", SECRET)


def test_what_is_stored_is_read_back(store: LocalStore) -> None:
    stored = store.put(KEY, b"%PDF-1", content_type="application/pdf")

    assert store.get(KEY) == b"%PDF-1"
    assert (stored.key, stored.sha256, stored.size) == (KEY, sha256(b"%PDF-1"), 6)


def test_a_second_write_adopts_the_first(store: LocalStore) -> None:
    first = store.put(KEY, b"first")

    assert store.put(KEY, b"second, and longer") == first
    assert store.get(KEY) == b"first"


def test_of_many_writers_at_once_one_wins_and_all_report_it(store: LocalStore, tmp_path: Path) -> None:
    bodies = [f"body {number}".encode() * 1000 for number in range(16)]

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda body: store.put(KEY, body), bodies))

    assert len(set(results)) == 1
    assert sha256(store.get(KEY)) == results[0].sha256
    assert [path.name for path in (tmp_path / "receipts/receipts/2026").iterdir()] == ["R-2026-000123.pdf"]


@pytest.mark.parametrize("moment", ["os.fsync", "os.link", "pathlib.Path.unlink"])
def test_a_killed_writer_leaves_nothing_once_the_file_is_stored(store: LocalStore, tmp_path: Path, moment: str) -> None:
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(moment, lambda *_, **__: os._exit(9))
        if (child := os.fork()) == 0:
            store.put(KEY, b"%PDF-1.7 one")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9

    assert store.put(KEY, b"%PDF-1.7 one").size == len(b"%PDF-1.7 one")

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "receipts" / KEY]


def test_a_missing_file_is_refused(store: LocalStore) -> None:
    with pytest.raises(StorageRefused, match="not stored"):
        store.get(KEY)


@pytest.mark.parametrize(
    "key",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "a//b",
        "",
        "..",
        "a/.hidden",
        "a\\b",
        "a\x00b",
        "a/b/",
        "ä.pdf",
        "a\n",
        "x" * 513,
    ],
)
def test_a_key_never_leaves_the_folder(store: LocalStore, key: str) -> None:
    for call in (lambda: store.put(key, b""), lambda: store.get(key), lambda: url(store, key=key)):
        with pytest.raises(StorageRefused, match="not a storage key"):
            call()


def test_a_folder_that_cannot_be_written_is_worth_another_try(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = LocalStore(tmp_path / "file", "http://127.0.0.1:8080", SECRET)

    with pytest.raises(StorageUnavailable):
        store.put(KEY, b"body")


def url(store: LocalStore, *, key: str = KEY, expires_in: int = 300) -> str:
    return store.signed_url(key, filename="Quittung Nº 1.pdf", expires_in=expires_in)


def parts(link: str) -> tuple[str, dict[str, str]]:
    split = urlsplit(link)
    assert split.path.startswith(FILES_PATH)
    return unquote(split.path.removeprefix(FILES_PATH)), dict(parse_qsl(split.query))


def test_a_signed_link_verifies_without_the_store(store: LocalStore) -> None:
    link = url(store)
    key, query = parts(link)

    assert link.startswith("http://127.0.0.1:8080/payments/receipts/files/receipts/2026/R-2026-000123.pdf?")
    assert key == KEY
    assert verify_local_url(SECRET, key, query) == "Quittung Nº 1.pdf"


@pytest.mark.parametrize(
    "change",
    [
        {"key": "receipts/2026/R-2026-000124.pdf"},
        {"expires": "99999999999"},
        {"filename": "other.pdf"},
        {"signature": "0" * 64},
        {"signature": "ü"},
        {"secret": "another"},
    ],
)
def test_an_altered_link_is_refused(store: LocalStore, change: dict[str, str]) -> None:
    key, query = parts(url(store))
    altered = {"secret": SECRET, "key": key, **query, **change}

    with pytest.raises(InvalidLink, match="does not verify"):
        verify_local_url(altered.pop("secret"), altered.pop("key"), altered)


@pytest.mark.parametrize("missing", ["expires", "filename", "signature"])
def test_an_incomplete_link_is_refused(store: LocalStore, missing: str) -> None:
    key, query = parts(url(store))
    del query[missing]

    with pytest.raises(InvalidLink, match=f"no {missing}"):
        verify_local_url(SECRET, key, query)


def test_a_link_is_good_until_its_second_and_no_longer(store: LocalStore) -> None:
    key, query = parts(url(store))
    end = int(query["expires"])

    assert verify_local_url(SECRET, key, query, now=end - 1)
    with pytest.raises(InvalidLink, match="expired"):
        verify_local_url(SECRET, key, query, now=end)


def test_a_download_keeps_its_name_in_any_script() -> None:
    header = content_disposition('領収書"\r\nX: y.pdf')

    assert header.startswith("attachment; filename=\"______X_ y.pdf\"; filename*=UTF-8''%E9%A0%98")
    assert "\n" not in header
