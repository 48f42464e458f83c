"""Paired differences in words: who wins by how much, or that it is undecided."""

import re

from twofold.report.content import Difference, Labels
from twofold.report.wording import METRICS, PROTOCOLS, counted, data_name, with_labels

WAYS = {
    "linear": "the linear probe",
    "sgd": "the linear probe by SGD",
    "knn": "k-NN",
    "finetune": "fine-tuning",
    "supervised": "supervised from scratch",
}
SOURCES = {"trained": "the trained encoder", "untrained": "the untrained encoder", "pixels": "raw pixels"}
IMPLIED = {"finetune": "trained", "supervised": "untrained"}  # the encoder that a protocol starts from
LOWER_IS_BETTER = {"ece"}


def sentence(difference: Difference) -> str:
    """ "Fine-tuning beats supervised from scratch at 1 % of the labels by 12.3 points (11.0 to 13.6, 5 seeds)."

    An interval that contains 0 is undecided; where there is none, the sentence says so.
    """
    first, second, among = _contenders(difference)
    mean, low, high = difference.mean, difference.low, difference.high
    where = among + _where(difference)
    if low is None or high is None:
        side = "above" if mean >= 0 else "below"
        return _capital(f"{first} is {_points(abs(mean))} {side} {second}{where}, on one draw: no interval.")
    seeds = counted(difference.seeds, "seed") if difference.over == "seeds" else "over the test pictures"
    if low <= 0 <= high:
        span = f"{_signed(low)} to {_signed(high)}, {seeds}"
        return f"No clear difference between {first} and {second}{where}: {_signed(mean)} points ({span})."
    low, high = sorted((abs(low), abs(high)))
    if (mean > 0) == (difference.metric in LOWER_IS_BETTER):
        first, second = second, first
    return _capital(
        f"{first} beats {second}{where} by {_points(abs(mean))} ({100 * low:.1f} to {100 * high:.1f}, {seeds})."
    )


def classifier_name(protocol: str, labels: Labels) -> str:
    """ "the linear probe with all labels"."""
    return f"{WAYS.get(protocol, protocol)} {with_labels(labels)}"


def is_about_head(difference: Difference) -> bool:
    """Whether h is compared with a layer of the projection head."""
    return difference.encoder == "trained" and layer_name(difference.against_encoder) is not None


def layer_name(encoder: str) -> str | None:
    """ "head-1" -> "layer 1 of the head", "z" -> "z"; None for what is no layer of the projection head."""
    if encoder == "z":
        return "z"
    found = re.fullmatch(r"head-(\d+)", encoder)
    return f"layer {found[1]} of the head" if found else None


def way_name(protocol: str, encoder: str) -> str:
    """ "Linear probe, raw pixels"; "Fine-tuning" alone where the encoder goes without saying."""
    name = {"knn": "k-NN"}.get(protocol) or PROTOCOLS.get(protocol, protocol)
    return name if IMPLIED.get(protocol) == encoder else f"{name}, {_source(encoder).removeprefix('the ')}"


def _contenders(difference: Difference) -> tuple[str, str, str]:
    """The two names, and what both share."""
    protocol, against = difference.protocol, difference.against_protocol
    if is_about_head(difference) and protocol == against:
        return "h", str(layer_name(difference.against_encoder)), f" under {WAYS.get(protocol, protocol)}"
    if protocol == against:
        among = {"finetune": " after fine-tuning"}.get(protocol, f" under {WAYS.get(protocol, protocol)}")
        return _source(difference.encoder), _source(difference.against_encoder), among
    same = difference.encoder == difference.against_encoder == "trained"
    return _way(protocol, difference.encoder, same), _way(against, difference.against_encoder, same), ""


def _way(protocol: str, encoder: str, same: bool) -> str:
    name = WAYS.get(protocol, protocol)
    return name if same or IMPLIED.get(protocol) == encoder else f"{name} on {_source(encoder)}"


def _source(encoder: str) -> str:
    return SOURCES.get(encoder) or layer_name(encoder) or encoder


def _where(difference: Difference) -> str:
    place = f" on {data_name(difference.data)}" if difference.data else ""
    labels = "" if difference.data and difference.labels == "all" else f" {with_labels(difference.labels)}"
    metric = "" if difference.metric == "top1" else f", in {METRICS.get(difference.metric, difference.metric)},"
    return place + labels + metric


def _points(share: float) -> str:
    shown = f"{100 * share:.1f}"
    return f"{shown} {'point' if shown == '1.0' else 'points'}"


def _signed(share: float) -> str:
    """0.003 -> "+0.3"; a minus sign, not a hyphen, before what is below 0."""
    shown = f"{100 * abs(share):.1f}"
    return shown if shown == "0.0" else f"{'+' if share > 0 else chr(0x2212)}{shown}"


def _capital(text: str) -> str:
    """With a large letter where a word of ours begins the sentence: h, k-NN and names of runs stay as they are."""
    ours = text.startswith(("the ", "fine-tuning", "supervised ", "raw pixels", "layer "))
    return text[0].upper() + text[1:] if ours else text
