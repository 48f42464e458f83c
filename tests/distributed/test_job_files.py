"""Each scheduler's file is read back by other parsers: YAML, bash, sbatch's grammar, torchrun's and our own flags."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from torch.distributed.run import get_args_parser

from twofold.cli.main import COMMANDS
from twofold.cli.parsing import parse
from twofold.distributed.job_files import ENGINES
from twofold.errors import TwofoldError
from twofold.programs.launch import launch

ODD = '/data/it\'s "odd" $(touch x) #1: é'
ASKED: dict[str, Any] = {
    "out": "/runs/R50_a",
    "recipe": "imagenet-resnet50",
    "gpus": 8,
    "nodes": 4,
    "gpu": "H100",
    "image": "registry/twofold:1",
    "minutes": 120.0,
    "batch_size": 4096,
    "crop_area": (0.2, 1.0),
}
SKYPILOT = {"name", "workdir", "num_nodes", "resources", "envs", "secrets", "file_mounts", "setup", "run", "config"}
SKYPILOT_RESOURCES = {"infra", "accelerators", "cpus", "memory", "use_spot", "disk_size", "image_id", "autostop"}
DSTACK = {
    *("type", "name", "nodes", "image", "python", "commands", "env", "resources", "volumes", "max_duration", "retry"),
}
SBATCH = {  # the values that sbatch's manual allows
    "job-name": r"[a-z][a-z0-9-]*",
    "nodes": r"\d+",
    "ntasks-per-node": r"\d+",
    "gpus-per-node": r"(\w+:)?\d+",
    "cpus-per-task": r"\d+",
    "mem": r"\d+[KMGT]",
    "time": r"\d+:\d\d:\d\d",
    "signal": r"(B:)?[A-Z0-9]+@\d+",
    "requeue": "",
}


def text(engine: str, data: str = ODD, **changes: Any) -> str:
    return launch(data, engine=engine, **{**ASKED, **changes})


def load(engine: str, **changes: Any) -> dict[str, Any]:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(text(engine, **changes))


def script(engine: str) -> str:
    """What a machine runs."""
    if engine == "slurm":
        return text(engine)
    values = load(engine)
    if engine == "skypilot":
        return values["run"]
    return values["spec"]["trainer"]["args"][0] if engine == "kubeflow" else values["commands"][1]


def require_bash(code: str) -> None:
    subprocess.run(["bash", "-n"], input=code, text=True, check=True, capture_output=True)


def torchrun_words(code: str) -> list[str]:
    line = code[code.index("torchrun --") :].replace("\\\n", " ").splitlines()[0]
    return shlex.split(line)[1:]


@pytest.mark.parametrize("engine", ENGINES)
def test_all_run_the_same_line_which_torchrun_and_pretrain_understand(engine: str) -> None:
    code = text(engine)
    words = get_args_parser().parse_args(torchrun_words(code))
    assert (words.nnodes, words.nproc_per_node, words.max_restarts) == ("4", "8", 3)
    assert (words.rdzv_backend, words.module, words.training_script) == ("c10d", True, "twofold")
    assert re.fullmatch(r"\$\w+:29400", words.rdzv_endpoint)
    head = words.rdzv_endpoint.removesuffix(":29400").removeprefix("$")
    assert head.startswith(("PET_", "DSTACK_")) or f"{head}=$(" in code, "the scheduler sets it, or a line before"
    arguments = words.training_script_args
    call = parse(arguments, COMMANDS)
    assert call.func is COMMANDS["pretrain"]  # type: ignore[attr-defined]
    assert call.args == (ODD,)  # type: ignore[attr-defined]
    given = call.keywords  # type: ignore[attr-defined]
    through = Path("/tmp/twofold-checkpoints") if engine == "skypilot" else None  # its run lies on a bucket
    assert given["checkpoint_through"] == through
    assert (given["out"], given["recipe"]) == (Path("/runs/R50_a"), "imagenet-resnet50")
    assert given["settings"] == {"minutes": 120.0, "batch_size": 4096, "crop_area": (0.2, 1.0)}


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_machine_runs_is_bash(engine: str) -> None:
    code = script(engine)
    require_bash(code)
    assert torchrun_words(code) == torchrun_words(text(engine))


def test_bash_sees_what_is_broken() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        require_bash(script("slurm").replace("$(scontrol", "$((scontrol"))


def test_slurm_asks_by_its_own_grammar() -> None:
    lines = text("slurm").splitlines()
    assert lines[0] == "#!/bin/bash"
    asked = [line for line in lines if line.startswith("#SBATCH")]
    assert lines[1 : 1 + len(asked)] == asked, "sbatch stops reading at the first command"
    options = {}
    for line in asked:
        found = re.fullmatch(r"#SBATCH --([a-z-]+)(?:=(\S+))?", line)
        assert found, line
        assert re.fullmatch(SBATCH[found[1]], found[2] or ""), line
        options[found[1]] = found[2]
    assert (options["nodes"], options["gpus-per-node"], options["time"]) == ("4", "h100:8", "3:00:00")


def test_skypilot_has_the_keys_of_its_schema() -> None:
    values = load("skypilot")
    assert values.keys() <= SKYPILOT
    assert values["resources"].keys() <= SKYPILOT_RESOURCES
    assert (values["num_nodes"], values["resources"]["accelerators"]) == (4, "H100:8")
    assert values["resources"]["image_id"] == "docker:registry/twofold:1"
    assert re.fullmatch(r"\d+\+", values["resources"]["memory"])
    assert "timeout --signal=TERM 3h torchrun" in values["run"]
    assert values["file_mounts"] == {"/runs": {"source": "s3://REPLACE", "mode": "MOUNT"}}


def test_kubeflow_is_a_train_job() -> None:
    values = load("kubeflow")
    assert (values["apiVersion"], values["kind"]) == ("trainer.kubeflow.org/v1alpha1", "TrainJob")
    assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", values["metadata"]["name"])
    spec = values["spec"]
    assert spec.keys() == {"activeDeadlineSeconds", "runtimeRef", "trainer", "runtimePatches"}
    assert spec["activeDeadlineSeconds"] == 3 * 3600
    trainer = spec["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"], trainer["image"]) == (4, 8, "registry/twofold:1")
    assert trainer["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == 8
    job = spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"][0]
    pod = job["template"]["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {"data": ODD, "runs": "/runs", "shm": "/dev/shm"}
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts)


def test_kubeflow_mounts_no_data_that_is_a_name() -> None:
    pod = load("kubeflow", data="CIFAR10")["spec"]["runtimePatches"][0]
    assert "data" not in str(pod["trainingRuntimeSpec"]["template"]["spec"]).replace("metadata", "")


def test_dstack_is_a_task() -> None:
    values = load("dstack")
    assert values.keys() <= DSTACK
    assert (values["type"], values["nodes"], values["max_duration"]) == ("task", 4, "3h")
    assert values["resources"]["gpu"] == "H100:8"
    assert re.fullmatch(r"\d+GB\.\.", values["resources"]["memory"])
    assert values["volumes"] == ["/REPLACE:/runs"]


def test_time_comes_from_a_measured_speed() -> None:
    slow = text("slurm", minutes=None, epochs=100.0, images=1_281_167, images_per_s=12_000)
    assert "#SBATCH --time=4:00:00" in slow, "1,281,167 x 100 / 12,000 s = 2.97 h; x 1.1 + 0.5 = 3.76 h"
    assert "1,281,167 images x 100 epochs / 12,000 images/s (yours) = 2.97 h" in slow


def test_memory_is_that_of_the_processes_of_one_machine() -> None:
    # 4096 / 32 = 128 images of 3 x 896 x 896 bytes: 294 MiB, so 512 MiB; 8 x (4 + 3 x 0.5) + 1 = 45
    assert "#SBATCH --mem=45G" in text("slurm")
    assert "#SBATCH --mem=57G" in text("slurm", nodes=2), "256 images: 588 MiB, so 1 GiB; 8 x (4 + 3) + 1"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"minutes": None, "epochs": 100.0}, "epochs is 100, but how long they take is not known here. Give --minutes"),
        ({"recipe": "photos"}, "looks at the images"),
        ({"batch_size": 100}, "32 processes must share it evenly"),
        ({"out": "runs/r50"}, "out is 'runs/r50', but it must be an absolute path"),
        ({"out": "/r50"}, "a folder that every machine mounts"),
        ({"data": "photos/all"}, "data is 'photos/all'"),
        ({"gpus": 0}, "gpus is 0"),
        ({"images_per_s": float("nan")}, "images_per_s is nan"),
        ({"device": "cuda:1"}, "each process takes a GPU of its own"),
        ({"gpu": "H100\nrm"}, "text of one line"),
        ({"batchsize": 3}, "did you mean 'batch_size'"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_one_sentence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TwofoldError, match=re.escape(said)):
        text("slurm", **changes)


def test_an_unknown_engine_is_named() -> None:
    with pytest.raises(TwofoldError, match="did you mean 'slurm'"):
        text("slurn")
