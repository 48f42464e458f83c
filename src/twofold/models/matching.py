"""Weights that somebody else named -> the tensors of an encoder, matched by name and shape; and the names themselves.

The names of an encoder for other libraries are those of `library_module`, in both directions: what is exported bears
them, what is loaded is matched with them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from twofold.models.adapters import CLASSIFIERS, Adapted
from twofold.models.channels import with_channels

_TRANSFORMERS = (  # names of Hugging Face's own ResNet -> those of torchvision
    (r"embedder\.embedder\.convolution\.", "conv1."),
    (r"embedder\.embedder\.normalization\.", "bn1."),
    (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.", lambda found: f"layer{int(found[1]) + 1}.{found[2]}."),
    (r"(layer\d+\.\d+\.)layer\.(\d+)\.convolution\.", lambda found: f"{found[1]}conv{int(found[2]) + 1}."),
    (r"(layer\d+\.\d+\.)layer\.(\d+)\.normalization\.", lambda found: f"{found[1]}bn{int(found[2]) + 1}."),
    (r"shortcut\.convolution\.", "downsample.0."),
    (r"shortcut\.normalization\.", "downsample.1."),
)
_COUNTER = "num_batches_tracked"  # of batch norm: absent in old files, and rarely of use
_EXTRA = (*CLASSIFIERS, "aux1", "aux2", "AuxLogits")  # what a classifying network has besides its encoder


@dataclass(frozen=True, kw_only=True)
class Match:
    """Which tensors of an encoder are there, by the names of `library_module`, and which are not."""

    tensors: dict[str, Tensor]
    missing: dict[str, str]  # name -> "" or what shape was there instead
    unused: list[str]
    channels: tuple[int, int] | None  # of the first convolution before and after, where they differ

    @property
    def loaded(self) -> int:
        """How many of the encoder's tensors are there, batch norm's counters of batches aside."""
        return sum(not name.endswith(_COUNTER) for name in self.tensors)

    @property
    def total(self) -> int:
        """How many tensors the encoder has, these counters aside."""
        return self.loaded + len(self.missing)

    @property
    def fits(self) -> bool:
        """Whether at most 1 % of the encoder's tensors are missing, and of the others' are left over."""
        return self.loaded > 0 and max(len(self.missing), len(self.unused)) <= self.total // 100


def library_module(encoder: nn.Module) -> nn.Module:
    """The module whose names of tensors are those of torchvision or timm: an adapter holds one, our ResNet is one."""
    return encoder.module if isinstance(encoder, Adapted) else encoder


def first_convolution(names: Mapping[str, Tensor]) -> str | None:
    """The name of the first convolution's kernels (k, c, h, w), which see the image."""
    return next((name for name, tensor in names.items() if tensor.ndim == 4), None)


def without_classifier(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All but what turns embeddings into classes."""
    return {name: tensor for name, tensor in weights.items() if name.split(".")[0] not in _EXTRA}


def rename(weights: Mapping[str, Tensor], encoder: nn.Module) -> dict[str, Tensor]:
    """The weights by the encoder's names as far as these can be told: without wrappers such as "module.encoder_q.".

    What lies outside the wrapper (a second encoder, a queue, a head) is left out, and so is a classifier. They are in
    the encoder's order: files may have another.
    """
    known = {_translated(name): tensor for name, tensor in weights.items()}
    wanted = library_module(encoder).state_dict()
    prefix = _wrapper(known, wanted)
    inside = {name.removeprefix(prefix): tensor for name, tensor in known.items() if name.startswith(prefix)}
    return without_classifier({name: inside[name] for name in wanted if name in inside} | inside)


def match(weights: Mapping[str, Tensor], encoder: nn.Module) -> Match:
    """Which of the weights, by the encoder's names, it takes. The first convolution is made to fit its channels."""
    wanted = library_module(encoder).state_dict()
    first, channels = first_convolution(wanted), None
    tensors, missing = dict[str, Tensor](), dict[str, str]()
    for name, target in wanted.items():
        given = weights.get(name)
        if name == first and given is not None and given.ndim == 4 and given.shape[1] != target.shape[1]:
            channels = (given.shape[1], target.shape[1])
            given = with_channels(given, target.shape[1])
        if given is not None and given.shape == target.shape:
            tensors[name] = given
        elif not name.endswith(_COUNTER):
            missing[name] = "" if given is None else f"{tuple(given.shape)}, not {tuple(target.shape)}"
    unused = [name for name in weights if name not in wanted and not name.endswith(_COUNTER)]
    return Match(tensors=tensors, missing=missing, unused=unused, channels=channels)


def _translated(name: str) -> str:
    for pattern, into in _TRANSFORMERS:
        name = re.sub(pattern, into, name)
    return name


def _wrapper(given: Iterable[str], wanted: Iterable[str]) -> str:
    """What stands before the most names that are wanted, and so before all: "" or a text that ends in a dot."""
    known, prefixes = set(wanted), Counter[str]()
    for name in given:
        parts = name.split(".")
        ends = [at for at in range(len(parts)) if ".".join(parts[at:]) in known]
        prefixes.update("".join(f"{part}." for part in parts[:at]) for at in ends)
    return min(prefixes, key=lambda prefix: (-prefixes[prefix], len(prefix)), default="")
