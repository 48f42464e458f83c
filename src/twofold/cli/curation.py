"""The commands that put an encoder to use."""

from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from twofold.cli.arguments import (
    COMMON,
    AllowOutside,
    Cache,
    CommonFlags,
    Data,
    Embeddings,
    MaxUnreadable,
    Run,
    run_and_data,
)
from twofold.recipes.flags import ReadingFlags


def clean(
    images: Annotated[Positional[tuple[str, ...]], arg(help="RUN DATA; with --pixels DATA alone", metavar="RUN DATA")],
    /,
    pixels: Annotated[bool, arg(help="compare pixels alone, without an encoder: copies, blank, cut off")] = False,
    out: Annotated[
        Path | None,
        arg(help="folder for the results", metavar="PATH", help_behavior_hint="(default: RUN/clean, or clean here)"),
    ] = None,
    embeddings: Embeddings = None,
    threshold: Annotated[float, arg(help="similarity of pixels from which two images are copies, in 0.5 to 1")] = 0.96,
    cosine: Annotated[
        float | None,
        arg(
            help="cosine of embeddings from which two images are alike, in 0.5 to 1",
            help_behavior_hint="(default: five times nearer than the nearest image usually is)",
        ),
    ] = None,
    common: OmitArgPrefixes[CommonFlags] = COMMON,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Find copies, leaks, blank and off-topic images and suspect labels; nothing is deleted or moved."""
    from twofold.programs.clean import clean

    run, data = run_and_data(images, pixels)
    clean(
        run,
        data,
        out=out,
        embeddings=embeddings,
        threshold=threshold,
        cosine=cosine,
        **common,
        **reading,
    )


def pick(
    run: Run,
    data: Data,
    /,
    count: Annotated[int, arg(help="images to pick")] = 100,
    labels: Annotated[
        Path | None, arg(help="CSV file with the columns path and label: those are not picked again", metavar="PATH")
    ] = None,
    method: Annotated[
        str,
        arg(help="typical (TypiClust), cover (ProbCover), uncertain (margin; needs --labels of two classes) or random"),
    ] = "typical",
    simulate: Annotated[bool, arg(help="measure on labelled data what picking is worth; nothing is picked")] = False,
    out: Annotated[
        Path | None,
        arg(help="folder for the results", metavar="PATH", help_behavior_hint="(default: RUN/pick, or pick here)"),
    ] = None,
    embeddings: Embeddings = None,
    seed: Annotated[int, arg(help="seed of random picks and of clusters")] = 0,
    common: OmitArgPrefixes[CommonFlags] = COMMON,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Pick the images to label first, and write a page to label them on, which needs no server and no network."""
    from twofold.programs.pick import pick

    pick(
        run,
        data,
        count=count,
        labels=labels,
        method=method,
        simulate=simulate,
        out=out,
        embeddings=embeddings,
        seed=seed,
        **common,
        **reading,
    )


def search(
    run: Run,
    data: Data,
    /,
    query: Annotated[Path, arg(help="an image, or a folder of images")],
    top: Annotated[int, arg(help="images to find for each query")] = 20,
    index: Annotated[
        Path | None,
        arg(
            help="folder of an index, made and extended as needed; used if given, and above 10^9 comparisons",
            metavar="PATH",
            help_behavior_hint="(default: RUN/search-index)",
        ),
    ] = None,
    exact: Annotated[bool, arg(help="compare every image with every query, even above 10^9 comparisons")] = False,
    out: Annotated[
        Path | None,
        arg(help="folder for the results", metavar="PATH", help_behavior_hint="(default: RUN/search, or search here)"),
    ] = None,
    embeddings: Embeddings = None,
    common: OmitArgPrefixes[CommonFlags] = COMMON,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Find the images most like a query, by the cosine of embeddings."""
    from twofold.programs.search import search

    search(
        run,
        data,
        query=query,
        top=top,
        index=index,
        exact=exact,
        out=out,
        embeddings=embeddings,
        **common,
        **reading,
    )


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
    self_train: Annotated[
        bool,
        arg(help="also learn from the unlabelled images of train; takes minutes or more (the time is printed first)"),
    ] = False,
    self_train_steps: Annotated[int, arg(help="length of self-training")] = 3000,
    abstain: Annotated[
        float, arg(help="share of the predicted labels that may be wrong, at 90 % confidence; other images are unsure")
    ] = 0.05,
    novelty: Annotated[float, arg(help="share of ordinary images that may be called unlike anything labelled")] = 0.01,
    out: Annotated[Path | None, arg(help="folder to write to (default: RUN/predictions)")] = None,
    common: OmitArgPrefixes[CommonFlags] = COMMON,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Label the images that have no label, each with its confidence; mark those that are unsure or unlike the rest."""
    from twofold.programs.predict import predict

    predict(
        run,
        data,
        labels=labels,
        classifier=classifier,
        self_train=self_train,
        self_train_steps=self_train_steps,
        abstain=abstain,
        novelty=novelty,
        out=out,
        **common,
        **reading,
    )


def distill(
    run: Run,
    data: Data,
    /,
    encoder: Annotated[
        str, arg(help="the student: resnet10/18/34/50, torchvision:NAME or timm:NAME, no larger than the run's")
    ],
    labels: Annotated[
        Path | None, arg(help="table with the columns path and label (default: the labels of train)")
    ] = None,
    width: Annotated[float | None, arg(help="of a ResNet student (default: the run's)")] = None,
    epochs: Annotated[float, arg(help="passes over the images of train")] = 30.0,
    temperature: Annotated[float, arg(help="of the teacher's and the student's probabilities")] = 1.0,
    out: Annotated[Path | None, arg(help="folder to write to (default: RUN/distilled)")] = None,
    common: OmitArgPrefixes[CommonFlags] = COMMON,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Train a smaller encoder on what a classifier on the run's encoder predicts for unlabelled images."""
    from twofold.programs.distill import distill

    distill(
        run,
        data,
        to=encoder,
        labels=labels,
        width=width,
        epochs=epochs,
        temperature=temperature,
        out=out,
        **common,
        **reading,
    )


def explore(
    run: Run,
    data: Data,
    /,
    columns: Annotated[
        tuple[Path, ...], arg(help="tables with a column path; their other columns can colour the map: predictions.csv")
    ] = (),
    out: Annotated[Path | None, arg(help="folder to write to (default: RUN/explore)")] = None,
    embeddings: Annotated[Path | None, arg(help="a file of 'twofold embed' to read embeddings from")] = None,
    common: OmitArgPrefixes[CommonFlags] = COMMON,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Show all images on a map: one page, which needs no server and no network."""
    from twofold.programs.explore import explore

    explore(
        run,
        data,
        columns=columns,
        out=out,
        embeddings=embeddings,
        **common,
        **reading,
    )


def export(
    run: Run,
    /,
    to: Annotated[str, arg(help="onnx, torch-export, torchvision, timm, safetensors or hf (timm's layout on the Hub)")],
    data: Annotated[
        str | None, arg(help="images on which both must agree (default: those that the run was trained on)")
    ] = None,
    labels: Annotated[
        Path | None, arg(help="table with the columns path and label, to fit a classifier that goes with the encoder")
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
    """Write the encoder for another program, and check on 256 of your images that both agree."""
    from twofold.programs.export import export

    export(
        run,
        to=to,
        data=data,
        labels=labels,
        classifier=classifier,
        out=out,
        cache=cache,
        allow_outside=allow_outside,
        max_unreadable_fraction=max_unreadable_fraction,
        **reading,
    )
