"""How networks are trained and what was chosen for them, in sentences: in the terminal, JSON and the report."""

from collections.abc import Sequence

from twofold.evaluation.fine_tuning import MOST_SHOWN
from twofold.evaluation.labels import FOLDS
from twofold.evaluation.predictions import Predictions
from twofold.evaluation.protocols import ENCODERS, PROTOCOLS, with_labels
from twofold.evaluation.schedules import LEAST_STEPS, STATISTICS, TRAINING_SETTINGS, Training
from twofold.evaluation.scope import Scope, Settings
from twofold.evaluation.self_trainer import trial_steps
from twofold.evaluation.self_training import LABELLED, UNLABELLED
from twofold.evaluation.tuning import FIRST, LENGTHS, MOST_TO_CHOOSE_ON


def network_sentences(scope: Scope) -> list[str]:
    """What each network starts from and is trained on, and what is chosen on which labels; none where none is."""
    settings = scope.settings
    sentences = [_network_sentence(protocol, settings) for protocol in settings.trained if protocol != "self-train"]
    if "self-train" in settings.trained:
        sentences += _self_training_sentences(scope)
    return [*sentences, *(_choice_sentences(scope) if settings.trained else [])]


def training_sentences(predictions: Sequence[Predictions]) -> list[str]:
    """How the networks of each protocol and budget were trained."""
    trainings = {
        (one.protocol, one.encoder, one.labels): Training.from_dict(one.training)
        for one in predictions
        if one.training is not None and one.protocol != "self-train"
    }
    sentences = _self_training_choices(predictions)
    for (protocol, encoder, labels), training in trainings.items():
        who = f"{PROTOCOLS[protocol]}{'' if encoder in ENCODERS else f' of {encoder}'} {with_labels(labels)}"
        if training.taken == 0:
            sentences.append(f"{who}: no step, the linear probe as it is")
            continue
        parts = [f"learning rate {training.base_lr:.2g} at batch 256"]
        if protocol == "finetune":
            parts += [
                f"batch statistics {STATISTICS[training.statistics]}",
                *(
                    [f"each layer's rate {training.layer_decay:g} of the next one's"]
                    if training.layer_decay < 1
                    else []
                ),
                f"{100 * training.taken:.4g} % of the steps",
            ]
        else:
            length = [] if training.epochs is None else [f"{training.epochs:g} epochs"]
            parts += [f"weight decay {training.weight_decay:.2g}", *length]
        sentences.append(f"{who}: {', '.join(parts)}")
    return sentences


def _network_sentence(protocol: str, settings: Settings) -> str:
    """What is trained from where and for how long."""
    own, tuned = TRAINING_SETTINGS[protocol], settings.schedule == "tuned" and protocol in FIRST
    what = {
        "finetune": f"the whole trained network {'from the linear probe on' if tuned else 'with a new classifier'}",
        "supervised": "the same encoder with fresh weights and a classifier",
        "sgd": "a classifier on the frozen encoder",
    }[protocol]
    passes = f"{own.epochs_of_few:g} epochs (1 % of the labels) or {own.epochs:g} (10 % and more)"
    if tuned and protocol == "supervised":
        lengths = ", ".join(f"{length:g}" for length in LENGTHS)
        passes = f"{lengths} epochs (the longer ones where they show at most {MOST_SHOWN:,} images)"
    least = f", at least {LEAST_STEPS} steps"
    if settings.epochs:
        passes, least = f"{settings.epochs:g} epochs", ""
    decay = "" if tuned else f", weight decay {own.weight_decay:g}"
    return (
        f"{PROTOCOLS[protocol]}: {what}, SGD with Nesterov momentum 0.9{decay}, cosine, {passes}{least}; views by crop "
        "and flip alone, of the side that is evaluated"
    )


def _self_training_sentences(scope: Scope) -> list[str]:
    name, unlabelled = PROTOCOLS["self-train"], len(scope.images.rows("train"))
    return [
        f"{name}: the whole trained network, begun as the linear probe, learns the given labels and, on hard views of "
        f"the {unlabelled:,} images of train without their labels, what an averaged teacher is sure of on easy views; "
        f"{scope.settings.self_train_steps:,} steps of {LABELLED} labelled and {UNLABELLED} unlabelled images; none of "
        "test is among them",
        f"{name}: rate, threshold and whether to train at all are chosen on labels of seed 0 left out, a fifth at a "
        f"time, by trainings of {trial_steps(scope.settings.self_train_steps):,} steps; with under {FOLDS} labels of a "
        "class by whether two networks on halves of the labels agree more than their probes do; with one it is the "
        "probe",
    ]


def _choice_sentences(scope: Scope) -> list[str]:
    settings = scope.settings
    sentences = [f"networks: {len(settings.seeds)} seeds vary which images are labelled, the order and the views"]
    chosen = [name for name in settings.trained if name in FIRST]
    where = f"on the labels of seed 0, at most {MOST_TO_CHOOSE_ON:,} of them, a fifth held out in turn, for all seeds"
    if chosen and settings.schedule == "paper":
        rates = "; ".join(
            f"{PROTOCOLS[name]} {', '.join(f'{rate:g}' for rate in sorted(TRAINING_SETTINGS[name].rates))}"
            for name in chosen
        )
        return [
            *sentences,
            f"networks: the learning rate at batch 256 is chosen {where} ({rates}); with fewer than {FOLDS} labels of "
            "a class it is the paper's",
        ]
    if "finetune" in chosen:
        sentences.append(
            f"{PROTOCOLS['finetune']}: the learning rate, batch norm's statistics, lower rates of lower layers and the "
            f"number of steps are chosen {where}; where the probe itself is as good on other held-out labels, and with "
            f"fewer than {FOLDS} labels of a class, of which none can be held out, no step is taken: it is the probe"
        )
    if "supervised" in chosen:
        sentences.append(
            f"{PROTOCOLS['supervised']}: the learning rate, the weight decay and the length are chosen {where}; with "
            f"fewer than {FOLDS} labels of a class they are the paper's"
        )
    return sentences


def _self_training_choices(predictions: Sequence[Predictions]) -> list[str]:
    """The rate and the threshold at each budget, or that it was not done."""
    own = [one for one in predictions if one.protocol == "self-train" and one.training is not None]
    chosen = {(one.encoder, one.labels): one.training or {} for one in own}
    sentences = []
    for (encoder, labels), how in chosen.items():
        who = f"{PROTOCOLS['self-train']}{'' if encoder in ENCODERS else f' of {encoder}'} {with_labels(labels)}"
        what = f"learning rate {how['rate']:g}, threshold {how['threshold']:g}" if how else "no step, the linear probe"
        sentences.append(f"{who}: {what}")
    return sentences
