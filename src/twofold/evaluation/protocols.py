"""Names of protocols, encoders, metrics and budgets of labels: the same in the terminal, in JSON and in the report."""

import re

TRAINED = ("finetune", "self-train", "supervised", "sgd")  # protocols that train a network
PROTOCOLS = {  # in the order of the tables
    "linear": "linear probe",
    "sgd": "linear probe by SGD",
    "finetune": "fine-tuning",
    "self-train": "self-training",
    "supervised": "supervised from scratch",
    "knn": "k-NN",
}
ENCODERS = {"trained": "trained encoder", "untrained": "untrained encoder", "pixels": "raw pixels"}
INITIAL = "initial"  # the encoder that pretraining began from, where it began from weights
_NAMES = {**ENCODERS, INITIAL: "encoder before pretraining"}
MAJORITY = "most frequent class"  # the baseline that looks at no image
METRICS = {
    "top1": "top-1 accuracy",
    "mean_per_class": "mean accuracy per class",
    "top5": "top-5 accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC of the rarer class",
    "average_precision": "average precision of the rarer class",
    "sensitivity_90": "sensitivity at 90 % specificity",
    "sensitivity_95": "sensitivity at 95 % specificity",
    "sensitivity_99": "sensitivity at 99 % specificity",
    "overconfidence": "overconfidence",
    "ece": "expected calibration error",  # of older files
}
IMPLIED = {
    "finetune": "trained",
    "self-train": "trained",
    "supervised": "untrained",
}  # the encoder that a protocol starts from


def protocol_name(protocol: str) -> str:
    """As part of a sentence: "the linear probe", "fine-tuning"; an unknown one as it is."""
    name = PROTOCOLS.get(protocol, protocol)
    return f"the {name}" if protocol in ("linear", "sgd") else name


def encoder_name(encoder: str) -> str:
    """As part of a sentence: "the trained encoder", "raw pixels", "layer 1 of the head", or the name of another."""
    name = _NAMES.get(encoder) or layer_name(encoder) or encoder
    return f"the {name}" if encoder in ("trained", "untrained", INITIAL) else name


def layer_name(encoder: str) -> str | None:
    """ "head-1" -> "layer 1 of the head", "z" -> "z"; None for what is no layer of the projection head."""
    if encoder == "z":
        return "z"
    layer = re.fullmatch(r"head-(\d+)", encoder)
    return f"layer {layer[1]} of the head" if layer else None


def way_name(protocol: str, encoder: str) -> str:
    """ "Linear probe, raw pixels"; "Fine-tuning" alone where the encoder goes without saying."""
    name = capital(PROTOCOLS.get(protocol, protocol))
    return name if IMPLIED.get(protocol) == encoder else f"{name}, {encoder_name(encoder).removeprefix('the ')}"


def classifier_name(protocol: str, labels: int | float | str) -> str:
    """ "the linear probe with all labels"."""
    return f"{protocol_name(protocol)} {with_labels(labels)}"


def labels_name(labels: int | float | str, mean: float | None = None) -> str:
    """10 -> "10 per class"; 0.01 -> "1 %"; "all" stays. With a `mean` of 8.3 a class, 10 -> "up to 10 per class"."""
    if isinstance(labels, int) and mean is not None and mean < labels:
        return f"up to {labels:,} per class"
    if isinstance(labels, float):
        return f"{100 * labels:.4g} %"
    return f"{labels:,} per class" if isinstance(labels, int) else labels


def with_labels(labels: int | float | str) -> str:
    """10 -> "with 10 labels per class"; 0.01 -> "at 1 % of the labels"; "all" -> "with all labels"."""
    if isinstance(labels, float):
        return f"at {labels_name(labels)} of the labels"
    if isinstance(labels, int):
        return f"with {labels:,} label{'' if labels == 1 else 's'} per class"
    return f"with {labels} labels"


def capital(text: str) -> str:
    """With a large letter where a word of ours begins the text: h, k-NN and names of runs stay as they are."""
    ours = ("the ", "layer ", MAJORITY, *PROTOCOLS.values(), *_NAMES.values())
    return text[0].upper() + text[1:] if text.startswith(ours) and not text.startswith(PROTOCOLS["knn"]) else text
