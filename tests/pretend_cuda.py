"""A CUDA device that is not there: its tensors say `cuda:0`, compute on the CPU, and refuse what a real one refuses.

`with pretended_cuda() as device:` gives a device that holds tensors of its own. They refuse to be mixed with the CPU's,
to become numpy arrays and to be drawn from the CPU's generator; their random numbers come from a generator of the
device. Every moment at which the host would wait for the device is counted with the line that asked for it.

What stays unlike: arithmetic is the CPU's, so results are equal to the bit, and nothing runs beside the host.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from twofold.data import pixels

CUDA = torch.device("cuda", 0)
_CPU = torch.device("cpu")
_SOURCE = str(Path(__file__).parent.parent / "src" / "twofold")
_ATEN = torch.ops.aten
_READS = {_ATEN._local_scalar_dense.default, _ATEN.equal.default, _ATEN.is_nonzero.default}
_SIZED_BY_VALUES = {  # how much they return depends on what the device holds, so the host must ask
    _ATEN.nonzero.default,
    _ATEN.masked_select.default,
    _ATEN.unique_dim.default,
    _ATEN._unique2.default,
    _ATEN.bincount.default,
    _ATEN.repeat_interleave.Tensor,
}
_INDEXING = {_ATEN.index.Tensor, _ATEN.index_put.default, _ATEN.index_put_.default, _ATEN._index_put_impl_.default}
_CROSSING = {_ATEN.copy_.default, _ATEN._to_copy.default, *_INDEXING}  # may have arguments on both


@dataclass
class Device:
    """What the pretended device has seen; `waits` counts by (kind, line of the source), `launches` by line."""

    waits: Counter[tuple[str, str]] = field(default_factory=Counter)
    launches: Counter[str] = field(default_factory=Counter)  # operations that a GPU does some work for
    pinned: list[Tensor] = field(default_factory=list)  # host memory that is page-locked
    generator: torch.Generator = field(default_factory=torch.Generator)

    def note(self, kind: str) -> None:
        """Count a moment at which the host waits: "read" device to host, "upload" host to device, "sized", "sync"."""
        self.waits[kind, _line()] += 1

    def count(self, *folders: str, without: tuple[str, ...] = ()) -> int:
        """How many waits were asked for by files below these folders of the package (all for none)."""
        return sum(
            number
            for (_, line), number in self.waits.items()
            if (not folders or line.startswith(folders)) and not (without and line.startswith(without))
        )

    def is_pinned(self, tensor: Tensor) -> bool:
        """Whether the host can go on while this memory of it is copied."""
        place = tensor.untyped_storage().data_ptr()
        return any(one.untyped_storage().data_ptr() == place for one in self.pinned)

    def pin(self, tensor: Tensor) -> Tensor:
        """A copy in page-locked memory."""
        if isinstance(tensor, OnDevice):
            raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
        copy = tensor.clone(memory_format=torch.preserve_format)
        self.pinned.append(copy)
        return copy

    def page_locked(self, shape: tuple[int, ...]) -> Tensor:
        """Page-locked memory with anything in it."""
        return self.pin(torch.full(shape, 0xAB, dtype=torch.uint8))

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Random numbers from the device's own generator."""
        before = torch.default_generator.get_state()
        torch.default_generator.set_state(self.generator.get_state())
        try:
            yield
        finally:
            self.generator.set_state(torch.default_generator.get_state())
            torch.default_generator.set_state(before)


def _line() -> str:
    """The innermost line of the package on the stack, as folder/file.py:123; of the caller where there is none."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(_SOURCE):
            return f"{frame.f_code.co_filename.removeprefix(_SOURCE + '/')}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"


class OnDevice(Tensor):
    """A tensor of the pretended device around one of the CPU."""

    inner: Tensor
    seen_by: ClassVar[Device]

    @staticmethod
    def __new__(cls, inner: Tensor) -> "OnDevice":
        outer = Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=_CPU,  # what autograd believes; a CUDA device that is not there would end the process
        )
        outer.inner = inner
        return outer

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda _: CUDA)
    is_cuda = property(lambda _: True)
    is_cpu = property(lambda _: False)

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"OnDevice({self.inner!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Saved as a tensor of the CPU, as it comes back with map_location="cpu"."""
        self.seen_by.note("read")
        return self.inner.detach().__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnDevice":
        made = OnDevice(self.inner.detach().clone(memory_format=torch.preserve_format))
        made.requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            made._is_param = True  # type: ignore[attr-defined]
        memo[id(self)] = made
        return made

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def tolist(self) -> Any:
        self.seen_by.note("read")
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _run(func, args, kwargs or {}, cls.seen_by)


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seen: Device) -> Any:
    """One operation with at least one argument on the device, on what lies inside."""
    leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    _require_together(func, leaves, kwargs)
    _count(func, args, leaves, seen)
    inner_args, inner_kwargs = tree_map(_inside, (args, kwargs))
    if not _is_free(func):
        seen.launches[_line()] += 1
    if torch.Tag.nondeterministic_seeded in func.tags:
        with seen.drawing():
            found = func(*inner_args, **inner_kwargs)
    else:
        found = func(*inner_args, **inner_kwargs)
    if func is _ATEN.copy_.default and not isinstance(args[0], OnDevice):
        return args[0]
    outer = {id(leaf.inner): leaf for leaf in leaves if isinstance(leaf, OnDevice)}  # what works in place returns them

    def wrapped(one: Any) -> Any:
        return outer[id(one)] if id(one) in outer else OnDevice(one) if isinstance(one, Tensor) else one

    return tree_map(wrapped, found)


def _is_free(func: Any) -> bool:
    """Whether a GPU does nothing for it: views of memory that is there, and memory that nothing is written to."""
    returned = [one.alias_info for one in func._schema.returns]
    is_view = any(alias is not None and not alias.is_write for alias in returned)
    return is_view or func.name().startswith(("aten::empty", "aten::new_empty", "aten::_unsafe_view"))


def _require_together(func: Any, leaves: list[Tensor], kwargs: dict[str, Any]) -> None:
    if kwargs.get("generator") is not None:
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    strange = [leaf for leaf in leaves if not isinstance(leaf, OnDevice) and leaf.ndim > 0]
    if strange and func not in _CROSSING:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! ({func})"
        )
    if strange and func in _INDEXING and not isinstance(leaves[0], OnDevice):
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")


def _count(func: Any, args: tuple[Any, ...], leaves: list[Tensor], seen: Device) -> None:
    masked = func in _INDEXING and any(leaf.dtype in (torch.bool, torch.uint8) for leaf in tree_leaves(args[1]))
    if func in _READS:
        seen.note("read")
    elif func in _SIZED_BY_VALUES or masked:
        seen.note("sized")
    elif func in _INDEXING and any(not isinstance(leaf, OnDevice) for leaf in tree_leaves(args[1])):
        seen.note("upload")
    elif func is _ATEN.copy_.default and len({isinstance(leaf, OnDevice) for leaf in leaves}) == 2:
        goes_on = (
            len(args) > 2 and args[2] and not isinstance(args[1], OnDevice) and seen.is_pinned(args[1])
        )  # non_blocking
        if not goes_on:
            seen.note("upload" if isinstance(args[0], OnDevice) else "read")


def _inside(value: Any) -> Any:
    return value.inner if isinstance(value, OnDevice) else value


class _Placing(TorchFunctionMode):
    """Puts onto the pretended device what is asked to lie there, and takes it off again."""

    def __init__(self, seen: Device) -> None:
        super().__init__()
        self.seen = seen

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.to:
            return self._to(args, kwargs)
        if func is Tensor.cpu:
            return self._moved(args[0], _CPU)
        if func is Tensor.cuda:
            return self._moved(args[0], CUDA)
        if func is Tensor.is_pinned:
            return not isinstance(args[0], OnDevice) and self.seen.is_pinned(args[0])
        if func is Tensor.new_tensor and isinstance(args[0], OnDevice):
            options = {"dtype": args[0].dtype} | kwargs
            return self._moved(torch.tensor(*args[1:], **options), CUDA)
        if "device" not in kwargs or func is torch._C._nn._parse_to:
            return func(*args, **kwargs)
        return self._made(func, args, kwargs)

    def _made(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a factory makes, on the device that it is told."""
        wanted = kwargs.pop("device")
        given = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        to_cuda = _is_cuda(wanted) if wanted is not None else any(isinstance(leaf, OnDevice) for leaf in given)
        if not to_cuda:
            return func(*args, **kwargs) if wanted is None else func(*args, **kwargs, device=wanted)
        if func in (torch.tensor, torch.as_tensor, torch.asarray):  # from numbers of the host
            return self._moved(func(*args, **kwargs), CUDA)
        if kwargs.get("generator") is None and func in _DRAWING:
            with self.seen.drawing():
                made = func(*args, **kwargs)
        else:
            made = func(*args, **kwargs)
        return made if isinstance(made, OnDevice) else OnDevice(made)

    def _to(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensor, *rest = args
        wanted, options = None, dict(kwargs)
        for one in rest:
            if isinstance(one, torch.device | str):
                wanted = torch.device(one)
            elif isinstance(one, Tensor):
                wanted, options["dtype"] = one.device, one.dtype
            elif isinstance(one, torch.dtype):
                options["dtype"] = one
        if options.get("device") is not None:
            wanted = torch.device(options["device"])
        options.pop("device", None)
        goes_on = (
            options.pop("non_blocking", False) and not isinstance(tensor, OnDevice) and self.seen.is_pinned(tensor)
        )
        moved = tensor if wanted is None else self._moved(tensor, wanted, waits=not goes_on)
        return moved.to(**options) if options else moved

    def _moved(self, tensor: Tensor, device: torch.device, *, waits: bool = True) -> Tensor:
        """On that device; of ordinary memory the host waits, asked to or not."""
        if isinstance(tensor, OnDevice) == _is_cuda(device):
            return tensor
        moved: Tensor = (_Off if isinstance(tensor, OnDevice) else _On).apply(tensor)
        if waits:
            self.seen.note("upload" if _is_cuda(device) else "read")
        return moved


class _On(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return OnDevice(tensor.detach().clone(memory_format=torch.preserve_format))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _inside(gradient)


class _Off(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _inside(tensor).detach().clone(memory_format=torch.preserve_format)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return OnDevice(gradient)


def _is_cuda(device: Any) -> bool:
    return torch.device(device).type == "cuda"


_DRAWING = {torch.rand, torch.randn, torch.randint, torch.randperm, torch.rand_like, torch.randn_like, torch.bernoulli}


def _autocast(real: Callable[..., Any]) -> Callable[..., Any]:
    """Autocast of the device is that of the CPU, where its arithmetic happens."""
    return lambda device_type, *args, **options: real("cpu", *args, **options)


@contextmanager
def pretended_cuda() -> Iterator[Device]:
    """A machine with one CUDA device for as long as the block lasts."""
    device = Device()
    OnDevice.seen_by = device
    properties = SimpleNamespace(total_memory=80 * 2**30, name="Pretended", major=9, minor=0)
    answers: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "set_device": lambda _: None,
        "_exchange_device": lambda _: 0,
        "_maybe_exchange_device": lambda _: 0,
        "is_bf16_supported": lambda **_: True,
        "get_device_name": lambda *_: properties.name,
        "get_device_properties": lambda *_: properties,
        "synchronize": lambda *_: device.note("sync"),
        "empty_cache": lambda: None,
        "mem_get_info": lambda *_: (70 * 2**30, 80 * 2**30),
        "reset_peak_memory_stats": lambda *_: None,
        "max_memory_allocated": lambda *_: 2**30,
        "max_memory_reserved": lambda *_: 2**30,
        "memory_reserved": lambda *_: 2**30,
        "memory_allocated": lambda *_: 2**30,
        "manual_seed": device.generator.manual_seed,
        "manual_seed_all": device.generator.manual_seed,
        "get_rng_state": lambda *_: device.generator.get_state(),
        "set_rng_state": lambda state, *_: device.generator.set_state(state),
    }
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, answer))
        for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
            if hasattr(torch.optim.Optimizer, name):  # they ask the driver
                stack.enter_context(mock.patch.object(torch.optim.Optimizer, name))
        # the mode below acts in this thread alone, and a loader pins in one of its own
        stack.enter_context(mock.patch.object(Tensor, "pin_memory", lambda tensor: device.pin(tensor)))
        stack.enter_context(mock.patch.object(pixels, "page_locked", device.page_locked))
        stack.enter_context(mock.patch.object(torch, "autocast", _autocast(torch.autocast)))
        stack.callback(
            torch.__future__.set_overwrite_module_params_on_conversion,
            torch.__future__.get_overwrite_module_params_on_conversion(),
        )
        torch.__future__.set_overwrite_module_params_on_conversion(True)  # a new class cannot slip into a parameter
        placing, run_backward = _Placing(device), torch.autograd._engine_run_backward

        def run_backward_here(*args: Any, **options: Any) -> Any:
            with placing:  # a call of backward is outside of it, and calls Python code of the package
                return run_backward(*args, **options)

        stack.enter_context(mock.patch.object(torch.autograd, "_engine_run_backward", run_backward_here))
        stack.enter_context(placing)
        yield device
