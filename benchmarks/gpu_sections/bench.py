"""What all sections share: limits of time, results on disk as soon as they are known, and how work is timed."""

import contextlib
import gc
import json
import signal
import statistics
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

T = TypeVar("T")
_SPARE_S = 3.0  # of the budget, for what comes after the last section
_SHORTEST_SECTION_S = 8.0  # with less it is left out


class OutOfTimeError(BaseException):
    """A section took longer than it may. Nothing but `Bench.run` catches it."""


class Bench:
    """One call of the program. A section's measurements go under its name into the file `out`."""

    def __init__(
        self, out: Path, *, device: str, tiny: bool, budget_s: float, work: Path, data: Path | None, train_s: float
    ) -> None:
        self.device, self.tiny, self.work, self.data, self.train_s = torch.device(device), tiny, work, data, train_s
        self.results: dict[str, dict[str, Any]] = {}
        self.about: dict[str, Any] = {"began": time.strftime("%Y-%m-%d %H:%M:%S")}
        self._out, self._begin = out, time.monotonic()
        self._end = self._section_end = self._begin + budget_s
        self._section = ""

    @property
    def on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def pick(self, full: T, tiny: T) -> T:
        """A size: that of a GPU, or that of a rehearsal."""
        return tiny if self.tiny else full

    def left_s(self) -> float:
        """Seconds until the section or everything must end."""
        return min(self._end, self._section_end) - time.monotonic()

    def run(self, section: str, work: Callable[["Bench"], None], *, limit_s: float) -> None:
        """One section, for at most `limit_s`. What goes wrong in it is a result too."""
        self._section, self._section_end = section, self._end
        limit_s = min(limit_s, self.left_s() - _SPARE_S)
        if limit_s < _SHORTEST_SECTION_S:
            self.put("left out", "no time left")
            return
        began, rounding = time.monotonic(), float32_products()
        self._section_end = began + limit_s
        signal.signal(signal.SIGALRM, _late)
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            work(self)
        except OutOfTimeError:
            self.put("stopped", f"after its {limit_s:.0f} s")
        except Exception as error:
            self.put("failed", _described(error))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        with contextlib.suppress(Exception):
            set_float32_products(*rounding)
            self.free()
        self.put("seconds", round(time.monotonic() - began, 1))

    def measure(self, name: str, work: Callable[[], Any], *, needs_s: float = 0.0) -> None:
        """One measurement: `work`'s result, or what went wrong in it; the next one is then taken.

        It is left out where less than `needs_s` seconds are left.
        """
        if self.left_s() < needs_s:
            self.put(name, {"left out": f"{self.left_s():.0f} s left, {needs_s:.0f} s asked for"})
            return
        try:
            self.put(name, work())
        except Exception as error:
            self.put(name, _described(error))
        self.free()  # here and not above, where the error's traceback still holds everything

    def put(self, name: str, value: Any) -> None:
        """Write a result of the section down."""
        self.results.setdefault(self._section, {})[name] = value
        seconds = self.write()
        print(f"[{seconds:6.1f}] {self._section}: {name} = {json.dumps(value, default=str)[:400]}", flush=True)

    def write(self, **more: Any) -> float:
        """Everything that is known, into the file; the seconds so far."""
        self.about |= {"seconds": round(time.monotonic() - self._begin, 1), **more}
        self._out.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._out.with_suffix(".tmp")
        temporary.write_text(json.dumps({**self.about, "results": self.results}, indent=1, default=str) + "\n")
        temporary.replace(self._out)
        return self.about["seconds"]

    def sync(self) -> None:
        """Wait for the device."""
        if self.on_gpu:
            torch.cuda.synchronize()

    def free(self) -> None:
        """Give freed memory back, and forget the peak."""
        if self.on_gpu:
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def wall_s(self, work: Callable[[], Any], count: int, warm: int = 3) -> float:
        """Seconds of `work`, mean of `count` calls that are queued one behind the other."""
        count, warm = self.pick(count, 1), self.pick(warm, 1)
        for _ in range(warm):
            work()
        self.sync()
        start = time.perf_counter()
        for _ in range(count):
            work()
        self.sync()
        return (time.perf_counter() - start) / count

    def median_s(self, work: Callable[[], Any], count: int = 5, warm: int = 2) -> float:
        """Median seconds of `work`, the device waited for each time."""
        for _ in range(self.pick(warm, 1)):
            work()
        taken = []
        for _ in range(self.pick(count, 1)):
            self.sync()
            start = time.perf_counter()
            work()
            self.sync()
            taken.append(time.perf_counter() - start)
        return statistics.median(taken)

    def kernels(self, work: Callable[[], Any]) -> dict[str, Any]:
        """What the device does in one call: number of activities, their seconds, and the kinds that take longest."""
        from torch.profiler import ProfilerActivity, profile

        work()
        self.sync()
        kinds = [ProfilerActivity.CPU, ProfilerActivity.CUDA] if self.on_gpu else [ProfilerActivity.CPU]
        with profile(activities=kinds) as profiled:
            start = time.perf_counter()
            work()
            self.sync()
            taken = time.perf_counter() - start
        seconds: Counter[str] = Counter()
        events = [event for event in profiled.events() if "CUDA" in str(event.device_type)]
        for event in events:
            seconds[event.name[:70]] += event.time_range.elapsed_us() / 1e6
        return {
            "device activities": len(events),
            "device s": sum(seconds.values()),
            "wall s (profiled)": taken,
            "longest ms": {name: round(1e3 * s, 3) for name, s in seconds.most_common(14)},
        }

    def peak_gib(self) -> float | None:
        """The peak of the device's memory since `free`, where that is known."""
        return torch.cuda.max_memory_allocated() / 2**30 if self.on_gpu else None


def float32_products() -> tuple[bool, bool]:
    """Whether products, and convolutions, of float32 numbers are rounded to TF32."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def set_float32_products(products: bool, convolutions: bool) -> None:
    """Round the numbers of products, and of convolutions, to TF32 or not."""
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = products, convolutions


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """|a - b| / |b|, in float64 on the CPU."""
    a, b = a.detach().double().cpu(), b.detach().double().cpu()
    return float((a - b).norm() / b.norm().clamp(min=1e-300))


def _late(*_: object) -> None:
    raise OutOfTimeError


def _described(error: Exception) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    return {"error": f"{type(error).__name__}: {str(error)[:600]}", "at": where}
