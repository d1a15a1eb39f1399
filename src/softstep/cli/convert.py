"""`convert`: other libraries' settings of a target network, what they mean, and back."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

import softstep
from softstep.cli.options import Convert, ConvertRescale
from softstep.errors import ConfigError
from softstep.target import TargetUpdate

if TYPE_CHECKING:
    from softstep.conventions.meaning import Meaning
    from softstep.conventions.translation import Translation


def convert(command: Convert) -> int:
    """`softstep convert`."""
    if command.source == "list":
        _list()
        return 0
    given = _settings(command.settings)
    meaning = softstep.conventions.read(command.source, given)
    found = softstep.conventions.cautions(command.source, given, total_steps=command.total_steps, dtype=command.dtype)
    elsewhere = softstep.conventions.translate(meaning)
    if command.json:
        print(json.dumps(_as_json(command.source, meaning, elsewhere, found)))
        return 0
    console = Console(highlight=False)
    library = softstep.conventions.LIBRARIES[command.source]
    console.print(f"{library.title} {library.version}  [dim]({library.source})[/dim]")
    console.print(f"[dim]its period counts {library.clock}[/dim]")
    _print_meaning(console, meaning)
    console.print("\nThe same elsewhere")
    _print_elsewhere(console, command.source, elsewhere)
    for remark in library.remarks:
        console.print(f"[dim]note: {remark}[/dim]", soft_wrap=True)
    for caution in found:
        console.print(f"[bold yellow]warning:[/bold yellow] {caution}", soft_wrap=True)
    return 0


def _settings(words: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(f"{word!r} must be NAME=VALUE, for example tau=0.005")
        found[key] = value
    return found


def _list() -> None:
    console = Console(highlight=False)
    for name, library in softstep.conventions.LIBRARIES.items():
        defaults = ((key, s.default) for key, s in library.settings.items())
        words = " ".join(f"{key}={'?' if value is None else format(value, 'g')}" for key, value in defaults)
        console.print(f"[bold]{name:13}[/bold] {library.title} {library.version}\n{'':13} {words}", soft_wrap=True)


def _print_meaning(console: Console, m: Meaning) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    steps = "gradient steps ({} environment steps)"
    table.add_row("τ", f"{m.tau:.6g}", "weight of the new parameters")
    table.add_row("c", f"{m.c:.6g}", "weight of the old target")
    for name, value in (("period", float(m.period)), ("half-life", m.half_life), ("mean lag", m.mean_lag)):
        if name == "half-life" and m.tau == 1:
            continue
        table.add_row(name, f"{value:,.6g}", steps.format(f"{m.in_env_steps(value):,.6g}"))
    pace = f"{float(m.env_steps_per_gradient_step):g}"
    table.add_row("pace", pace, "environment steps per gradient step")
    kind = {"soft": "soft", "hard": "hard: full copies", "none": "absent: the network is its own target"}
    table.add_row("target", kind[m.update.kind], "")
    console.print(table)


def _print_elsewhere(console: Console, source: str, found: list[Translation]) -> None:
    for name, settings, how, why in found:
        if name == source:
            continue
        if settings is None:
            console.print(f"  {name:13} [dim]– {why}[/dim]", soft_wrap=True)
            continue
        words = " ".join(f"{key}={value:.10g}" for key, value in settings.items())
        told = how + (", one step older" if softstep.conventions.LIBRARIES[name].older else "")
        console.print(f"  {name:13} {words}  [dim]({told})[/dim]", soft_wrap=True)


def _as_json(source: str, m: Meaning, elsewhere: list[Translation], cautions: list[str]) -> dict[str, object]:
    return {
        "kind": "convention", "library": source, "tau": m.tau, "c": m.c, "period": float(m.period),
        "half_life": m.half_life, "mean_lag": m.mean_lag,
        "env_steps_per_gradient_step": float(m.env_steps_per_gradient_step),
        "elsewhere": [t._asdict() for t in elsewhere], "warnings": cautions,
    }  # fmt: skip


def rescale(command: ConvertRescale) -> int:
    """`softstep convert rescale`."""
    asked = {"batch": command.batch, "update-ratio": command.update_ratio, "num-envs": command.num_envs}
    given = {change: words for change, words in asked.items() if words is not None}
    if len(given) != 1:
        raise ConfigError("give one of --batch, --update-ratio and --num-envs, each as BEFORE:AFTER")
    ((change, words),) = given.items()
    before, after = _before_after(change, words)
    try:
        update = TargetUpdate(command.tau, command.period)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    found = softstep.conventions.rescale(command.learning_rate, update, change, before, after)  # type: ignore[arg-type]
    if command.json:
        print(json.dumps({"kind": "rescaled"} | found._asdict() | {"update": dataclasses.asdict(found.update)}))
        return 0
    console = Console(highlight=False)
    console.print(f"a gradient step stands for {found.factor:g} × as much data: α → kα, c → c^k, k = {found.factor:g}")
    table = Table("", "before", "after", box=None)
    for name, old, new in (
        ("α", command.learning_rate, found.learning_rate), ("τ", update.tau, found.update.tau),
        ("c", update.c, found.update.c), ("period", update.period, found.update.period),
        ("half-life", update.half_life, found.update.half_life),
    ):  # fmt: skip
        table.add_row(name, f"{old:.6g}", f"{new:.6g}")
    console.print(table)
    console.print(f"exact: {found.exact}", soft_wrap=True)
    console.print(f"first order: {found.first_order}", soft_wrap=True)
    return 0


def _before_after(change: str, words: str) -> tuple[float, float]:
    before, colon, after = words.partition(":")
    try:
        if colon:
            return float(before), float(after)
    except ValueError:
        pass
    raise ConfigError(f"--{change} {words} must be BEFORE:AFTER, for example --{change} 64:512")
