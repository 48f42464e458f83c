"""The weights that a run begins from: read once, matched with its encoder, said, and kept in the run as they came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from twofold.console import say
from twofold.distributed import World
from twofold.errors import TwofoldError
from twofold.hardware.randomness import weights_of_seed
from twofold.models import build_encoder
from twofold.models.channels import IMAGENET, NONE, without_normalization
from twofold.models.head import build_head
from twofold.models.matching import Match, first_convolution, library_module, match, rename
from twofold.models.simclr import SimCLR
from twofold.recipes.recipe import InitRecipe, Recipe
from twofold.runs.checkpoint import newest_checkpoint
from twofold.runs.encoder_file import save_encoder
from twofold.runs.run_directory import Run
from twofold.runs.weights import Weights, weights_of

_SHOWN = 3  # names in a line


@dataclass(frozen=True)
class Initial:
    """The `report` on what was loaded, which recipe.json keeps, and the tensors, where they are still needed."""

    report: dict[str, Any]
    encoder: Mapping[str, Tensor] = field(default_factory=dict, repr=False)  # by the names of `library_module`
    head: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    def put_into(self, model: SimCLR) -> None:
        """Replace the fresh weights of which others were loaded."""
        for module, tensors in ((library_module(model.encoder), self.encoder), (model.head, self.head)):
            module.load_state_dict({**module.state_dict(), **tensors})

    def loaded_parameters(self, model: SimCLR) -> list[nn.Parameter]:
        """Those that were not fresh."""
        fresh = set(self.report["fresh"])
        loaded = [p for name, p in library_module(model.encoder).named_parameters() if name not in fresh]
        return [*loaded, *(model.head.parameters() if self.report["head"] else ())]


def initial_weights(run: Run, begun: dict[str, Any] | None, recipe: Recipe, world: World) -> Initial | None:
    """What the run begins from, or None for fresh weights. The first process alone reads it, and holds the tensors.

    A run that has a checkpoint needs them no more. Raises TwofoldError for weights that cannot be read or do not fit,
    and for settings that have no meaning without weights.
    """
    if recipe.init.init is None:
        _require_nothing(recipe.init)
        return None
    own = world.only_first(_read, run, begun, recipe)
    report = world.from_first(lambda: own.report if own else {})
    return own or Initial(report)


def keep_initial(run: Run, encoder: nn.Module, recipe: Recipe) -> None:
    """Keep the encoder before pretraining in the run. Raises TwofoldError where an earlier start had other weights."""
    if not run.initial.exists():
        save_encoder(run.initial, encoder, recipe)
        return
    before, now = safetensors.torch.load_file(run.initial), encoder.state_dict()
    if not all(torch.equal(before[name], now[name].cpu()) for name in before):
        raise TwofoldError(
            f"the weights in '{recipe.init.init}' differ from those that the run in '{run.folder}' was begun with. "
            "Restore them or choose a new --out."
        )


def _read(run: Run, begun: dict[str, Any] | None, recipe: Recipe) -> Initial:
    if begun and begun.get("init") and newest_checkpoint(run):
        return Initial(begun["init"])
    weights = weights_of(recipe.init)
    with weights_of_seed(0):  # only names and shapes count
        encoder = build_encoder(recipe.encoder, channels=recipe.data.channels, size_px=recipe.views.size_px)
        head = build_head(recipe.head, dim=encoder.dim)
    tensors, normalization = _for_plain_pixels(rename(weights.tensors, encoder), encoder, weights, recipe.init)
    matched = match(tensors, encoder)
    _require_fit(weights, matched, recipe)
    wanted = head.state_dict()
    same = wanted.keys() == weights.head.keys() and all(wanted[n].shape == t.shape for n, t in weights.head.items())
    has_head = bool(wanted) and same
    report = {
        "from": weights.source,
        "step": weights.step,
        "loaded": matched.loaded,
        "tensors": matched.total,
        "fresh": list(matched.missing),
        "left_out": matched.unused,
        "channels": matched.channels,
        "normalization": normalization,
        "head": has_head,
    }
    for line in _said(report, recipe.init):
        say(line)
    return Initial(report, matched.tensors, weights.head if has_head else {})


def _for_plain_pixels(
    tensors: dict[str, Tensor], encoder: nn.Module, weights: Weights, recipe: InitRecipe
) -> tuple[dict[str, Tensor], str]:
    """The weights for pixels / 255, which is what every encoder of Twofold sees; and what was done, in words."""
    given = {"imagenet": IMAGENET, "none": NONE}.get(recipe.init_normalization)
    expected = given or weights.normalization or IMAGENET
    if expected.is_none:
        return tensors, "none expected"
    first = first_convolution(library_module(encoder).state_dict())
    folded = without_normalization(tensors, first, expected) if first in tensors else None
    if folded is not None:
        known = "" if given or weights.normalization else " (taken to be ImageNet's: the weights do not say)"
        return folded, f"folded into the first convolution{known}"
    if given:
        raise TwofoldError(
            f"init_normalization is '{recipe.init_normalization}', but the first layer of these weights cannot take it "
            "in. Give --init-normalization none."
        )
    return tensors, "not folded: the first layer cannot take it in"


def _require_fit(weights: Weights, matched: Match, recipe: Recipe) -> None:
    if matched.fits or (matched.loaded and not recipe.init.init_strict):
        return
    missing = [f"'{name}'" + (f" is {shapes}" if shapes else "") for name, shapes in matched.missing.items()]
    first = f", first {', '.join(missing[:_SHOWN])}" if missing else ""
    own = weights.recipe.encoder if weights.recipe else None
    flags = f": --encoder {own.encoder} --width {own.width:g} --stages {own.stages} --stem {own.stem}" if own else ""
    anyway = ", or take what fits with --init-strict False" if matched.loaded else ""
    raise TwofoldError(
        f"the weights in '{weights.source}' (its first keys: {_names(list(weights.tensors))}) do not fit the encoder "
        f"'{recipe.encoder.encoder}': of its {matched.total} tensors {len(matched.missing)} are missing{first}; "
        f"{len(matched.unused)} are left over. Choose the encoder that they are of{flags}{anyway}."
    )


def _said(report: dict[str, Any], recipe: InitRecipe) -> list[str]:
    step = "" if report["step"] is None else f", step {report['step']:,}"
    head = "loaded" if report["head"] else "fresh"
    lines = [
        f"Weights of '{report['from']}'{step}: {report['loaded']} of the encoder's {report['tensors']} tensors loaded; "
        f"projection head {head}"
    ]
    for key, words in (("fresh", "not there, so fresh"), ("left_out", "left out, as the encoder has none")):
        if report[key]:
            lines.append(f"  {words}: {len(report[key])} (first {_names(report[key])})")
    if report["channels"]:
        before, now = report["channels"]
        lines.append(f"  first convolution: from {before} to {now} channels, with the same response to gray images")
    lines.append(f"  normalisation of images: {report['normalization']}")
    if recipe.init_rate != 1.0:
        lines.append(f"  learning rate of what was loaded: {recipe.init_rate:g} of that of the rest")
    if recipe.freeze_until:
        lines.append(f"  frozen: '{recipe.freeze_until}' and all before it, with its batch norm")
    return lines


def _names(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN])


def _require_nothing(recipe: InitRecipe) -> None:
    for name, without in (("freeze_until", None), ("init_rate", 1.0)):
        value = getattr(recipe, name)
        if value != without:
            raise TwofoldError(
                f"{name} is {value!r}, but no weights are loaded. Give --init, or leave --{name.replace('_', '-')} out."
            )
