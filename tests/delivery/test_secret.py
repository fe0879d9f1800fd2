"""Secrets: where they may be, and that they never show."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import pytest
from keyring.errors import KeyringLocked

from queryfit.config_delivery import SecretPlace
from queryfit.delivery.secret import Secret, hidden, read_secret
from queryfit.errors import QueryfitError


class Ring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.is_locked:
            raise KeyringLocked("it is locked")
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password


@pytest.fixture
def ring() -> Iterator[Ring]:
    """The keyring that is asked meanwhile."""
    before = keyring.get_keyring()
    ring = Ring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


def file_with(folder: Path, content: bytes, mode: int = 0o600) -> SecretPlace:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return SecretPlace("file", str(path))


@pytest.mark.parametrize("content", [b"p w\xc3\xa4\n", b"p w\xc3\xa4", b"p w\xc3\xa4\r\n"])
def test_a_file(tmp_path: Path, content: bytes) -> None:
    assert read_secret(file_with(tmp_path, content), "the password").reveal() == "p wä"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o602, 0o610])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(QueryfitError, match="others may read") as caught:
        read_secret(file_with(tmp_path, b"geheim", mode), "the password")
    assert caught.value.hint == f"chmod 600 {tmp_path / 'secret'}"
    assert "geheim" not in caught.value.message


def test_a_credential_that_systemd_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_secret(file_with(tmp_path, b"geheim", 0o440), "the password").reveal() == "geheim"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "other"))
    with pytest.raises(QueryfitError, match="others may read"):
        read_secret(file_with(tmp_path, b"geheim", 0o440), "the password")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty or missing"),
        (b"geheim\nzwei\n", "of several lines"),
        (b"geheim\x00", "control character"),
        (b"\xffgeheim", "not UTF-8"),
        (b"geheim" * 20000, "larger than a secret"),
    ],
)
def test_a_file_with_something_else(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(QueryfitError, match=words) as caught:
        read_secret(file_with(tmp_path, content), "the password")
    assert "geheim" not in caught.value.message


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path, words in (
        (tmp_path / "pipe", "is no file"),
        (tmp_path, "cannot be read"),
        (tmp_path / "none", "No such"),
    ):
        with pytest.raises(QueryfitError, match=words):
            read_secret(SecretPlace("file", str(path)), "the password")


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QF_SECRET", "geheim")
    assert read_secret(SecretPlace("env", "QF_SECRET"), "the password").reveal() == "geheim"
    monkeypatch.delenv("QF_SECRET")
    with pytest.raises(QueryfitError, match="QF_SECRET is empty or missing"):
        read_secret(SecretPlace("env", "QF_SECRET"), "the password")


def test_the_keyring(ring: Ring) -> None:
    keyring.set_password("mail", "me", "geheim")
    assert read_secret(SecretPlace("keyring", "mail/me"), "the password").reveal() == "geheim"
    with pytest.raises(QueryfitError, match="keyring entry mail/you is empty") as caught:
        read_secret(SecretPlace("keyring", "mail/you"), "the password")
    assert caught.value.hint == "keyring set mail you"
    ring.is_locked = True
    with pytest.raises(QueryfitError, match="it is locked"):
        read_secret(SecretPlace("keyring", "mail/me"), "the password")


def test_a_secret_does_not_show() -> None:
    secret = Secret("geheim")
    assert "geheim" not in f"{secret} {secret!r} {[secret]} {secret=}"


def test_words_that_repeat_a_secret() -> None:
    password, url = Secret("pass w0rd"), Secret("https://hooks.example.org/services/T00/B00KEY?token=abcdef")
    said = f"no pass w0rd {base64.b64encode(b'pass w0rd').decode()} /services/T00/B00KEY B00KEY abcdef\r\nx\x1b"
    assert hidden(said, [password, url]) == "no **** **** **** **** **** x\\x1b"
