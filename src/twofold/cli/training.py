"""The commands that train, or say what training takes."""

import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from twofold.cli.arguments import AllowOutside, Cache, CheckpointThrough, Data, Out
from twofold.distributed.process import must_start
from twofold.recipes.flags import Settings


def pretrain(
    data: Data,
    /,
    out: Out,
    recipe: Annotated[str, arg(help="name ('twofold recipes' lists them) or a saved recipe.json")] = "photos",
    cache: Cache = None,
    allow_outside: AllowOutside = False,
    processes: Annotated[int, arg(help="processes on this machine, one a GPU; each handles its share of a batch")] = 1,
    profile: Annotated[
        int, arg(help="first time this many steps, on throw-away weights, and print where the time goes")
    ] = 0,
    checkpoint_through: CheckpointThrough = None,
    settings: OmitArgPrefixes[Settings] = Settings(),  # noqa: B008
) -> None:
    """Train an encoder on a folder of images, without labels."""
    if must_start(processes):
        from twofold.distributed.launch import launch

        sys.exit(launch(sys.argv[1:], processes))
    from twofold.programs.pretrain import pretrain

    pretrain(
        data,
        out=out,
        recipe=recipe,
        cache=cache,
        allow_outside=allow_outside,
        profile=profile,
        checkpoint_through=checkpoint_through,
        **settings,
    )


def launch(
    data: Annotated[Positional[str], arg(help="as 'twofold pretrain' takes it, at its path on those machines")],
    /,
    for_: Annotated[str, arg(name="for", help="slurm, skypilot, kubeflow or dstack")],
    out: Annotated[str, arg(help="run directory: an absolute path, the same on every machine")],
    recipe: Annotated[str, arg(help="name ('twofold recipes' lists them; not photos) or a saved recipe.json")],
    gpus: Annotated[int, arg(help="GPUs of each machine, one process each")] = 1,
    nodes: Annotated[int, arg(help="machines")] = 1,
    gpu: Annotated[str | None, arg(help="kind of GPU, as the provider calls it: H100", metavar="NAME")] = None,
    image: Annotated[str | None, arg(help="container image with Twofold in it", metavar="NAME")] = None,
    images: Annotated[int | None, arg(help="images to train on, to tell how long --epochs take", metavar="INT")] = None,
    images_per_s: Annotated[
        float | None, arg(help="speed over all GPUs, as 'twofold bench' or metrics.jsonl measured it", metavar="FLOAT")
    ] = None,
    checkpoint_through: CheckpointThrough = None,
    settings: OmitArgPrefixes[Settings] = Settings(),  # noqa: B008
) -> None:
    """Print a file that runs pretrain on a cluster or in a cloud: GPUs, time and memory filled in, each explained."""
    from twofold.programs.launch import launch

    text = launch(
        data,
        engine=for_,
        out=out,
        recipe=recipe,
        gpus=gpus,
        nodes=nodes,
        gpu=gpu,
        image=image,
        images=images,
        images_per_s=images_per_s,
        checkpoint_through=checkpoint_through,
        **settings,
    )
    print(text, end="")


def bench(
    data: Data,
    /,
    recipe: Annotated[str, arg(help="name ('twofold recipes' lists them) or a saved recipe.json")] = "photos",
    out: Annotated[Path, arg(help="file to write the figures to: FILE.json")] = Path("bench.json"),
    seconds: Annotated[float, arg(help="about how long to measure, decoding not counted")] = 90.0,
    cache: Cache = None,
    allow_outside: AllowOutside = False,
    settings: OmitArgPrefixes[Settings] = Settings(),  # noqa: B008
) -> None:
    """Measure how fast this machine trains on these images, and recommend an encoder and a batch size."""
    from twofold.programs.bench import bench

    bench(data, recipe=recipe, out=out, seconds=seconds, cache=cache, allow_outside=allow_outside, **settings)
