"""`softstep convert` and `softstep convert rescale`: their flags and what they do."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import softstep
from softstep.cli.command import File, PlainCommand, Switch
from softstep.cli.exit_codes import SUCCESS
from softstep.cli.library_settings import library_settings
from softstep.errors import ConfigError
from softstep.files import json_text
from softstep.target import TargetUpdate

if TYPE_CHECKING:
    from softstep.conventions.library import Setting
    from softstep.conventions.meaning import Meaning
    from softstep.conventions.rescale import Rescaled
    from softstep.conventions.spelling import Recognised
    from softstep.conventions.translation import Translation

_OWN_FLAGS = {
    "--from": True, "--file": True, "--entry": True, "--total-steps": True, "--dtype": True, "--json": False,
    "--help": False,
}  # fmt: skip
"""Flags of `convert` and whether they take a value; all others are settings of the library."""
KINDS = {"soft": "soft", "hard": "hard: full copies", "none": "absent: the network is its own target"}
"""How each kind of target is described."""


@dataclass(frozen=True)
class Convert(PlainCommand):
    """Is c the same as τ? No: c = 1 − τ is the weight of the *old* target, τ the weight of the new network.

    Explains what a library's settings of the target network mean, counted in gradient steps; lists the settings that
    mean the same in other libraries; and warns about settings that are probably a mistake. For example:

    - softstep convert --from sb3 tau=0.005 target_update_interval=10000 train_freq=4 gradient_steps=1 n_envs=8
    - softstep convert --from sb3 --file dqn.yml --entry CartPole-v1
    - softstep convert --from cleanrl python cleanrl/dqn.py --tau 0.005 --target-network-frequency 500
    """

    source: Annotated[str, tyro.conf.arg(name="from", metavar="LIBRARY")]
    """Library that the settings belong to. `softstep convert --from list` lists all libraries and their settings."""
    settings: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[NAME=VALUE ...]")] = ()
    """Settings as NAME=VALUE or as flags of the library's own command line. Settings left out have its defaults;
    settings that do not concern the target are passed over."""
    file: Annotated[Path | None, File] = None
    """File of settings: YAML, TOML, JSON or gin. NAME=VALUE overrides it."""
    entry: str | None = None
    """Section of --file, for example CartPole-v1 or agent.dqn."""
    total_steps: int | None = None
    """Length of the whole run (environment steps), for warnings. None: unknown."""
    dtype: str = "float32"
    """Precision of the target's parameters, for warnings: float64, float32, bfloat16 or float16."""
    json: Switch = False
    """Print one JSON object instead of text."""

    @classmethod
    def parse(cls, program: str, arguments: list[str]) -> PlainCommand:
        """Return the command that `arguments` describe; other programs' flags among them are settings."""
        return tyro.cli(cls, prog=program, args=pasted_flags(arguments, _OWN_FLAGS))

    def execute(self) -> int:
        """Print the meaning of the settings, their translations and warnings, and return the exit code."""
        if self.source == "list":
            _print_libraries()
            return SUCCESS
        recognised = library_settings(self.source, self.settings, self.file, self.entry).recognised
        settings = recognised.settings
        meaning = softstep.conventions.read(self.source, settings)
        warnings = softstep.conventions.cautions(self.source, settings, total_steps=self.total_steps, dtype=self.dtype)
        translations = softstep.conventions.translate(meaning)
        if self.json:
            values = _as_json(self.source, meaning, translations, warnings)
            print(json_text(values | {"settings": settings, "passed_over": recognised.others}))
            return SUCCESS
        console = Console(highlight=False)
        library = softstep.conventions.LIBRARIES[self.source]
        console.print(f"{library.title} {library.version}  [dim]({library.source})[/dim]")
        console.print(f"[dim]its period counts {library.clock}[/dim]")
        _print_meaning(console, meaning)
        console.print("\nThe same in other libraries")
        _print_translations(console, [t for t in translations if t.library != self.source])
        for remark in [*library.remarks, *_reading_remarks(recognised)]:
            console.print(f"[dim]note: {escape(remark)}[/dim]", soft_wrap=True)
        for warning in warnings:
            console.print(f"[bold yellow]warning:[/bold yellow] {warning}", soft_wrap=True)
        return SUCCESS


def pasted_flags(arguments: list[str], own: Mapping[str, bool]) -> list[str]:
    """Return the arguments of a command with the flags of another program's command line as NAME=VALUE.

    Args:
        arguments: the arguments, for example --from cleanrl python dqn.py --tau 0.005 --track.
        own: flags of the command itself, and whether they take a value; these and misspellings of them are kept.
    """
    result, remaining = list[str](), list(arguments)
    while remaining:
        argument = remaining.pop(0)
        name, equals, value = argument.partition("=")
        flag = name.replace("_", "-")
        if not argument.startswith("--") or difflib.get_close_matches(flag, own, cutoff=0.85):
            if not re.fullmatch(r"(.*/)?(python[\d.]*|[^=]+\.py)", argument):
                result.append(argument)
            if own.get(flag) and not equals and remaining:
                result.append(remaining.pop(0))
            continue
        if not equals:
            follows = remaining and not remaining[0].startswith("--") and "=" not in remaining[0]
            value = remaining.pop(0) if follows else "true"
        result.append(f"{name.lstrip('-')}={value}")
    return result


def _reading_remarks(recognised: Recognised) -> list[str]:
    remarks = [f"{key} is read as {name}" for key, name in recognised.renamed.items()]
    if recognised.others:
        remarks.append(f"passed over, as they do not concern the target: {', '.join(recognised.others)}")
    return remarks


def _print_libraries() -> None:
    console, width = Console(highlight=False), _width()
    for name, library in softstep.conventions.LIBRARIES.items():
        settings = " ".join(f"{key}={_default(setting)}" for key, setting in library.settings.items())
        title = f"[bold]{name:{width}}[/bold] {library.title} {library.version}"
        console.print(f"{title}\n{'':{width}} {settings}", soft_wrap=True)


def _width() -> int:
    return max(map(len, softstep.conventions.LIBRARIES))


def _default(setting: Setting) -> str:
    return "?" if setting.default is None else _written(setting, setting.default, digits=6)


def _written(setting: Setting, value: float, digits: int = 10) -> str:
    """Return the value as the library writes it: a word, or a number."""
    words = {number: word for word, number in setting.words.items()}
    return words.get(value, format(value, f".{digits}g"))


def _print_meaning(console: Console, meaning: Meaning) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_row("τ", f"{meaning.tau:.6g}", "weight of the new parameters")
    table.add_row("c", f"{meaning.c:.6g}", "weight of the old target")
    durations = {"period": float(meaning.period), "half-life": meaning.half_life, "mean lag": meaning.mean_lag}
    if meaning.tau == 1:
        del durations["half-life"]
    for name, steps in durations.items():
        env_steps = f"{meaning.in_env_steps(steps):,.6g}"
        table.add_row(name, f"{steps:,.6g}", f"gradient steps ({env_steps} environment steps)")
    pace = f"{float(meaning.env_steps_per_gradient_step):g}"
    table.add_row("pace", pace, "environment steps per gradient step")
    table.add_row("target", KINDS[meaning.update.kind], "")
    console.print(table)


def _print_translations(console: Console, translations: list[Translation]) -> None:
    for name, settings, how, why in translations:
        if settings is None:
            console.print(f"  {name:{_width()}} [dim]– {why}[/dim]", soft_wrap=True)
            continue
        library = softstep.conventions.LIBRARIES[name]
        values = " ".join(f"{key}={_written(library.settings[key], value)}" for key, value in settings.items())
        agreement = how + (", one step older" if library.older else "")
        console.print(f"  {name:{_width()}} {values}  [dim]({agreement})[/dim]", soft_wrap=True)


def _as_json(source: str, meaning: Meaning, translations: list[Translation], warnings: list[str]) -> dict[str, object]:
    return {
        "kind": "convention", "library": source, "tau": meaning.tau, "c": meaning.c, "period": float(meaning.period),
        "half_life": meaning.half_life, "mean_lag": meaning.mean_lag,
        "env_steps_per_gradient_step": float(meaning.env_steps_per_gradient_step),
        "elsewhere": [translation._asdict() for translation in translations], "warnings": warnings,
    }  # fmt: skip


@dataclass(frozen=True)
class ConvertRescale(PlainCommand):
    """Compute the α and c that keep the dynamics after a change of batch size, update ratio or number of environments.

    Give exactly one of --batch, --update-ratio and --num-envs.
    """

    learning_rate: float
    """α before the change: the size of one gradient step."""
    tau: float
    """τ before the change, in (0, 1]."""
    period: int = 1
    """Gradient steps between two updates of the target before the change."""
    batch: Annotated[str | None, tyro.conf.arg(metavar="BEFORE:AFTER")] = None
    """Batch size before and after (transitions per minibatch), for example 64:512."""
    update_ratio: Annotated[str | None, tyro.conf.arg(metavar="BEFORE:AFTER")] = None
    """Update ratio before and after (gradient steps per environment step), for example 0.25:1."""
    num_envs: Annotated[str | None, tyro.conf.arg(metavar="BEFORE:AFTER")] = None
    """Number of environments before and after, with the same number of gradient steps per step of all of them."""
    json: Switch = False
    """Print one JSON object instead of text."""

    def execute(self) -> int:
        """Print α, τ and c before and after the change, and return the exit code."""
        flags = {"batch": self.batch, "update-ratio": self.update_ratio, "num-envs": self.num_envs}
        changes = {change: values for change, values in flags.items() if values is not None}
        if len(changes) != 1:
            raise ConfigError("give one of --batch, --update-ratio and --num-envs, each as BEFORE:AFTER")
        ((change, values),) = changes.items()
        before, after = _before_after(change, values)
        try:
            update = TargetUpdate(self.tau, self.period)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        rescaled = softstep.conventions.rescale(self.learning_rate, update, change, before, after)  # type: ignore[arg-type]
        if self.json:
            values_after = rescaled._asdict() | {"update": dataclasses.asdict(rescaled.update)}
            print(json_text({"kind": "rescaled"} | values_after))
        else:
            _print_rescaled(self.learning_rate, update, rescaled)
        return SUCCESS


def _before_after(change: str, values: str) -> tuple[float, float]:
    before, colon, after = values.partition(":")
    try:
        if colon:
            return float(before), float(after)
    except ValueError:
        pass
    raise ConfigError(f"--{change} {values} must be BEFORE:AFTER, for example --{change} 64:512")


def _print_rescaled(learning_rate: float, update: TargetUpdate, rescaled: Rescaled) -> None:
    console, k = Console(highlight=False), f"{rescaled.factor:g}"
    console.print(f"a gradient step stands for {k} × as much data: α → kα, c → c^k, k = {k}")
    table = Table("", "before", "after", box=None)
    for name, before, after in (
        ("α", learning_rate, rescaled.learning_rate), ("τ", update.tau, rescaled.update.tau),
        ("c", update.c, rescaled.update.c), ("period", update.period, rescaled.update.period),
        ("half-life", update.half_life, rescaled.update.half_life),
    ):  # fmt: skip
        table.add_row(name, f"{before:.6g}", f"{after:.6g}")
    console.print(table)
    console.print(f"exact: {rescaled.exact}", soft_wrap=True)
    console.print(f"first order: {rescaled.first_order}", soft_wrap=True)
