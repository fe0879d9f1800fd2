"""`queryfit schedule`: what it prints are commands of this program, and no password is among them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from queryfit.cli.main import cli, status_of
from tests.schedule.conftest import here, stand_in

__all__ = ["here", "stand_in"]  # fixtures
KINDS = ("systemd", "cron", "kubernetes", "github")
# examples/ci: written with `queryfit schedule … > examples/ci/…` in a folder without configuration
EXAMPLES_FOLDER = Path(__file__).parents[2] / "examples" / "ci"
EXAMPLES = {
    "report-github.yml": ["--kind", "github", "--every", "15m", "--redact"],
    "report-kubernetes.yml": [
        "--kind", "kubernetes", "--image", "registry.example.org/queryfit:1", "--config-map", "queryfit", "--mail",
        "--timezone", "Europe/Berlin",
    ],
}  # fmt: skip
SENT = ("--mail", "--webhook")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = status_of(["schedule", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def commands(kind: str, text: str) -> list[list[str]]:
    """The commands of queryfit that are in a schedule."""
    if kind == "kubernetes":
        jobs = [one for one in yaml.safe_load_all(text) if one["kind"] == "CronJob"]
        containers = [job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0] for job in jobs]
        return [container["args"] for container in containers]
    if kind == "github":
        steps = yaml.safe_load(text)["jobs"]["queryfit"]["steps"]
        return [shlex.split(step["run"])[1:] for step in steps if step.get("run", "").startswith("queryfit ")]
    found = [line.partition("ExecStart=")[2] or line.partition(" * ")[2] for line in text.splitlines()]
    after = [text.partition(" -m queryfit ")[2].replace(" >/dev/null", "") for text in found if " -m queryfit " in text]
    return [shlex.split(text) for text in after]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ways", [(), SENT], ids=["kept", "sent"])
@pytest.mark.usefixtures("here")
def test_what_runs_are_real_commands(
    kind: str, ways: Sequence[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest"])
    more = ["--image", "x", "--config-map", "c"] if kind == "kubernetes" else []
    status, text, said = run(capsys, "service=shop", "--kind", kind, "--redact", *ways, *more)
    assert status == 0, said
    found = commands(kind, text)
    assert [words[0] for words in found] == ["capture", "compact", "report"]
    for name, *arguments in found:
        with cli.make_context("queryfit", [name, *arguments]) as context:
            command = cli.get_command(context, name)
            assert command is not None
            command.make_context(name, list(arguments), parent=context).close()
    assert found[0][1:3] == ["--kind", "auto"]
    assert found[0][-1] == "service=shop"
    assert {"--mail", "--webhook"} & set(found[2]) == set(ways)
    assert ("--output" in found[2]) == (not ways)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "dsn",
    ["postgresql://me:geheim@db/shop", "host=db password=geheim", "host=db password='geheim x' dbname=shop",
     "postgresql://db/shop?password=geheim", "postgresql://db/shop?sslpassword=geheim", "postgresql://me:geheim@[db",
     "password = geheim =", "--password=geheim"],
)  # fmt: skip
@pytest.mark.usefixtures("here")
def test_a_password_is_refused_and_not_repeated(kind: str, dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--image", "x"] if kind == "kubernetes" else []
    status, out, said = run(capsys, "--kind", kind, *more, "--", dsn)
    assert status in {2, 3}
    assert out == ""
    assert "geheim" not in said
    assert "hint:" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kind", "cron", "--system"], "--system means nothing to cron"),
        (["--kind", "github", "--env-file", "x"], "--env-file means nothing to github"),
        (["--kind", "kubernetes"], "--image is missing"),
        (["--kind", "kubernetes", "--image", "x", "--mail"], "--config-map NAME"),
        (["--install", "--remove"], "exclude each other"),
        (["--run-as", "me"], "add --system"),
        (["--name", "a b"], "cannot name units"),
        (["--name", "../x"], "cannot name units"),
        (["--every", "7m"], "--every '7m'"),
        (["--report", "soon"], "'soon' is no time"),
        (["--timezone", "Mars/Olympus"], "is not known"),
        (["--timezone", "../../etc/passwd"], "is not known"),
    ],
)
@pytest.mark.usefixtures("here")
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, said = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert words in said


def test_a_report_has_to_have_a_way(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "queryfit.toml").write_text('[mail]\nhost = "x"\nfrom = "q@example.org"\n')
    assert "somebody to go to" in run(capsys, "--mail")[2]
    assert "no [[webhook]]" in run(capsys, "--webhook")[2]
    (here / "queryfit.toml").unlink()
    assert "no [mail]" in run(capsys, "--mail")[2]


def test_a_file_of_variables_is_private(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / "variables"
    file.write_text("PGPASSWORD=geheim\n")
    file.chmod(0o644)
    status, _, said = run(capsys, "--env-file", str(file))
    assert (status, "chmod 600" in said) == (3, True)
    file.chmod(0o600)
    status, out, _ = run(capsys, "--env-file", "variables")
    assert (status, f"\nEnvironmentFile={file}\n" in out) == (0, True)


def test_printed_by_default_installed_and_removed_when_asked(
    here: Path, stand_in: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = stand_in("systemctl", "")
    folder = here.parent / "xdg_config_home" / "systemd" / "user"
    _, printed, _ = run(capsys, "service=shop")
    assert not folder.exists()
    assert not calls.exists()
    status, out, _ = run(capsys, "service=shop", "--install")
    assert (status, "started queryfit-capture.timer" in out) == (0, True)
    for path in folder.iterdir():
        assert f"# {path}\n{path.read_text()}" in printed
    status, out, _ = run(capsys, "--remove")
    assert (status, out.count("removed ")) == (0, 6)
    assert run(capsys, "--remove")[1] == "there was nothing to remove\n"


@pytest.mark.usefixtures("here")
def test_a_machine_has_its_own_store(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, said = run(capsys, "service=shop", "--system")
    assert "--store /var/lib/queryfit" in out
    assert "\nUser=queryfit\n" in out
    assert "useradd --system queryfit" in said


@pytest.mark.parametrize("name", ["report-github.yml", "report-kubernetes.yml"])
def test_the_examples_are_what_is_printed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, text, said = run(capsys, *EXAMPLES[name])
    assert status == 0, said
    assert (EXAMPLES_FOLDER / name).read_text(encoding="utf-8") == text
    readme = (EXAMPLES_FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
    assert f"examples/ci/{name}" in readme


def test_a_workflow_goes_to_the_root_of_the_repository(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / ".git").mkdir()
    (here / "deep").mkdir()
    (here / "queryfit.toml").rename(here / "deep" / "queryfit.toml")
    monkeypatch.chdir(here / "deep")
    status, _, said = run(capsys, "--kind", "github", "--mail", "--webhook", "--install")
    assert status == 0, said
    text = (here / ".github" / "workflows" / "queryfit.yml").read_text()
    assert "--config deep/queryfit.toml" in text
    assert "${{ secrets.MAIL_PASSWORD }}" in text
    assert "${{ secrets.SLACK_URL }}" in text
    assert run(capsys, "--kind", "github", "--remove")[0] == 0
    assert "is not in the repository" in run(capsys, "--kind", "github", "--config", _elsewhere(here))[2]


def _elsewhere(here: Path) -> str:
    path = here.parent / "queryfit.toml"
    path.write_text("")
    return str(path)
