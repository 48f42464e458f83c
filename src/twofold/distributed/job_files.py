"""A job as the file that a scheduler reads: SLURM, SkyPilot, Kubeflow Trainer, dstack.

All run the same torchrun line; a file differs in how it asks for machines and how a machine learns the first one's
address. What only the user knows is marked REPLACE. Text in quotes is written as JSON, which YAML reads alike.
"""

import json
import posixpath
import textwrap
from collections.abc import Callable, Mapping

from twofold.distributed.job import Job

_PORT = 29400  # where the processes meet
_CACHE = 'export TWOFOLD_CACHE="${TWOFOLD_CACHE:-/tmp/twofold}"  # a fast disk of each machine'
_THREADS = "export OMP_NUM_THREADS=8  # torchrun sets 1 otherwise"
_INSTALL = "pip install twofold  # REPLACE by how Twofold gets there, or leave out where the image holds it"
_MOUNTS = "the folders of the images and of --out must be there at the same path on every machine"


def slurm(job: Job) -> str:
    """For `sbatch`. Two minutes before the end SIGTERM, which torchrun passes on, lets all save."""
    gpus = f"{job.gpu.lower()}:{job.gpus}" if job.gpu else str(job.gpus)
    return f"""#!/bin/bash
#SBATCH --job-name={job.name}
#SBATCH --nodes={job.nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={gpus}
#SBATCH --cpus-per-task={job.cpus}
#SBATCH --mem={job.memory_gib}G
#SBATCH --time={job.hours}:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
{_comments(job, f"start: sbatch FILE; the same again continues; {_MOUNTS}")}
{_CACHE}
{_THREADS}
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" {_torchrun(job, head="$head", identity='"$SLURM_JOB_ID"')}
"""


def skypilot(job: Job) -> str:
    """For `sky jobs launch`. Its files hold no limit of time, so `timeout` sets one."""
    run = "\n".join(
        [
            _CACHE,
            _THREADS,
            'head=$(echo "$SKYPILOT_NODE_IPS" | head -n 1)',
            f"timeout --signal=TERM {job.hours}h {_torchrun(job, head='$head', identity=job.name)}",
        ]
    )
    return f"""{_comments(job, "start: sky jobs launch FILE", f"REPLACE what says so; {_MOUNTS}")}
name: {job.name}
num_nodes: {job.nodes}
resources:
  accelerators: {json.dumps(f"{job.gpu or 'REPLACE'}:{job.gpus}")}
  cpus: "{job.cpus}+"
  memory: "{job.memory_gib}+"
{f"  image_id: {json.dumps(f'docker:{job.image}')}" if job.image else "  # image_id: docker:YOUR-IMAGE"}
file_mounts:
  {json.dumps(posixpath.dirname(job.out))}:
    source: s3://REPLACE
    mode: MOUNT
setup: |
  {_INSTALL}
run: |
{textwrap.indent(run, "  ")}
"""


def kubeflow(job: Job) -> str:
    """For `kubectl apply`, with Kubeflow Trainer 2.2 or later, which names its patches and deadlines like this."""
    run = "\n".join([_CACHE, _THREADS, f"exec {_torchrun(job, head='$PET_MASTER_ADDR', identity=job.name)}"])
    data = f"{{name: data, mountPath: {json.dumps(job.data)}, readOnly: true}}" if job.data.startswith("/") else None
    runs = f"{{name: runs, mountPath: {json.dumps(posixpath.dirname(job.out))}}}"
    mounts = [mount for mount in (data, runs, "{name: shm, mountPath: /dev/shm}") if mount]
    claims = ["{name: runs, persistentVolumeClaim: {claimName: REPLACE}}", "{name: shm, emptyDir: {medium: Memory}}"]
    if data:
        claims.insert(0, "{name: data, persistentVolumeClaim: {claimName: REPLACE}}")
    return f"""{_comments(job, "start: kubectl apply -f FILE", "REPLACE the claims of volumes, and the image")}
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata:
  name: {job.name}
spec:
  activeDeadlineSeconds: {job.hours * 3600}
  runtimeRef:
    name: torch-distributed
  trainer:
    image: {json.dumps(job.image or "REPLACE")}
    numNodes: {job.nodes}
    numProcPerNode: {job.gpus}
    resourcesPerNode:
      requests: {{cpu: {job.cpus}, memory: {job.memory_gib}Gi}}
      limits: {{nvidia.com/gpu: {job.gpus}, memory: {job.memory_gib}Gi}}
    command: [bash, -c]
    args:
      - |
{textwrap.indent(run, "        ")}
  runtimePatches:
    - manager: twofold.launch/user
      trainingRuntimeSpec:
        template:
          spec:
            replicatedJobs:
              - name: node
                template:
                  spec:
                    template:
                      spec:
                        containers:
                          - name: node
                            volumeMounts:
{_items(mounts, 30)}
                        volumes:
{_items(claims, 26)}
"""


def dstack(job: Job) -> str:
    """For `dstack apply`, on a fleet whose placement is a cluster where there are several machines."""
    run = "\n".join([_CACHE, _THREADS, _torchrun(job, head="$DSTACK_MASTER_NODE_IP", identity=job.name)])
    gpus = f"{job.gpu}:{job.gpus}" if job.gpu else str(job.gpus)
    folder = posixpath.dirname(job.out)
    return f"""{_comments(job, "start: dstack apply -f FILE.dstack.yml", f"REPLACE what says so; {_MOUNTS}")}
type: task
name: {job.name}
nodes: {job.nodes}
{f"image: {json.dumps(job.image)}" if job.image else 'python: "3.12"'}
commands:
  - {_INSTALL}
  - |
{textwrap.indent(run, "    ")}
resources:
  cpu: {job.cpus}..
  memory: {job.memory_gib}GB..
  gpu: {json.dumps(gpus)}
  shm_size: 16GB
volumes:
  - {json.dumps(f"/REPLACE:{folder}")}
max_duration: {job.hours}h
"""


ENGINES: Mapping[str, Callable[[Job], str]] = {
    "slurm": slurm,
    "skypilot": skypilot,
    "kubeflow": kubeflow,
    "dstack": dstack,
}


def _torchrun(job: Job, *, head: str, identity: str) -> str:
    """The command that every machine runs. `head` is how a shell there gets the first machine's address."""
    return (
        f"torchrun --nnodes={job.nodes} --nproc-per-node={job.gpus} --max-restarts=3 --rdzv-id={identity} "
        f'--rdzv-backend=c10d --rdzv-endpoint="{head}:{_PORT}" \\\n'
        f"  -m twofold pretrain {job.arguments}"
    )


def _comments(job: Job, *lines: str) -> str:
    return "\n".join(f"# {line}" for line in (*lines, *job.assumed))


def _items(values: list[str], indent: int) -> str:
    return textwrap.indent("\n".join(f"- {value}" for value in values), " " * indent)
