"""What a GPU makes of Twofold: equality with the CPU, waits of the host, speed, memory, a short training.

    PYTHONPATH=src python3 benchmarks/gpu.py                                     # all sections, in --budget seconds
    PYTHONPATH=src python3 benchmarks/gpu.py --sections env parity syncs
    PYTHONPATH=src python3 benchmarks/gpu.py --data cifar10.npz --sections train
    PYTHONPATH=src python3 benchmarks/gpu.py --device cpu --tiny --out x.json    # a rehearsal without a GPU
    PYTHONPATH=src python3 benchmarks/gpu.py --pack cifar10.zip cifar10.npz      # CIFAR-10's JPEG files in one file

Nothing needs to be installed but torch, torchvision, numpy, Pillow, jaxtyping, rich, safetensors and filelock (for
`train` also scipy and scikit-learn). Every result is in the file `--out` as soon as it is known. What fails or takes
too long is noted there, and the next measurement is taken.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import torch
from gpu_sections.bench import Bench
from gpu_sections.machine import env, syncs
from gpu_sections.memory import memory
from gpu_sections.misc import misc
from gpu_sections.parity import parity
from gpu_sections.pictures import pack
from gpu_sections.speed import big, cifar, compiled, loss
from gpu_sections.train import train
from gpu_sections.two import two

SECTIONS = {  # in this order: what it does, and how many seconds it may take
    "env": (env, 25),
    "syncs": (syncs, 30),
    "compile": (compiled, 120),
    "cifar": (cifar, 45),
    "big": (big, 45),
    "loss": (loss, 40),
    "memory": (memory, 70),
    "parity": (parity, 60),
    "train": (train, 600),
    "misc": (misc, 35),
    "two": (two, 60),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "gpu.json")
    parser.add_argument("--sections", nargs="*", default=list(SECTIONS), choices=SECTIONS)
    parser.add_argument("--budget", type=float, default=460.0, help="seconds for everything")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes for a rehearsal on a CPU")
    parser.add_argument("--data", type=Path, help="CIFAR-10: a zip of SPLIT/CLASS/*.jpg, or its packed .npz")
    parser.add_argument("--train-seconds", type=float, default=40.0, help="of training in `train`")
    parser.add_argument("--pack", nargs=2, type=Path, metavar=("ZIP", "NPZ"))
    options = parser.parse_args()
    if options.pack:
        pack(*options.pack)
        return
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device here; --device cpu --tiny rehearses")
    work = Path(tempfile.mkdtemp(prefix="gpu-"))
    bench = Bench(
        options.out,
        device=options.device,
        tiny=options.tiny,
        budget_s=options.budget,
        work=work,
        data=options.data,
        train_s=options.train_seconds,
    )
    shown = ("sections", "budget", "device", "tiny", "train_seconds")
    bench.about["arguments"] = {name: value for name, value in vars(options).items() if name in shown}
    for name in [name for name in SECTIONS if name in options.sections]:
        section, limit_s = SECTIONS[name]
        bench.run(name, section, limit_s=limit_s)
    print(f"\n{options.out}: {bench.write(finished=True):.0f} s", flush=True)
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
