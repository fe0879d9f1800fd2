"""Passwords and secret URLs: read when they are needed, and never shown."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from queryfit.config_delivery import SecretPlace
from queryfit.errors import QueryfitError
from queryfit.render.escape import line

_LARGEST_FILE = 64 * 1024
_SHORTEST_HIDDEN = 4  # characters; hiding shorter ones would blank out words
_UNFIT = re.compile(r"[\x00-\x1f\x7f]")
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_HIDDEN = "****"


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A secret that shows neither when it is printed nor in a traceback; `reveal()` is for the wire alone."""

    _text: str

    def __repr__(self) -> str:
        return f"Secret({_HIDDEN})"

    __str__ = __repr__

    def reveal(self) -> str:
        return self._text


def read_secret(place: SecretPlace, what: str) -> Secret:
    """The secret from where the configuration says it is; `what` names it in messages ("the password of [mail]").

    Raises QueryfitError where it is missing, holds a control character, or lies in a file that others can read.
    """
    if place.kind == "env":
        text = os.environ.get(place.name, "")
        source, hint = f"the environment variable {place.name}", f"set {place.name} where queryfit runs"
    elif place.kind == "file":
        text = _from_file(Path(place.name), what)
        source, hint = place.name, "write it into the file, and nothing else"
    else:
        text = _from_keyring(place.name, what)
        service, _, user = place.name.rpartition("/")
        source, hint = f"the keyring entry {place.name}", f"keyring set {service} {user}"
    if not text:
        raise QueryfitError(f"{what} is not there: {source} is empty or missing", hint=hint)
    if _UNFIT.search(text):
        raise QueryfitError(f"{what} holds a control character or is of several lines", hint=f"look at {source}")
    return Secret(text)


def _from_file(path: Path, what: str) -> str:
    try:
        # O_NONBLOCK: a FIFO that nobody writes to would keep us for ever
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise QueryfitError(f"{what} cannot be read: {path} is no file", hint="name a file that holds it")
            if os.name != "nt" and facts.st_mode & _FOR_OTHERS and not _is_credential(path):
                raise QueryfitError(
                    f"{what} lies in {path}, which others may read (mode {stat.S_IMODE(facts.st_mode):04o})",
                    hint=f"chmod 600 {path}",
                )
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise QueryfitError(
            f"{what} cannot be read from {path}: {error.strerror or error}", hint="check the path and who may read it"
        ) from None
    if len(content) > _LARGEST_FILE:
        raise QueryfitError(
            f"{what} cannot be read: {path} is larger than a secret is", hint="name a file that holds it"
        )
    try:
        return content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise QueryfitError(f"{what} cannot be read: {path} is not UTF-8", hint="write it anew as UTF-8") from None


def _is_credential(path: Path) -> bool:
    """Whether systemd passed the file on: it lets nobody else in there, by an access list that looks like a group."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return bool(folder) and path.resolve().is_relative_to(Path(folder or "").resolve())


def _from_keyring(name: str, what: str) -> str:
    try:
        import keyring  # noqa: PLC0415 -- an extra, and it looks for its back ends when it is imported
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError:
        raise QueryfitError(
            f"{what} is in a keyring, and the package keyring is not installed", hint="pip install 'queryfit[keyring]'"
        ) from None
    service, _, user = name.rpartition("/")
    try:
        return keyring.get_password(service, user) or ""
    except KeyringError as error:
        raise QueryfitError(
            f"{what} cannot be read from the keyring: {line(str(error), 200)}",
            hint="unlock it, or use an environment variable or a file where nobody is logged in",
        ) from None


def hidden(text: str, secrets: Sequence[Secret]) -> str:
    """Somebody's words on one line, without the secrets that they may repeat: whole, encoded, or part of an URL."""
    words = {word for secret in secrets for word in _faces(secret.reveal())}
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, _HIDDEN)
    return line(text, 300)


def _faces(text: str) -> set[str]:
    raw = text.encode("utf-8")
    faces = {text, base64.b64encode(raw).decode(), base64.b64encode(b"\0" + raw).decode(), unquote(text)}
    if "://" in text:
        parts = urlsplit(text)
        faces |= {parts.path, *parts.path.split("/"), parts.query, *re.split("[=&]", parts.query)}
    return {face for face in faces if len(face) >= _SHORTEST_HIDDEN}
