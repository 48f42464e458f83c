"""An encoder written in the formats of other programs, and read back as those read it.

None wants a normalisation: pixels / 255 is what an encoder of Twofold sees.
"""

from twofold.runs.formats.format import Format
from twofold.runs.formats.libraries import HF, TIMM, TORCHVISION
from twofold.runs.formats.onnx import ONNX
from twofold.runs.formats.own import SAFETENSORS
from twofold.runs.formats.torch_export import TORCH_EXPORT

__all__ = ["FORMATS", "Format"]

FORMATS: dict[str, Format] = {
    "onnx": ONNX,
    "torch-export": TORCH_EXPORT,
    "torchvision": TORCHVISION,
    "timm": TIMM,
    "safetensors": SAFETENSORS,
    "hf": HF,
}
