"""Captures are whole or not there, whatever stopped the writer, and a damaged one is named instead of believed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queryfit.errors import QueryfitError
from queryfit.evidence.session import open_session
from queryfit.evidence.store import Capture, Store, open_capture, write_atomically

AT = datetime(2026, 1, 8, 12, 30, tzinfo=UTC).replace(tzinfo=None)  # evidence holds naive UTC


def take(
    folder: Path, rows: Mapping[str, Iterable[Mapping[str, object]]], *, kind: str = "full", **meta: object
) -> Capture:
    with Store(folder).write(kind) as writer:
        writer.meta.update({"system_identifier": "7", "captured_at": AT, **meta})
        for table, table_rows in rows.items():
            writer.add(table, table_rows)
    assert writer.committed
    return writer.committed


def text(value: str, fingerprint: str = "f") -> dict[str, object]:
    return {"fingerprint": fingerprint, "text": value, "kind": "select", "is_truncated": False}


def texts_of(capture: Capture) -> list[str]:
    with open_session(capture) as session:
        return [row[0] for row in session.query("select text from statement_text order by fingerprint").rows]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a\0b\0",
        "x" * 1_000_000,
        "\x1b[31mred\x07",
        "line\nline\r\nline\u2028\u2029\x85",
        "'\"\\`${}%s$1{{x}}",
        "☃ \U0001f600 ﷽ \u202e\ufeff",
        '{"a": [1, null]}',
        "null",
        "NaN",
        "\\N",
        "::error::x",
    ],
    ids=lambda value: f"{len(value)}-{value[:3]!r}",
)
def test_a_text_comes_back_as_it_was(tmp_path: Path, value: str) -> None:
    assert texts_of(take(tmp_path, {"statement_text": [text(value)]})) == [value]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=20))
def test_any_texts_come_back_as_they_were(tmp_path: Path, values: list[str]) -> None:
    rows = [text(value, f"{number:03}") for number, value in enumerate(values)]
    assert texts_of(take(tmp_path, {"statement_text": rows})) == values


def test_an_empty_table_of_a_sample_hides_the_rows_of_its_full_capture(tmp_path: Path) -> None:
    full = take(tmp_path, {"statement_text": [text("select 1")], "unread": []})
    with Store(tmp_path).write("sample") as writer:
        writer.meta.update({"system_identifier": "7", "captured_at": AT})
        writer.build_on(full)
        writer.add("statement_text", [])
    assert writer.committed
    assert texts_of(full) == ["select 1"]
    assert texts_of(writer.committed) == []
    assert "statement_text" in writer.committed.held()


def test_half_a_surrogate_pair_does_not_cost_the_capture(tmp_path: Path) -> None:
    assert texts_of(take(tmp_path, {"statement_text": [text("a\ud800b"), text("c", "g")]})) == ["a?b", "c"]


def test_numbers_lists_moments_and_nulls_come_back(tmp_path: Path) -> None:
    column = {"database": "d", "relation": "public.a", "column_name": "c", "is_inherited": False}
    capture = take(
        tmp_path,
        {
            "column_statistics": [
                {**column, "correlation": -0.25, "common_frequencies": [0.5, 1e-9], "average_width_bytes": 2**31 - 1},
                {
                    **column,
                    "relation": "public.b",
                    "correlation": float("nan"),
                    "common_frequencies": (float("inf"), 1),
                },
            ],
            "relation_counter": [
                {
                    "database": "d",
                    "relation": "public.a",
                    "live_rows": 2**63 - 1,
                    "vacuumed_at": AT.replace(microsecond=7),
                }
            ],
        },
    )
    with open_session(capture) as session:
        statistics = (
            "select correlation, common_frequencies, average_width_bytes from column_statistics order by relation"
        )
        assert session.query(statistics).rows == ((-0.25, [0.5, 1e-9], 2**31 - 1), (None, [None, 1.0], None))
        assert session.query("select live_rows, dead_rows, vacuumed_at from relation_counter").rows == (
            (2**63 - 1, None, AT.replace(microsecond=7)),
        )


def test_an_unknown_column_or_table_is_a_key_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="colour"):
        take(tmp_path, {"statement_text": [{**text("x"), "colour": "red"}]})
    with pytest.raises(KeyError):
        take(tmp_path, {"no_such_table": [{}]})
    assert Store(tmp_path).captures("7") == ([], [])
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    capture = take(tmp_path, {"relation": [], "statement_text": iter(())})
    assert {"relation", "statement_text"} <= capture.held()
    assert sorted(path.name for path in capture.folder.iterdir()) == ["capture.json"]  # no rows need no file
    assert texts_of(capture) == []


def test_a_row_without_a_required_value_is_left_out_and_told(tmp_path: Path) -> None:
    capture = take(tmp_path, {"statement_text": [text("good"), {"text": "nameless"}]})
    assert texts_of(capture) == ["good"]
    with open_session(capture) as session:
        ((table, reason),) = session.query("select table_name, reason from unread").rows
    assert table == "statement_text"
    assert "1 rows lack" in reason
    assert "fingerprint" in reason


def test_a_value_of_another_type_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(QueryfitError, match="cannot write activity"):
        take(tmp_path, {"activity": [{"sampled_at": AT, "pid": 2**40, "is_own": False}]})
    assert Store(tmp_path).captures("7") == ([], [])


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", "", ".", "..", "a\0b", "x" * 300, "7\n"])
def test_a_server_cannot_choose_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(QueryfitError, match="cannot name a folder"):
        take(tmp_path / "store", {"statement_text": [text("x")]}, system_identifier=name)
    assert [path.name for path in tmp_path.rglob("*")] == ["store", ".incoming"]


def test_nobody_else_may_read_a_capture(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        take(tmp_path / "share" / "store", {"statement_text": [text("x")], "relation": []})
    finally:
        os.umask(before)
    for path in [tmp_path / "share" / "store", *(tmp_path / "share" / "store").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_captures_come_oldest_first(tmp_path: Path) -> None:
    for day in (3, 1, 2):
        take(tmp_path, {"statement_text": []}, captured_at=AT.replace(day=day))
    good, bad = Store(tmp_path).captures("7")
    assert [capture.meta["captured_at"][:10] for capture in good] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert bad == []


def test_a_capture_is_found_by_name_and_by_folder(tmp_path: Path) -> None:
    store, capture = Store(tmp_path), take(tmp_path, {"statement_text": []})
    assert store.find(capture.name).folder == store.find(str(capture.folder)).folder == capture.folder
    for name in ("nothing", "x" * 5000, "../7"):
        with pytest.raises(QueryfitError, match="no capture"):
            store.find(name)


# --- samples -------------------------------------------------------------------------------------------------------


def test_a_sample_takes_what_it_lacks_from_its_full_capture(tmp_path: Path) -> None:
    setting = {"name": "work_mem", "value": "4096"}
    full = take(tmp_path, {"setting": [setting], "statement_text": [text("old")]})
    sample = take(tmp_path, {"statement_text": [text("new")]}, kind="sample", full=full.name)
    with open_session(sample) as session:
        assert session.query("select value from setting").rows == (("4096",),)
    assert texts_of(sample) == ["new"]


def test_a_sample_whose_full_capture_is_gone_says_so(tmp_path: Path) -> None:
    full = take(tmp_path, {"setting": []})
    sample = take(tmp_path, {"statement_text": []}, kind="sample", full=full.name)
    shutil.rmtree(full.folder)
    with pytest.raises(QueryfitError, match=f"{full.name} is not a capture"):
        open_session(sample)


def test_captures_that_stand_on_each_other_are_refused(tmp_path: Path) -> None:
    capture = take(tmp_path, {"setting": []}, kind="sample")
    for name in (capture.name, f"../7/{capture.name}"):
        edit(capture, full=name)
        with pytest.raises(QueryfitError, match="no full capture"):
            open_session(open_capture(capture.folder))


def test_a_sample_does_not_reach_outside_its_server(tmp_path: Path) -> None:
    elsewhere = take(tmp_path / "elsewhere", {"setting": []})
    capture = take(tmp_path / "store", {"statement_text": []}, kind="sample")
    edit(capture, full=f"../../elsewhere/7/{elsewhere.name}")
    with pytest.raises(QueryfitError, match="is not a capture"):
        open_session(open_capture(capture.folder))


# --- damage --------------------------------------------------------------------------------------------------------


def edit(capture: Capture, **changes: Any) -> None:
    path = capture.folder / "capture.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    capture = take(tmp_path, {"statement_text": [text("x")]})
    file = capture.folder / "statement_text.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(QueryfitError, match=r"damaged: statement_text\.parquet has \d+ of \d+ bytes") as caught:
        open_session(capture)
    assert caught.value.hint
    file.unlink()
    with pytest.raises(QueryfitError, match=r"has 0 of"):
        open_session(capture)


def test_a_file_with_other_bytes_of_the_same_length_is_named(tmp_path: Path) -> None:
    capture = take(tmp_path, {"statement_text": [text("x" * 5000)]})
    file = capture.folder / "statement_text.parquet"
    file.write_bytes(os.urandom(file.stat().st_size))
    with pytest.raises(QueryfitError, match=r"statement_text\.parquet cannot be read") as caught:
        open_session(capture)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"\xff\xfe", b"null", b"[]", b"3", b'"x"', b"{}", b"[" * 100_000, b'{"format_version": 1e400}'],
    ids=lambda value: f"{len(value)}-{value[:3]!r}",
)
def test_a_garbled_capture_json_is_skipped_and_named(tmp_path: Path, garbage: bytes) -> None:
    good, bad = take(tmp_path, {"statement_text": []}), take(tmp_path, {"statement_text": []})
    (bad.folder / "capture.json").write_bytes(garbage)
    captures, unusable = Store(tmp_path).captures("7")
    assert [capture.name for capture in captures] == [good.name]
    assert [entry.folder for entry in unusable] == [bad.folder]
    assert "capture.json" in unusable[0].reason


@pytest.mark.parametrize(
    "change",
    [
        {"tables": []},
        {"tables": "x"},
        {"tables": None},
        {"tables": {"relation": 5}},
        {"tables": {"../../etc/passwd": {"bytes": 1}}},
        {"captured_at": "yesterday"},
        {"captured_at": None},
        {"format_version": "x"},
        {"format_version": None},
        {"format_version": [1]},
    ],
    ids=str,
)
def test_a_capture_json_that_says_nonsense_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    capture = take(tmp_path, {"statement_text": []})
    edit(capture, **change)
    with pytest.raises(QueryfitError, match="cannot be read"):
        open_capture(capture.folder)


def test_a_table_without_its_size_is_damage(tmp_path: Path) -> None:
    capture = take(tmp_path, {"statement_text": []})
    edit(capture, tables={"statement_text": {}})
    with pytest.raises(QueryfitError, match="damaged"):
        open_session(open_capture(capture.folder))


def test_a_later_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    capture = take(tmp_path, {"statement_text": []})
    edit(capture, format_version=99)
    with pytest.raises(QueryfitError, match="format 99") as caught:
        open_capture(capture.folder)
    assert caught.value.hint == "upgrade queryfit"


def test_tables_and_columns_of_another_version_do_no_harm(tmp_path: Path) -> None:
    capture = take(tmp_path, {"statement_text": [text("x")], "setting": []})
    shutil.copy(capture.folder / "statement_text.parquet", capture.folder / "future.parquet")
    size = (capture.folder / "future.parquet").stat().st_size
    tables = {**capture.meta["tables"], "future": {"rows": 1, "bytes": size}}
    edit(capture, tables=tables)
    assert texts_of(open_capture(capture.folder)) == ["x"]


# --- writers that die, fail or race --------------------------------------------------------------------------------

WRITER = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from queryfit.evidence.store import Store
    folder, label, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    print("ready", flush=True)
    for number in range(count):
        with Store(folder).write("full") as writer:
            writer.meta.update(system_identifier="7", captured_at=datetime(2026, 1, 8), label=f"{label}-{number}")
            for table in ("statement_text", "shape"):
                row = {"fingerprint": "f", "text": "x" * 2000, "kind": "select", "is_truncated": False}
                writer.add("statement_text", (row for _ in range(2000)))
            writer.add("setting", [{"name": "work_mem", "value": "1"}])
"""


def start(folder: Path, label: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(folder), label, str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_writer_killed_at_any_moment_harms_nothing(tmp_path: Path) -> None:
    first = take(tmp_path, {"statement_text": [text("first")]})
    chance = random.Random(2)
    for number in range(8):
        with start(tmp_path, f"killed{number}", 1000) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.15, 0.9))
            process.send_signal(signal.SIGKILL)
        good, bad = Store(tmp_path).captures("7")
        assert bad == []
        assert all(len(capture.files()) >= 1 for capture in good)
    assert texts_of(first) == ["first"]
    good, _ = Store(tmp_path).captures("7")
    for capture in good:
        assert len(texts_of(capture)) == (1 if capture.name == first.name else 4000)
    assert Store(tmp_path).servers() == ["7"]


def test_what_a_killed_writer_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    incoming = store.prepare()
    left = incoming / "left"
    left.mkdir()
    (left / "statement_text.ndjson").write_text("{")
    young = incoming / "young"
    young.mkdir()
    with store.write("full") as living:
        living.add("setting", [{"name": "a"}])
        for folder in (left, living.folder):
            os.utime(folder, (time.time() - 600, time.time() - 600))
        take(tmp_path, {"statement_text": []})
        assert not left.exists()
        assert young.exists()
        assert living.folder.exists()
        living.meta.update(system_identifier="7", captured_at=AT)
    assert living.committed
    assert len(store.captures("7")[0]) == 2


def test_an_exception_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Mapping[str, object]]:
        yield text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(tmp_path, {"statement_text": interrupted()})
    assert list((tmp_path / ".incoming").iterdir()) == []
    assert Store(tmp_path).servers() == []


def test_eight_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    processes = [start(tmp_path, f"w{number}", 2) for number in range(8)]
    for process in processes:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
    good, bad = Store(tmp_path).captures("7")
    assert bad == []
    assert {capture.meta["label"] for capture in good} == {f"w{n}-{m}" for n in range(8) for m in range(2)}
    for capture in good:
        assert capture.meta["tables"]["statement_text"]["rows"] == 4000
        capture.files()
    assert list((tmp_path / ".incoming").iterdir()) == []


@pytest.mark.parametrize("limit", [100, 20_000, 6_000_000])
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path, limit: int) -> None:
    """The limit on the size of a file stands in for the full disk: the same write fails, with another errno."""
    first = take(tmp_path, {"statement_text": [text("first")]})
    script = f"""
        import resource, sys
        from queryfit.errors import QueryfitError
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        sys.argv = ["", {str(tmp_path)!r}, "full", "1"]
        try:
            exec({textwrap.dedent(WRITER)!r})
        except QueryfitError as error:
            print(error.message, "|", error.hint)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert f"cannot write to the store {tmp_path}" in done.stdout
    assert "--store" in done.stdout
    assert [capture.name for capture in Store(tmp_path).captures("7")[0]] == [first.name]
    assert list((tmp_path / ".incoming").iterdir()) == []
    assert texts_of(first) == ["first"]


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("mounting a small disk needs root")
    script = f"""
        import subprocess, sys
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", {str(tmp_path)!r}]).returncode:
            print("no mount"); sys.exit()
        from pathlib import Path
        from queryfit.errors import QueryfitError
        from queryfit.evidence.store import Store
        sys.argv = ["", {str(tmp_path)!r}, "full", "1"]
        try:
            exec({textwrap.dedent(WRITER)!r})
        except QueryfitError as error:
            print(error.message)
            print(Store(Path({str(tmp_path)!r})).captures("7"), list(Path({str(tmp_path)!r}, ".incoming").iterdir()))
    """
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "no mount" in done.stdout or "unshare" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert "No space left on device" in done.stdout, done.stdout + done.stderr
    assert "([], []) []" in done.stdout


def test_a_store_that_cannot_be_written_to(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "below", Path("/proc/queryfit")):
        with pytest.raises(QueryfitError, match="cannot write to the store") as caught:
            take(folder, {"statement_text": []})
        assert "--store" in str(caught.value.hint)


def test_a_small_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file.json"
    write_atomically(path, "one")
    write_atomically(path, "two")
    assert path.read_text() == "two"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]
