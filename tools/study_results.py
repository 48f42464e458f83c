"""The studies' part of docs/results.md: all verdicts in one table, and a section with a figure for each study."""

from pathlib import Path
from typing import Any

from twofold.report.wording import duration
from twofold.studies import STUDIES
from twofold.studies.engine.claim import CONTRADICTED, REPRODUCED
from twofold.studies.engine.record import conclusions
from twofold.studies.engine.scale import get_scale
from twofold.studies.show.figure import draw_study
from twofold.studies.show.predictors import PREDICTORS, answer, correlations, shown
from twofold.studies.show.table import by_chance, markdown, markdown_row, study_markdown
from twofold.studies.show.wording import counted, here, interval, label


def verdicts_table(studies: dict[str, dict[str, Any]]) -> list[str]:
    """A row a claim, the command and the time with the first of each study; nothing where there are no studies."""
    headings = ("study", "claim", "paper", "here", "95 % interval", "verdict", "command", "time")
    rows = [row for record in studies.values() for row in _verdicts(record)]
    if not rows:
        return []
    head = [markdown_row(headings), "|---" * len(headings) + "|"]
    time = "Time: that of all cells, one after the other; processes that share a study divide it."
    claims = [claim for record in studies.values() if record["finished"] for claim in record["claims"]]
    decided = sum(claim["verdict"] in (REPRODUCED, CONTRADICTED) for claim in claims)
    said = (
        f"Of {len(claims)} claims: {counted(claims)}. {' '.join(by_chance(claims))} {decided} are decided; "
        "[the notebook](notebook.md) says what stands between the others and a verdict."
    )
    return ["## The paper's claims", "", said, "", time, "", *head, *rows, "", *predictors_table(studies)]


def predictors_table(studies: dict[str, dict[str, Any]]) -> list[str]:
    """Whether measures that need no labels order the cells of a study as the probe does."""
    found = {name: correlations(record) for name, record in studies.items()}
    head = [markdown_row(["study", *PREDICTORS.values()]), "|---" * (len(PREDICTORS) + 1) + "|"]
    rows = [markdown_row([name, *(shown(one.get(metric)) for metric in PREDICTORS)]) for name, one in found.items()]
    about = (
        "Spearman's rank correlation with the top-1 of the linear probe over the cells of a study (means over seeds), "
        "with its 95 % interval. Of alpha-ReQ a lower value is said to be better."
    )
    sentences = [f"- {sentence[0].upper()}{sentence[1:]}" for sentence in answer(found.values())]
    return ["## Do measures without labels predict the probe?", "", about, "", *sentences, "", *head, *rows, ""]


def study_section(name: str, record: dict[str, Any], docs: Path) -> list[str]:
    """The study's tables; its figure is written to docs/NAME-study.svg."""
    figure = f"{name}-study.svg"
    (docs / figure).write_bytes(draw_study(record))
    return [*study_markdown(record, figure=figure, heading="##").splitlines(), *_of_older(record), ""]


def _of_older(record: dict[str, Any]) -> list[str]:
    """That networks with labels were trained by an older version, on views that are not as large as what they judge."""
    older = [cell for cell in record["cells"] if "made" not in cell and set(cell["measure"]) == {"top1"}]
    views = record["base"].get("views")
    if not older or views is None or views["size_px"] == views["eval_size_px"]:
        return []
    return [
        "",
        f"- {len(older)} of the cells are networks that an older version trained with labels: on views of "
        f"{views['size_px']} px, judged on {views['eval_size_px']} px, which makes them weaker than today's, trained "
        "on the size that is judged.",
    ]


def _verdicts(record: dict[str, Any]) -> list[str]:
    rows = []
    for place, claim in enumerate(record["claims"]):
        texts = (record["study"], claim["claim"], claim["paper"], here(claim), interval(claim))
        made = ("", "") if place else (f"`{record['command']}`".replace("|", r"\|"), duration(record["seconds"]))
        verdict = f"**{label(claim)}**" if record["finished"] else "not finished"
        rows.append(markdown_row([*map(markdown, texts), verdict, *made]))
    return rows


def judged_anew(record: dict[str, Any]) -> dict[str, Any]:
    """The record with what the rules of now make of its cells, which stay as they are."""
    scale = get_scale(record["scale"]).of(record["study"])
    return {**record, **conclusions(STUDIES[record["study"]], scale, record["cells"], record["data"]["test"])}
