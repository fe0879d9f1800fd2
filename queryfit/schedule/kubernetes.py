"""A CronJob for each job of Kubernetes, and a volume that keeps the store."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from queryfit.errors import UsageError
from queryfit.schedule import yaml
from queryfit.schedule.jobs import MARK, Job, check_words, prefix
from queryfit.schedule.programs import call
from queryfit.schedule.timing import Every

STORE = "/var/lib/queryfit"
CONFIG = "/etc/queryfit/queryfit.toml"
_MANAGER = "queryfit-schedule"
_USER = 10001  # any but root; the volume belongs to it
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,250}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HINT = "apply the printed YAML where kubectl is: queryfit schedule --kind kubernetes … | kubectl apply -f -"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the jobs run: `secret` holds environment variables, `config_map` a queryfit.toml, null: none."""

    name: str
    image: str
    namespace: str | None = None
    secret: str = "queryfit"  # noqa: S105 -- its name, not its content
    config_map: str | None = None
    volume_size: str = "5Gi"
    timezone: str | None = None


def manifest(cluster: Cluster, jobs: Sequence[Job]) -> str:
    """The claim of a volume and a CronJob for each job, as YAML. Raises UsageError."""
    check_words((cluster.image, cluster.volume_size))
    if not _IMAGE.fullmatch(cluster.image):
        raise UsageError(f"--image {cluster.image!r} is no name of an image", hint="registry.example.org/queryfit:1")
    if not re.fullmatch(r"[1-9]\d{0,5}(Mi|Gi|Ti)", cluster.volume_size):
        raise UsageError(f"--volume-size {cluster.volume_size!r} is no size", hint="such as 5Gi")
    for option, name in (
        ("namespace", cluster.namespace),
        ("secret", cluster.secret),
        ("config-map", cluster.config_map),
    ):
        if name is not None and not _LABEL.fullmatch(name):
            raise UsageError(f"--{option} {name!r} cannot be a name in Kubernetes", hint="use a-z, 0-9 and '-'")
    documents = [_claim(cluster), *(_cron_job(cluster, job) for job in jobs)]
    return f"# {MARK}\n" + "---\n".join(yaml.document(one) for one in documents)


def _metadata(cluster: Cluster, name: str) -> Mapping[str, yaml.Value]:
    space = {"namespace": cluster.namespace} if cluster.namespace else {}
    return {"name": name, **space, "labels": _labels(cluster)}


def _labels(cluster: Cluster) -> Mapping[str, yaml.Value]:
    return {
        "app.kubernetes.io/name": "queryfit",
        "app.kubernetes.io/instance": cluster.name,
        "app.kubernetes.io/managed-by": _MANAGER,
    }


def _claim(cluster: Cluster) -> Mapping[str, yaml.Value]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(cluster, f"{prefix(cluster.name)}-store"),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": cluster.volume_size}}},
    }


def _cron_job(cluster: Cluster, job: Job) -> Mapping[str, yaml.Value]:
    zone = {"timeZone": cluster.timezone} if cluster.timezone else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _metadata(cluster, f"{prefix(cluster.name)}-{job.name}"),
        "spec": {
            "schedule": job.timing.cron(),
            **zone,
            "concurrencyPolicy": "Forbid",
            # a capture that is late is not worth it, a report is
            "startingDeadlineSeconds": 200 if isinstance(job.timing, Every) else 21_600,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 0,  # the next start does what this one could not
                    "activeDeadlineSeconds": job.limit_s,
                    "template": {"metadata": {"labels": _labels(cluster)}, "spec": _pod(cluster, job)},
                }
            },
        },
    }


def _pod(cluster: Cluster, job: Job) -> Mapping[str, yaml.Value]:
    mounts: list[yaml.Value] = [{"name": "store", "mountPath": STORE}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    volumes: list[yaml.Value] = [
        {"name": "store", "persistentVolumeClaim": {"claimName": f"{prefix(cluster.name)}-store"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if cluster.config_map:
        mounts.append({"name": "config", "mountPath": CONFIG.rpartition("/")[0], "readOnly": True})
        volumes.append({"name": "config", "configMap": {"name": cluster.config_map}})
    container: Mapping[str, yaml.Value] = {
        "name": job.name,
        "image": cluster.image,
        "command": ["queryfit"],
        "args": [word.replace("$", "$$") for word in job.arguments],  # $(VAR) would be filled in
        "envFrom": [{"secretRef": {"name": cluster.secret}}],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 -- of the container, its own
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }


def install(cluster: Cluster, jobs: Sequence[Job]) -> list[str]:
    """Apply the manifest with kubectl, and remove the CronJobs that are not wanted any more; what was done."""
    text = manifest(cluster, jobs)
    done = call(["kubectl", "apply", "-f", "-"], given=text, hint=_HINT)
    wanted = {f"{prefix(cluster.name)}-{job.name}" for job in jobs}
    there = call(["kubectl", "get", "cronjob", *_space(cluster), "-l", _selector(cluster), "-o", "name"], hint=_HINT)
    said = done.stdout.splitlines()
    for name in there.stdout.split():
        if name.rpartition("/")[2] not in wanted:
            said += call(["kubectl", "delete", *_space(cluster), name], hint=_HINT).stdout.splitlines()
    return said


def remove(cluster: Cluster) -> list[str]:
    """Remove the CronJobs of this name; the volume stays, since it holds what cannot be captured again."""
    command = ["kubectl", "delete", "cronjob", *_space(cluster), "-l", _selector(cluster), "--ignore-not-found"]
    done = call(command, hint="kubectl delete cronjob -l " + _selector(cluster))
    said = [text for text in done.stdout.splitlines() if text.strip() and "No resources" not in text]
    return [*said, f"the volume {prefix(cluster.name)}-store stays: it holds the captures"] if said else []


def _selector(cluster: Cluster) -> str:
    return f"app.kubernetes.io/managed-by={_MANAGER},app.kubernetes.io/instance={cluster.name}"


def _space(cluster: Cluster) -> list[str]:
    return ["--namespace", cluster.namespace] if cluster.namespace else []
