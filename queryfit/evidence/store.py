"""The store: a folder of immutable captures per server.

A capture is one folder of Parquet files with a `capture.json`. It is written under `.incoming/`, synced, and becomes
visible by one rename, so a reader sees all of it or nothing, whatever killed the writer.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from queryfit import __version__
from queryfit.errors import QueryfitError
from queryfit.evidence.dictionary import Table, tables
from queryfit.evidence.engine import duckdb
from queryfit.evidence.redact import redact
from queryfit.evidence.secrets import without_secrets

try:
    import fcntl
except ImportError:  # Windows: left-overs are then only swept by age
    fcntl = None  # type: ignore[assignment]

FORMAT_VERSION = 2  # 2: a table without rows has no file; there are periods
_INCOMING = ".incoming"
_META = "capture.json"
PERIOD = "period"  # kind of a folder that holds what many captures were merged into
_SWEEP_AGE_S = 60  # a folder younger than this may not have taken its lock yet


@dataclass(frozen=True, slots=True)
class Capture:
    """A committed capture: its folder and what capture.json says."""

    folder: Path
    meta: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def kind(self) -> str:
        return str(self.meta["kind"])

    @property
    def system_identifier(self) -> str:
        return str(self.meta["system_identifier"])

    def files(self) -> dict[str, Path]:
        """Parquet files by table; a sample takes the tables it lacks from its full capture.

        Raises QueryfitError where a file is missing or shorter than it was when written.
        """
        found: dict[str, Path] = {}
        if base := self.meta.get("full"):
            full = open_capture(self.folder.parent / Path(str(base)).name)
            if full.meta.get("full"):  # a sample never stands on another one, let alone on itself
                raise QueryfitError(f"capture {self.name} is damaged: {full.name} is no full capture")
            found.update(full.files())
        self.check(self.meta["tables"])
        for table in self.meta["tables"]:
            # a table without rows takes the place of the full capture's
            found.pop(table, None)
            if (path := self.file(table)) is not None:
                found[table] = path
        return found

    def held(self) -> frozenset[str]:
        """Tables that were captured, with rows or without; those of its full capture are a sample's own.

        Raises QueryfitError where the full capture is not there.
        """
        base = self.meta.get("full")
        taken = open_capture(self.folder.parent / Path(str(base)).name).meta["tables"].keys() if base else set()
        return frozenset(self.meta["tables"].keys() | taken)

    def file(self, table: str) -> Path | None:
        """The capture's own file of a table; None where it has none: the table is empty, or was not captured."""
        facts = self.meta["tables"].get(table)
        return None if facts is None or facts.get("bytes") == 0 else self.folder / f"{table}.parquet"

    def check(self, wanted: Iterable[str]) -> None:
        """Raise QueryfitError where a file of one of these tables is missing or shorter than it was when written."""
        for table in wanted:
            if (path := self.file(table)) is None:
                continue
            try:
                size = os.stat(path).st_size  # noqa: PTH116 -- a history asks for a hundred thousand of them
            except OSError:
                size = 0
            if size != (expected := self.meta["tables"][table].get("bytes")):
                raise QueryfitError(
                    f"capture {self.name} is damaged: {path.name} has {size} of {expected} bytes",
                    hint="take a new capture, or name an older one; `queryfit history` lists them",
                )


@dataclass(frozen=True, slots=True)
class Unusable:
    """A folder in the store that is no capture this version can read."""

    folder: Path
    reason: str


def open_capture(folder: Path) -> Capture:
    """The capture in `folder`. Raises QueryfitError where it is none, damaged, or of a later format."""
    try:
        meta = json.loads((folder / _META).read_text(encoding="utf-8"))
        version = int(meta["format_version"])
        missing = {"kind", "system_identifier", "tables", "captured_at"} - meta.keys()
        if not missing:
            _check_meta(meta)
    except FileNotFoundError:
        raise QueryfitError(
            f"{folder} is not a capture: it holds no {_META}", hint="`queryfit history` lists the captures of the store"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise QueryfitError(f"{folder / _META} cannot be read: {error}", hint="take a new capture") from None
    if version > FORMAT_VERSION:
        raise QueryfitError(
            f"capture {folder.name} has format {version}, this version of queryfit reads up to {FORMAT_VERSION}",
            hint="upgrade queryfit",
        )
    if missing:
        raise QueryfitError(f"{folder / _META} lacks {', '.join(sorted(missing))}", hint="take a new capture")
    return Capture(folder, meta)


def _check_meta(meta: Mapping[str, Any]) -> None:
    """Raise ValueError, AttributeError or TypeError where a capture.json does not say what a writer says."""
    datetime.fromisoformat(str(meta["captured_at"]))
    for table, facts in meta["tables"].items():
        if not isinstance(facts, dict) or not _is_plain(table):
            raise ValueError(f"it speaks of a table {table!r}")


class Store:
    """Captures below one folder, `<system identifier>/<time>-<random>/`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def servers(self) -> list[str]:
        """System identifiers that have captures."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith("."))

    def captures(self, system_identifier: str) -> tuple[list[Capture], list[Unusable]]:
        """The captures of one server, oldest first, and what lies there that cannot be read."""
        found, bad = self.folders(system_identifier)
        return [capture for capture in found if capture.kind != PERIOD], bad

    def folders(self, system_identifier: str) -> tuple[list[Capture], list[Unusable]]:
        """The captures and periods of one server, and what lies there that cannot be read."""
        good: list[Capture] = []
        bad: list[Unusable] = []
        place = self.folder / system_identifier
        with os.scandir(place) if place.is_dir() else nullcontext(()) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
        for name in names:
            try:
                good.append(open_capture(place / name))
            except QueryfitError as error:
                bad.append(Unusable(place / name, error.message))
        return good, bad

    def lookup(self, name: str) -> Capture | None:
        """A capture by folder path or by name in this store; None where there is none. Raises QueryfitError."""
        places = [Path(name), *(self.folder / server / name for server in self.servers())]
        # os.path: a name that is too long for the system is only not there
        found = next((place for place in places if os.path.exists(place / _META)), None)  # noqa: PTH110
        return open_capture(found) if found else None

    def find(self, name: str) -> Capture:
        """Like `lookup`, but raises QueryfitError where there is none."""
        found = self.lookup(name)
        if found is None:
            raise QueryfitError(f"no capture {name!r} in {self.folder}", hint="`queryfit history` lists them")
        return found

    def latest_full(self, system_identifier: str, scope: str) -> Capture | None:
        """The newest full capture of a server and scope whose files are all there; None where there is none."""
        for capture in reversed(self.captures(system_identifier)[0]):
            if capture.kind == "full" and capture.meta.get("scope") == scope:
                with suppress(QueryfitError):
                    capture.files()
                    return capture
        return None

    def prepare(self) -> Path:
        """The folder where captures are written before they are committed, swept of what killed writers left.

        Raises QueryfitError where the store cannot be written to.
        """
        incoming = self.folder / _INCOMING
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            for folder in (self.folder, incoming):
                folder.mkdir(exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=incoming):
                pass
            _sweep(incoming)
        except OSError as error:
            raise unwritable(self.folder, error) from None
        return incoming

    @contextmanager
    def write(self, kind: str, *, redacts: bool = False) -> Iterator[Writer]:
        """A writer whose capture is committed when the block ends, and leaves nothing when it raises.

        With `redacts`, literals and sample values are left out.
        Raises QueryfitError where the store cannot be written to.
        """
        with self.incoming() as folder:
            writer = Writer(folder, kind, redacts=redacts)
            try:
                yield writer
                writer.commit(self.folder)
            finally:
                writer.close()

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A folder to write in, gone when the block ends unless it was renamed into the store.

        Raises QueryfitError where the store cannot be written to.
        """
        folder = self.prepare() / secrets.token_hex(8)
        try:
            folder.mkdir(mode=0o700)
            with _locked(folder):
                yield folder
        except OSError as error:
            raise unwritable(self.folder, error) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, folders: Iterable[Path]) -> int:
        """Remove captures or periods, each at once for every reader; return how many. Raises QueryfitError."""
        incoming = self.prepare()
        removed = 0
        for folder in folders:
            aside = incoming / f"{secrets.token_hex(8)}-removed"
            try:
                folder.rename(aside)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise unwritable(self.folder, error) from None
            shutil.rmtree(aside, ignore_errors=True)  # what is left of it is swept later
            removed += 1
        return removed


def unwritable(folder: Path, error: OSError) -> QueryfitError:
    """The error for a store that cannot take a capture."""
    reason = error.strerror or str(error)
    return QueryfitError(f"cannot write to the store {folder}: {reason}", hint="name another folder with --store")


class Writer:
    """Collects the rows of one capture and commits them.

    `meta` goes to capture.json; `system_identifier` and `captured_at` have to be there before the end.
    """

    def __init__(self, folder: Path, kind: str, *, redacts: bool) -> None:
        self.folder = folder
        self.meta: dict[str, Any] = {"kind": kind, "is_redacted": redacts}
        self.committed: Capture | None = None
        self._open: dict[str, IO[str]] = {}
        self._counts: Counter[str] = Counter()

    def build_on(self, full: Capture) -> None:
        """Take the tables that this capture lacks from a full one by reference, with the gaps that they have there."""
        self.meta["full"] = full.name
        full.check(full.meta["tables"])
        if (unread := full.file("unread")) is None:
            return
        with duckdb.connect() as connection:
            cursor = connection.execute(f"select * from read_parquet('{_quoted(unread)}')")
            names = [column[0] for column in cursor.description or ()]
            gaps = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        taken = {table.name for table in tables().values() if table.capture == "full"}
        self.add("unread", [gap for gap in gaps if gap["table_name"] in taken])

    def add(self, table: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Append rows to an evidence table; missing keys are null, an unknown key is a KeyError.

        Datetimes are naive UTC. A number that is none (NaN, infinity) is null, half a surrogate pair becomes `?`.
        Rows are spooled to disk at once, so a generator needs no memory.
        """
        columns = tables()[table].column_types
        self._counts[table] += 0  # no rows is an answer: the table is held, and empty
        for row in rows:
            if not columns.keys() >= row.keys():
                raise KeyError(f"{table} has no column {', '.join(sorted(row.keys() - columns.keys()))}")
            kept = without_secrets(table, row)
            if self.meta["is_redacted"]:
                kept = redact(table, kept)
            try:
                line = _encoded(kept)
            except ValueError:
                line = _encoded({key: _finite(value) for key, value in kept.items()})
            self._spool(table).write(line + "\n")
            self._counts[table] += 1

    def _spool(self, table: str) -> IO[str]:
        if table not in self._open:
            descriptor = os.open(self.folder / f"{table}.ndjson", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            self._open[table] = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")
        return self._open[table]

    def close(self) -> None:
        for spool in self._open.values():
            with suppress(OSError):
                spool.close()
        self._open.clear()

    def commit(self, store: Path) -> None:
        """Turn the spooled rows into Parquet, sync them and rename the folder into the store."""
        facts = {}
        with duckdb.connect(config={"threads": 2}) as connection:
            connection.execute("set enable_progress_bar = false")  # it is drawn on standard output
            # gaps last: a row that has to be left out is one
            for table in sorted({*self._counts, "unread"}, key=lambda name: name == "unread"):
                if table in self._open:
                    self._open[table].close()
                    facts[table] = self._convert(connection, tables()[table])
                else:
                    facts[table] = {"rows": 0, "bytes": 0}  # a file of no rows takes as long as one with some
        self._open.clear()
        self.meta["tables"] = facts
        stamp = datetime.fromisoformat(str(self.meta["captured_at"])).strftime("%Y%m%dT%H%M%SZ")
        # the random part keeps two writers of the same second apart
        self.committed = publish(store, self.folder, f"{stamp}-{self.folder.name[:6]}", self.meta)

    def _convert(self, connection: duckdb.DuckDBPyConnection, table: Table) -> dict[str, int]:
        spool = self.folder / f"{table.name}.ndjson"
        parquet = self.folder / f"{table.name}.parquet"
        types = ", ".join(f"{name}: '{type_}'" for name, type_ in table.column_types.items())
        read = (
            f"read_json('{_quoted(spool)}', format = 'newline_delimited', columns = {{{types}}},"
            " maximum_object_size = 268435456)"
        )
        required = [column.name for column in table.columns if column.is_required]
        is_whole = " and ".join(f"{name} is not null" for name in required) or "true"
        try:
            copied = connection.execute(
                f"copy (select * from {read} where {is_whole}) to '{_quoted(parquet)}'"
                " (format parquet, compression zstd)"
            )
            (rows,) = copied.fetchone() or (0,)
        except duckdb.IOException as error:
            raise OSError(str(error).splitlines()[0]) from None
        except duckdb.Error as error:
            raise QueryfitError(f"cannot write {table.name}: {str(error).splitlines()[0]}") from None
        if (lost := self._counts[table.name] - rows) and table.name != "unread":
            reason = f"{lost} rows lack one of {', '.join(required)}"
            self.add("unread", [{"table_name": table.name, "reason": reason}])
        spool.unlink()
        return {"rows": rows, **seal(parquet)}


def publish(store: Path, folder: Path, name: str, meta: Mapping[str, Any]) -> Capture:
    """Commit a folder whose files are synced: write its capture.json and rename it into the store.

    `meta` says at least the kind, the system identifier, the time and the tables. Raises QueryfitError and OSError.
    """
    whole = {
        **meta,
        "format_version": FORMAT_VERSION,
        "tool_version": __version__,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    _write_synced(folder / _META, json.dumps(whole, indent=2, default=_plain) + "\n")
    _sync(folder)
    if not _is_plain(server := str(meta["system_identifier"])):
        raise QueryfitError(f"the server calls itself {server!r}, which cannot name a folder")
    place = store / server
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.rename(place / name)
    _sync(place)
    return open_capture(place / name)


def seal(parquet: Path) -> dict[str, int]:
    """Sync a file that was written, for its owner alone; return its size as capture.json says it."""
    parquet.chmod(0o600)
    _sync(parquet)
    return {"bytes": parquet.stat().st_size}


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _is_plain(name: str) -> bool:
    """Fit for the name of a file or folder: what a server or a stranger's capture says must not lead elsewhere."""
    return bool(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name))


def _encoded(row: Mapping[str, object]) -> str:
    return json.dumps(row, default=_plain, allow_nan=False, ensure_ascii=False, check_circular=False)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


def _write_synced(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that a reader sees the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write_synced(beside, text)
        beside.replace(path)
        _sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # a directory cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Mark the folder as in use; the kernel frees the lock of a killed process."""
    descriptor = os.open(folder, os.O_RDONLY) if fcntl else -1
    try:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _sweep(incoming: Path) -> None:
    """Remove what killed writers left."""
    for folder in incoming.iterdir():
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime < _SWEEP_AGE_S:
                continue
            if fcntl:
                descriptor = os.open(folder, os.O_RDONLY)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    continue  # its writer lives
                finally:
                    os.close(descriptor)
            shutil.rmtree(folder, ignore_errors=True)
