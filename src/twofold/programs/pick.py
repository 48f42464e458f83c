"""The images to label first, and a page to label them on."""

from pathlib import Path
from typing import Unpack

from twofold.console import obeys_verbose, say
from twofold.curation import Picks, Worth, pick_images, read_labels, result_folder, write_answer
from twofold.curation import simulate as simulate_picks
from twofold.curation.picking import METHODS
from twofold.data import AnyData
from twofold.errors import enough_memory, require, require_choice
from twofold.files import write_json
from twofold.programs.embedded import LESS_MEMORY, open_embedded
from twofold.programs.opening import Opening, as_opener
from twofold.programs.report import renew_report
from twofold.recipes.kinds import AnyPath, as_kind, as_optional_path, as_path
from twofold.recipes.written_flags import as_flags
from twofold.report.label_page import write_label_page


@obeys_verbose
def pick(
    run: AnyPath,
    data: AnyData,
    *,
    count: int = 100,
    labels: AnyPath | None = None,
    method: str = "typical",
    simulate: bool = False,
    out: AnyPath | None = None,
    embeddings: AnyPath | None = None,
    seed: int = 0,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> Picks | list[Worth]:
    """Pick `count` images of `data` to label; write pick.csv and label.html to a folder (default: RUN/pick).

    `method` is typical, cover, uncertain (needs `labels`, a CSV file with path and label) or random. With `simulate`
    nothing is picked: labels of the data tell what picking is worth (`twofold.curation.simulate`), in worth.json.
    The rest is as in `embed`. Raises TwofoldError for what cannot be picked or measured.
    """
    run, folder, file = as_path("run", run), as_optional_path("out", out), as_optional_path("labels", labels)
    count, seed, method = as_kind("count", count, int), as_kind("seed", seed, int), as_kind("method", method, str)
    simulate, verbose = as_kind("simulate", simulate, bool), as_kind("verbose", verbose, bool)
    require(count >= 1, "count", count, "at least 1")
    require_choice("method", method, METHODS)
    opened = open_embedded(run, data, embeddings=embeddings, **opening)
    known = read_labels(file, opened.embedded.paths, "--labels") if file is not None else []
    question = {
        "command": "pick",
        "of": opened.embedded.key,
        "count": count,
        "method": method,
        "simulate": simulate,
        "seed": seed,
        "labels": sorted([path, label] for path, label in zip(opened.embedded.paths, known, strict=False) if label),
    }
    with enough_memory("picking", LESS_MEMORY):
        if simulate:
            worths = simulate_picks(opened.embedded, method=method)
        else:
            picks = pick_images(opened.embedded, count, method=method, labels=known, seed=seed)
    home = folder or (run / "pick" if run.is_dir() else Path("pick"))
    target = result_folder(home, question, given=folder is not None)
    if simulate:
        for worth in worths:
            say(f"  {worth.sentence()}")
        write_json(target / "worth.json", [{**vars(worth), "sentence": worth.sentence()} for worth in worths])
        say(f"Written: {target / 'worth.json'}")
        return worths
    picks.to_csv(target / "pick.csv")
    classes = sorted({label for label in known if label is not None}) or opened.embedded.classes
    write_label_page(picks, opened.images, classes, target / "label.html")
    known_labels = sum(label is not None for label in known)
    said = f"{len(picks.rows):,} images to label, picked by {method}; {known_labels:,} have a label already"
    write_answer(target, "Images to label", "label.html", [said])
    renew_report(run)
    say(
        f"{len(picks.rows):,} images picked. Label them: open {target / 'label.html'} in a browser and save labels.csv."
    )
    flags = as_flags(as_opener(opening).reading)
    say(" ".join([f"Then: twofold predict {run} {opened.images.name} --labels labels.csv", *flags]))
    return picks
