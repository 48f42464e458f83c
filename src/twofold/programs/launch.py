"""From pretrain's flags to the file that a scheduler reads."""

import math
from pathlib import Path
from shlex import quote
from typing import Any

from twofold.distributed import World
from twofold.distributed.job import plan_job
from twofold.distributed.job_files import ENGINES
from twofold.errors import TwofoldError, require, require_choice
from twofold.recipes.kinds import AnyPath, as_data, as_kind, as_optional_path
from twofold.recipes.named import Found, build_recipe
from twofold.recipes.written_flags import as_flags

_LOCAL = Path("/tmp/twofold-checkpoints")


def launch(
    data: AnyPath,
    *,
    engine: str,
    out: AnyPath,
    recipe: AnyPath,
    gpus: int = 1,
    nodes: int = 1,
    gpu: str | None = None,
    image: str | None = None,
    images: int | None = None,
    images_per_s: int | float | None = None,
    checkpoint_through: AnyPath | None = None,
    **settings: Any,
) -> str:
    """The text of a file that runs `twofold pretrain` with `recipe` and `settings` on `nodes` machines of `gpus` GPUs.

    `engine`: slurm, skypilot, kubeflow or dstack. Nothing is read but the recipe: `data` and `out` are paths of the
    machines that train. `images` and `images_per_s`, over all GPUs, tell the time where `minutes` does not.
    Raises TwofoldError for settings that cannot work and where the time is not known.
    """
    require_choice("engine", as_kind("engine", engine, str), tuple(ENGINES))
    gpu, image = as_kind("gpu", gpu, str | None), as_kind("image", image, str | None)
    gpus, nodes = as_kind("gpus", gpus, int), as_kind("nodes", nodes, int)
    images = as_kind("images", images, int | None)
    images_per_s = as_kind("images_per_s", images_per_s, float | None)
    require(gpus >= 1, "gpus", gpus, "at least 1 a machine")
    require(nodes >= 1, "nodes", nodes, "at least 1")
    require(images is None or images >= 1, "images", images, "at least 1")
    speed = images_per_s
    require(speed is None or 0 < speed < math.inf, "images_per_s", speed, "above 0 and finite")
    place, source, name = as_data(out, "out").rstrip("/"), as_data(data), as_data(recipe, "recipe")
    through = _through(engine, as_optional_path("checkpoint_through", checkpoint_through))
    for flag, text in (("out", place), ("data", source), ("gpu", gpu or ""), ("image", image or ""), ("recipe", name)):
        require(text.isprintable(), flag, text, "text of one line")
    shared = place.startswith("/") and place.count("/") > 1
    require(shared, "out", place, "an absolute path in a folder that every machine mounts, as /runs/r50")
    is_folder = "/" in source and not source.startswith("/")
    require(not is_folder, "data", source, "an absolute path, the same on every machine", fix="Give the whole path.")
    chosen = build_recipe(name, _refuse_to_look)[0].with_settings(**settings)
    device = chosen.hardware.device
    require(device in ("auto", "cuda"), "device", device, "auto or cuda in a job: each process takes a GPU of its own")
    World(size=gpus * nodes).share(chosen.schedule.batch_size, chosen.schedule.fixed_chunk)
    job = plan_job(
        chosen,
        data=source,
        out=place,
        flags=["--recipe", quote(name), *through, *as_flags(settings)],
        nodes=nodes,
        gpus=gpus,
        gpu=gpu,
        image=image,
        images=images,
        images_per_s=images_per_s,
    )
    return ENGINES[engine](job)


def _through(engine: str, given: Path | None) -> list[str]:
    """Where checkpoints are written first: SkyPilot's file mounts a bucket for the run."""
    folder = given or (_LOCAL if engine == "skypilot" else None)
    return [f"--checkpoint-through {quote(str(folder))}"] if folder else []


def _refuse_to_look() -> Found:
    raise TwofoldError(
        "recipe is 'photos', which looks at the images and at the GPU, but a job is planned without either. Give "
        "--recipe another name, or the recipe.json of a short run of 'twofold pretrain' on such a GPU."
    )
