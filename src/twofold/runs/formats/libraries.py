"""Weights under the names of another library, which builds the network: torchvision, timm, the Hub."""

import json
from pathlib import Path
from runpy import run_path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from twofold.errors import TwofoldError, import_extra
from twofold.models.adapters import Adapted
from twofold.models.channels import with_channels
from twofold.models.matching import library_module
from twofold.models.resnet import STEMS
from twofold.recipes.recipe import Recipe
from twofold.runs.formats.format import Format, Reader, reader
from twofold.runs.formats.from_pixels import plain
from twofold.runs.loaded import Loaded
from twofold.runs.weights import MARK, marked

_SHARED = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")  # of Twofold's own, with the same names


def _write_torchvision(loaded: Loaded, classifier: nn.Linear | None, folder: Path) -> None:
    name = _name_in("torchvision", loaded.recipe)
    weights = _weights(loaded)
    if loaded.recipe.data.channels == 1 and not isinstance(loaded.encoder, Adapted):
        weights["conv1.weight"] = with_channels(weights["conv1.weight"], 3).contiguous()
    torch.save(marked(weights | _named("fc", classifier)), folder / "encoder.pth")
    lines = [
        '"""The encoder in torchvision: images in [0, 1], no normalisation; grey ones repeated three times."""',
        "\nfrom pathlib import Path\n\nimport torch\nfrom torchvision.models import get_model\n",
        f'model = get_model("{name}", weights=None{_classes(classifier)})',
        *_stem_lines(loaded.recipe, channels=3 if loaded.recipe.data.channels == 1 else loaded.recipe.data.channels),
        *([] if classifier else ["model.fc = torch.nn.Identity()"]),
        'weights = torch.load(Path(__file__).with_name("encoder.pth"), weights_only=True)',
        "model.load_state_dict(weights, strict=True)",
        "model.eval()",
    ]
    (folder / "load.py").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read_torchvision(folder: Path, loaded: Loaded) -> Reader:
    module = run_path(str(folder / "load.py"))["model"]  # what is checked is what is given
    classifier, module.fc = module.fc, nn.Identity()
    grey = loaded.recipe.data.channels == 1
    return reader(lambda views: module(views.expand(-1, 3, -1, -1) if grey else views), classifier)


def _write_timm(loaded: Loaded, classifier: nn.Linear | None, folder: Path) -> None:
    import_extra("timm", "--to timm", "timm")
    name, channels = _name_in("timm", loaded.recipe), loaded.recipe.data.channels
    weights = _weights(loaded) | _named(_timm_head(loaded), classifier)
    safetensors.torch.save_file(weights, folder / "encoder.safetensors", metadata={"format": "pt", **MARK})
    classes = 0 if classifier is None else classifier.out_features
    size = "".join(f", {key}={value}" for key, value in _fixed_size(loaded).items())
    lines = [
        '"""The encoder in timm: images in [0, 1], no normalisation."""',
        "\nfrom pathlib import Path\n\nimport timm\nimport torch\nfrom safetensors.torch import load_file\n",
        f'model = timm.create_model("{name}", in_chans={channels}, num_classes={classes}{size})',
        *_stem_lines(loaded.recipe, channels=channels),
        'weights = load_file(Path(__file__).with_name("encoder.safetensors"))',
        "model.load_state_dict(weights, strict=True)",
        "model.eval()",
    ]
    (folder / "load.py").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read_timm(folder: Path, loaded: Loaded) -> Reader:  # noqa: ARG001
    module = run_path(str(folder / "load.py"))["model"]  # what is checked is what is given
    classifier = module.get_classifier()
    module.reset_classifier(0)
    return reader(module, classifier)


def _write_hf(loaded: Loaded, classifier: nn.Linear | None, folder: Path) -> None:
    """timm's layout on the Hugging Face Hub."""
    import_extra("timm", "--to hf", "timm")
    name, views, channels = _name_in("timm", loaded.recipe), loaded.recipe.views, loaded.recipe.data.channels
    if ":" not in loaded.recipe.encoder.encoder and loaded.recipe.encoder.stem != "imagenet":
        raise _no_such("hf", loaded.recipe)
    weights = _weights(loaded) | _named(_timm_head(loaded), classifier)
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {
        "architecture": name,
        "num_classes": 0 if classifier is None else classifier.out_features,
        "num_features": loaded.dim,
        "model_args": {"in_chans": channels, **_fixed_size(loaded)},
        "pretrained_cfg": {
            "input_size": [channels, views.embedding_px, views.embedding_px],
            "interpolation": views.interpolation,
            "crop_pct": views.eval_crop_fraction,
            "crop_mode": "center",
            "mean": [0.0] * channels,
            "std": [1.0] * channels,
            "first_conv": "conv1",
            "classifier": _timm_head(loaded),
        },
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def _read_hf(folder: Path, loaded: Loaded) -> Reader:  # noqa: ARG001
    timm = import_extra("timm", "--to hf", "timm")
    module = timm.create_model(f"local-dir:{folder}", pretrained=True)
    classifier = module.get_classifier()
    module.reset_classifier(0)
    return reader(module.eval(), classifier)


TORCHVISION = Format(takes_pixels=False, write=_write_torchvision, read=_read_torchvision)
TIMM = Format(takes_pixels=False, write=_write_timm, read=_read_timm)
HF = Format(takes_pixels=False, write=_write_hf, read=_read_hf)


def _name_in(library: str, recipe: Recipe) -> str:
    """What `library` calls the encoder. Raises TwofoldError where it has no such network."""
    source, _, name = recipe.encoder.encoder.rpartition(":")
    if source == library and (library == "timm" or name.startswith(("resnet", "resnext", "wide_resnet"))):
        return name
    if source or name not in _SHARED or (recipe.encoder.width, recipe.encoder.stages) != (1.0, 4):
        raise _no_such(library, recipe)
    return name


def _no_such(to: str, recipe: Recipe) -> TwofoldError:
    encoder = recipe.encoder
    return TwofoldError(
        f"the encoder is '{encoder.encoder}' of width {encoder.width}, {encoder.stages} stages and the stem "
        f"{encoder.stem}, but {to} has no such network. Give --to onnx, torch-export or safetensors."
    )


def _stem_lines(recipe: Recipe, channels: int) -> list[str]:
    """What turns the library's first layers into those of small images."""
    is_usual = recipe.encoder.stem == "imagenet"
    if ":" in recipe.encoder.encoder or (is_usual and channels in (1, 3)):
        return []
    kernel, stride = STEMS[recipe.encoder.stem]
    return [
        f"model.conv1 = torch.nn.Conv2d({channels}, 64, {kernel}, stride={stride}, padding={kernel // 2}, bias=False)",
        *([] if is_usual else ["model.maxpool = torch.nn.Identity()"]),
    ]


def _weights(loaded: Loaded) -> dict[str, Tensor]:
    """By the other library's names."""
    module = plain(library_module(loaded.encoder))
    return {name: tensor.contiguous() for name, tensor in module.state_dict().items()}


def _named(name: str, classifier: nn.Linear | None) -> dict[str, Tensor]:
    tensors = {} if classifier is None else classifier.state_dict()
    return {f"{name}.{part}": tensor.contiguous() for part, tensor in tensors.items()}


def _classes(classifier: nn.Linear | None) -> str:
    return "" if classifier is None else f", num_classes={classifier.out_features}"


def _timm_head(loaded: Loaded) -> str:
    """Where a timm network keeps its classifier."""
    module = loaded.encoder.module if isinstance(loaded.encoder, Adapted) else None
    return str((getattr(module, "default_cfg", None) or {}).get("classifier", "fc"))


def _fixed_size(loaded: Loaded) -> dict[str, int]:
    """The size of a timm network that is built for one."""
    module: Any = loaded.encoder.module if isinstance(loaded.encoder, Adapted) else None
    fixed = getattr(getattr(module, "patch_embed", None), "img_size", None)
    return {"img_size": loaded.recipe.views.size_px} if fixed else {}
