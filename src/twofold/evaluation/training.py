"""Attempts by training a network on labels: fine-tuning, from scratch, and the linear probe by SGD on views."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from torch import nn

from twofold.data import ImageSet
from twofold.errors import DivergedError, NotFiniteError, unknown_name
from twofold.evaluation.attempt import Attempt, Labels, rank_classes, softmax_confidence
from twofold.evaluation.budgets import labelled_places
from twofold.evaluation.embed import embed_images, frozen
from twofold.evaluation.labelled import Labelled
from twofold.evaluation.ledger import Ledger
from twofold.evaluation.network import Network, build_network, fit_network
from twofold.evaluation.subject import Subject, head_layers
from twofold.evaluation.tuning import MANNERS, Manner, choice_places, choose_rate, make_schedule


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """Trains networks for one `protocol`: finetune, supervised (from scratch) or sgd (a frozen encoder).

    `start` is the layer that fine-tuning puts its classifier on: "h", or an output of the head, whose layers up to
    there are then trained too (reference 4.2, ft_proj_selector).
    """

    protocol: str
    subject: Subject
    images: ImageSet
    labelled: Labelled
    start: str = "h"
    epochs: float | None = None

    @property
    def encoder_name(self) -> str:
        """The column that the figures belong to."""
        return "untrained" if self.protocol == "supervised" else self.subject.name

    @property
    def manner(self) -> Manner:
        """Learning rates and epochs."""
        return MANNERS[self.protocol]

    def attempt(self, labels: Labels, seed: int, ledger: Ledger) -> Attempt:
        """Train on the labels of that budget and seed, predict test. The learning rate is that of `rate`."""
        rate = self.rate(labels, ledger)
        own = labelled_places(self.labelled.train_ids, labels, seed)
        logits = self._logits(own, self.labelled.test, rate, seed)
        return Attempt(
            protocol=self.protocol,
            encoder=self.encoder_name,
            labels=labels,
            seed=seed,
            ranked=rank_classes(logits),
            confidence=softmax_confidence(logits),
            base_lr=rate,
        )

    def rate(self, labels: Labels, ledger: Ledger) -> float:
        """The learning rate for a budget: chosen on the labels of seed 0 alone, the same for all seeds."""
        if len(self.manner.rates) == 1:
            return self.manner.rates[0]
        return float(ledger.value(f"{self.protocol}/{self.start}/{labels}/rate", lambda: self._choose(labels)))

    def _choose(self, labels: Labels) -> float:
        own = labelled_places(self.labelled.train_ids, labels, 0)
        places = choice_places(self.labelled.train_ids[own])
        if places is None:
            return self.manner.rates[0]
        kept, cut = (own[part] for part in places)
        rows = self.labelled.train[cut]
        return choose_rate(self.manner, lambda rate: self._logits(kept, rows, rate, 0), self.labelled.train_ids[cut])

    def _logits(
        self, own: Int64[np.ndarray, " k"], asked: Int64[np.ndarray, " m"], rate: float, seed: int
    ) -> Float32[np.ndarray, "m c"]:
        """Logits for the rows `asked`, of a network trained on the places `own` of train."""
        network = self.network(seed)
        schedule = make_schedule(self.manner, rate, labels=len(own), train=len(self.labelled.train), epochs=self.epochs)
        fit: Callable[[], None] = lambda: fit_network(  # noqa: E731
            network,
            self.images,
            self.labelled.train[own],
            self.labelled.train_ids[own],
            views=self.subject.views,
            hardware=self.subject.hardware,
            schedule=schedule,
            seed=seed,
        )
        if network.frozen:
            with frozen(network.encoder):
                fit()
        else:
            fit()
        try:
            return embed_images(network, self.images, asked, views=self.subject.views, hardware=self.subject.hardware)
        except NotFiniteError as error:  # the loss of the last step was, but its gradient was too large
            raise DivergedError(
                f"training with labels gave a network whose answers are not finite at the learning rate {rate:g}; they "
                "must stay finite. Lower the learning rate."
            ) from error

    def network(self, seed: int) -> Network:
        """The network before training: a function of the seed."""
        encoder = self.subject.fresh(seed) if self.protocol == "supervised" else self.subject.encoder
        inner, dim = (None, self.subject.dim) if self.protocol != "finetune" else self._inner()
        return build_network(
            encoder,
            dim=dim,
            classes=len(self.labelled.classes),
            hardware=self.subject.hardware,
            seed=seed,
            inner=inner,
            frozen=self.protocol == "sgd",
        )

    def _inner(self) -> tuple[nn.Module | None, int]:
        if self.start == "h":
            return None, self.subject.dim
        inner = head_part(self.subject.head, self.start)
        return inner, int(inner[-1].dense.out_features)  # type: ignore[union-attr,arg-type]


def head_part(head: nn.Sequential | None, layer: str) -> nn.Sequential:
    """The head up to `layer`. Raises TwofoldError for a layer that it does not have."""
    names = head_layers(head)
    if head is None or layer not in names:
        raise unknown_name("layer of the head", layer, ("h", *names))
    return head[: names.index(layer) + 1]
