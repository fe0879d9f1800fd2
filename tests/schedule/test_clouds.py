"""YAML for Kubernetes and GitHub, parsed back: fields as they are called there, and words that stay words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml as parser
from hypothesis import given, settings
from hypothesis import strategies as st

from queryfit.errors import QueryfitError, UsageError
from queryfit.schedule import github, kubernetes, yaml
from queryfit.schedule.jobs import Job, Wanted, make_jobs
from queryfit.schedule.timing import At, Every
from tests.schedule.conftest import HOSTILE

CLUSTER = kubernetes.Cluster(
    "shop", "registry.example.org/queryfit:1", "db", config_map="config", timezone="Europe/Berlin"
)
# of batch/v1 CronJob and what is in it, by the reference of the API
FIELDS = {
    "CronJob.spec": {
        "schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds", "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit", "jobTemplate", "suspend",
    },
    "Job.spec": {"backoffLimit", "activeDeadlineSeconds", "template", "ttlSecondsAfterFinished", "completions"},
    "Pod.spec": {
        "restartPolicy", "automountServiceAccountToken", "securityContext", "containers", "volumes",
    },
    "Pod.securityContext": {"runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "seccompProfile"},
    "Container": {
        "name", "image", "command", "args", "envFrom", "env", "resources", "securityContext", "volumeMounts",
    },
    "Container.securityContext": {"allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"},
}  # fmt: skip
StandIn = Callable[[str, str], Path]


def jobs(**more: object) -> tuple[Job, ...]:
    return make_jobs(Wanted(Every(5), At(7, 0, 0), **more))  # type: ignore[arg-type]


strings = st.text(st.characters(codec="utf-8"), max_size=30).filter(str.isprintable)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(strings, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(strings, values, max_size=4))
def test_yaml_reads_back(value: dict[str, Any]) -> None:
    assert (parser.safe_load(yaml.document(value)) or {}) == value


def cron_jobs(cluster: kubernetes.Cluster, wanted: tuple[Job, ...]) -> Iterator[dict[str, Any]]:
    claim, *found = parser.safe_load_all(kubernetes.manifest(cluster, wanted))
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    yield from found


def test_cron_jobs_have_the_fields_of_kubernetes() -> None:
    wanted = jobs(dsn=HOSTILE, by_mail=True)
    found = list(cron_jobs(CLUSTER, wanted))
    assert [one["metadata"]["name"] for one in found] == [f"queryfit-shop-{job.name}" for job in wanted]
    for one, job in zip(found, wanted, strict=True):
        assert (one["apiVersion"], one["kind"], one["metadata"]["namespace"]) == ("batch/v1", "CronJob", "db")
        spec = one["spec"]
        assert (spec["schedule"], spec["timeZone"]) == (job.timing.cron(), "Europe/Berlin")
        assert spec["concurrencyPolicy"] == "Forbid"
        inner = spec["jobTemplate"]["spec"]
        pod = inner["template"]["spec"]
        (container,) = pod["containers"]
        parts = {
            "CronJob.spec": spec, "Job.spec": inner, "Pod.spec": pod, "Pod.securityContext": pod["securityContext"],
            "Container": container, "Container.securityContext": container["securityContext"],
        }  # fmt: skip
        for name, part in parts.items():
            assert part.keys() <= FIELDS[name], name
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        expanded = [re.sub(r"\$\$", "$", word) for word in container["args"]]  # as the kubelet does
        assert tuple(expanded) == job.arguments
        assert not [word for word in container["args"] if re.search(r"(?<!\$)\$\(", word)]


@pytest.mark.parametrize(
    "change",
    [{"image": "a b"}, {"image": ""}, {"image": "-x"}, {"namespace": "A"}, {"secret": "x\ny"}, {"volume_size": "5"}],
)
def test_names_that_kubernetes_does_not_take(change: dict[str, str]) -> None:
    cluster = kubernetes.Cluster(**{"name": "queryfit", "image": "x", **change})
    with pytest.raises(UsageError):
        kubernetes.manifest(cluster, jobs())


def test_kubectl_applies_and_removes_only_ours(stand_in: StandIn, tmp_path: Path) -> None:
    calls = stand_in(
        "kubectl",
        f"""case "$1" in
          apply) cat > {tmp_path}/applied; echo "cronjob.batch/queryfit-shop-capture created";;
          get) echo cronjob.batch/queryfit-shop-capture; echo cronjob.batch/queryfit-shop-report;;
          delete) echo "$* deleted";;
        esac""",
    )
    wanted = make_jobs(Wanted(Every(5), None))
    said = kubernetes.install(CLUSTER, wanted)
    assert (tmp_path / "applied").read_text() == kubernetes.manifest(CLUSTER, wanted)
    assert said[-1] == "delete --namespace db cronjob.batch/queryfit-shop-report deleted"
    assert "the volume queryfit-shop-store stays" in kubernetes.remove(CLUSTER)[-1]
    selector = "app.kubernetes.io/managed-by=queryfit-schedule,app.kubernetes.io/instance=shop"
    assert calls.read_text().splitlines()[-1] == f"delete cronjob --namespace db -l {selector} --ignore-not-found"


def workflow(folder: Path, **more: object) -> github.Workflow:
    return github.Workflow("queryfit", folder, **more)  # type: ignore[arg-type]


def as_github_reads(text: str) -> str:
    """What the shell gets once the expressions that are string literals are filled in."""
    assert "secrets" not in "".join(re.findall(r"\$\{\{(.*?)\}\}", text.replace("${{ '${{' }}", "")))
    return text.replace("${{ '${{' }}", "${{")


def test_a_workflow_parses_back(tmp_path: Path) -> None:
    wanted = jobs(dsn=HOSTILE, by_mail=True)
    made = parser.safe_load(github.text(workflow(tmp_path, variables=("MAIL_PASSWORD",)), wanted))
    assert made["on"]["schedule"] == [{"cron": job.timing.cron()} for job in wanted]
    assert made["permissions"] == {"contents": "read"}
    steps = {step["name"]: step for step in made["jobs"]["queryfit"]["steps"] if "name" in step}
    assert list(steps) == ["capture", "compact", "report"]
    for job in wanted:
        assert f"github.event.schedule == '{job.timing.cron()}'" in steps[job.name]["if"]
        assert tuple(shlex.split(as_github_reads(steps[job.name]["run"]))) == ("queryfit", *job.arguments)
    assert steps["report"]["env"]["MAIL_PASSWORD"] == "${{ secrets.MAIL_PASSWORD }}"
    assert "MAIL_PASSWORD" not in steps["capture"]["env"]
    assert steps["capture"]["env"]["PGPASSWORD"] == "${{ secrets.PGPASSWORD }}"
    assert "env" not in steps["compact"]


def test_a_report_that_nobody_gets_is_kept_as_an_artifact(tmp_path: Path) -> None:
    made = parser.safe_load(github.text(workflow(tmp_path), jobs(page="queryfit-store/report.html")))
    (step,) = [step for step in made["jobs"]["queryfit"]["steps"] if "upload" in step.get("uses", "")]
    assert step["with"]["path"] == "queryfit-store/report.html"


def test_github_is_not_that_fast(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="every five minutes at most"):
        github.text(workflow(tmp_path), make_jobs(Wanted(Every(1), None)))


def test_a_workflow_is_written_and_removed(tmp_path: Path) -> None:
    mine = workflow(tmp_path)
    assert mine.path == tmp_path / ".github" / "workflows" / "queryfit.yml"
    assert github.remove(mine) == []
    assert "wrote" in github.install(mine, jobs())[0]
    assert "as it should be" in github.install(mine, jobs())[0]
    assert "removed" in github.remove(mine)[0]
    assert not mine.path.exists()
    mine.path.write_text("theirs")
    calls: list[Callable[[], object]] = [lambda: github.install(mine, jobs()), lambda: github.remove(mine)]
    for call in calls:
        with pytest.raises(QueryfitError, match="was not made by queryfit"):
            call()
    assert mine.path.read_text() == "theirs"
