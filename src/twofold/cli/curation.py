"""The commands that put an encoder to use."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, arg

from twofold.cli.arguments import AllowOutside, Cache, Data, Device, MaxUnreadable, Precision, Run
from twofold.recipes.flags import ReadingFlags


def predict(
    run: Run,
    data: Data,
    /,
    labels: Annotated[
        Path | None, arg(help="table with the columns path and label, or a folder (default: the labels of train)")
    ] = None,
    classifier: Annotated[
        Path | None, arg(help="classifier.safetensors of an earlier call, in place of labels")
    ] = None,
    abstain: Annotated[float, arg(help="share of the given labels that may be wrong; the rest is unsure")] = 0.05,
    novelty: Annotated[float, arg(help="share of ordinary images that may be called unlike anything labelled")] = 0.01,
    out: Annotated[Path | None, arg(help="folder to write to (default: RUN/predictions)")] = None,
    cache: Cache = None,
    allow_outside: AllowOutside = False,
    device: Device = "auto",
    precision: Precision = "auto",
    max_unreadable_fraction: MaxUnreadable = None,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Label the images that have no label, each with its confidence; say what is unsure or unlike all of them."""
    from twofold.programs.predict import predict

    predict(
        run,
        data,
        labels=labels,
        classifier=classifier,
        abstain=abstain,
        novelty=novelty,
        out=out,
        cache=cache,
        allow_outside=allow_outside,
        device=device,
        precision=precision,
        max_unreadable_fraction=max_unreadable_fraction,
        **reading,
    )


def export(
    run: Run,
    /,
    to: Annotated[str, arg(help="onnx, torch-export, torchvision, timm, safetensors or hf (timm's layout on the Hub)")],
    data: Annotated[
        str | None, arg(help="images on which both must agree (default: those that the run was trained on)")
    ] = None,
    classifier: Annotated[
        Path | None, arg(help="classifier.safetensors of 'twofold predict', to go with the encoder")
    ] = None,
    out: Annotated[Path | None, arg(help="folder to write to (default: RUN/export-FORMAT)")] = None,
    cache: Cache = None,
    allow_outside: AllowOutside = False,
    max_unreadable_fraction: MaxUnreadable = None,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Write the encoder for another program; refuse where it does not agree on 256 of your images."""
    from twofold.programs.export import export

    export(
        run,
        to=to,
        data=data,
        classifier=classifier,
        out=out,
        cache=cache,
        allow_outside=allow_outside,
        max_unreadable_fraction=max_unreadable_fraction,
        **reading,
    )
