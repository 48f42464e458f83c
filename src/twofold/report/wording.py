"""Numbers and facts as people read them. Text only: escaping is the template's and the charts' work."""

import re
from datetime import datetime
from typing import Any

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def percent(fraction: int | float) -> str:
    """0.8634 -> "86.3"."""
    return f"{100 * fraction:.1f}"


def interval(low: float | None, high: float | None) -> str:
    """0.859, 0.869 -> "85.9 \u2013 86.9"; "no interval" where there is none."""
    return "no interval" if low is None or high is None else f"{percent(low)} \u2013 {percent(high)}"


def with_interval(mean: float, low: float | None, high: float | None) -> str:
    """0.5, 0.49, 0.51 -> "50.0 % (49.0 to 51.0)"; without an interval "50.0 %"."""
    return f"{percent(mean)} %" + ("" if low is None or high is None else f" ({percent(low)} to {percent(high)})")


def in_per_cent(row: Any) -> tuple[float | None, ...]:
    """A measurement's mean, low and high in per cent, two decimals, as a table behind a figure holds them."""
    return tuple(None if value is None else round(100.0 * value, 2) for value in (row.mean, row.low, row.high))


def counted(count: int, noun: str) -> str:
    """1 -> "1 step"; 12000 -> "12,000 steps"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def in_words(count: int) -> str:
    """8 -> "eight"; figures above twelve: 13 -> "13"."""
    return NUMBERS[count] if 0 <= count < len(NUMBERS) else f"{count:,}"


def decimal(value: int | float) -> str:
    """At most three significant digits: 20.0 -> "20", 0.0512 -> "0.0512", 1234.5 -> "1,234"."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def duration(seconds: int | float) -> str:
    """75 -> "1 min 15 s"; the two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def clock(seconds: int | float) -> tuple[str, str]:
    """75 -> ("1:15", "min"); 4000 -> ("1:06", "h"); 12.3 -> ("12", "s")."""
    whole = round(seconds)
    if whole < 60:
        return str(whole), "s"
    large, small = divmod(whole, 60) if whole < 3600 else divmod(whole // 60, 60)
    return f"{large}:{small:02d}", "min" if whole < 3600 else "h"


def day(started: str) -> str:
    """ "2026-01-01T12:00:00" -> "1 January 2026"; anything else is returned as it is."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment.day} {moment:%B %Y}"


def encoder_name(encoder: dict[str, Any]) -> str:
    """The recipe's encoder part -> "ResNet-50", "ResNet-50 (2x)", "ResNet-10 (3 stages)", "timm:convnext_tiny"."""
    name = str(encoder.get("encoder", "encoder"))
    found = re.fullmatch(r"resnet(\d+)", name)
    if not found:
        return name
    width, stages = encoder.get("width", 1), encoder.get("stages", 4)
    notes = [f"{decimal(width)}\u00d7 wide"] * (width != 1) + [f"{stages} stages"] * (stages != 4)
    return f"ResNet-{found[1]}" + (f" ({', '.join(notes)})" if notes else "")


def loss_name(loss: dict[str, Any]) -> str:
    """The recipe's loss part -> "NT-Xent", "NT-Logistic, semi-hard", "triplet", "DCL"."""
    names = {"nt-xent": "NT-Xent", "nt-logistic": "NT-Logistic", "triplet": "triplet", "dcl": "DCL"}
    name = str(loss.get("loss", "nt-xent"))
    return names.get(name, name) + (", semi-hard" if loss.get("semi_hard") else "")


def loss_unit(loss: dict[str, Any]) -> str:
    """The triplet loss counts similarity, the others nats."""
    return "similarity" if loss.get("loss") == "triplet" else "nats"


def data_name(name: str) -> str:
    """The last part of a path; other names as they are."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] or name


def hardware_name(hardware: dict[str, Any]) -> str:
    """ "a GPU (NVIDIA A100, bf16)" or "a CPU (AMD EPYC 9B14, 2 threads, fp32)"."""
    device = str(hardware.get("device", "cpu"))
    if device.startswith("cpu"):
        notes = [hardware.get("cpu"), counted(hardware["threads"], "thread") if hardware.get("threads") else None]
    else:
        notes = [hardware.get("name")]
    kind = {"cpu": "a CPU", "cud": "a GPU", "mps": "an Apple GPU"}.get(device[:3], device)
    shown = ", ".join(str(note) for note in (*notes, hardware.get("precision")) if note)
    return f"{kind} ({shown})" if shown else kind


def setting_value(value: Any) -> str:
    """A recipe's value for the eye: None -> "none", lists and operations in one line."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(setting_value(part) for part in value)
    if isinstance(value, dict):  # an operation of a policy
        drawn = f" from {setting_value(value['range'])}" if value.get("range") else ""
        return f"{value.get('name')} with probability {value.get('prob')}{drawn}"
    return f"{value:g}" if isinstance(value, float) else str(value)
