"""Flags that several commands share, and how they become a configuration."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from softstep import presets
from softstep.cli.command import File, Folder, Switch, read_user_file
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.runs.device import Device
from softstep.settings import Arm, Change, EnvArguments
from softstep.target import TargetUpdate

BESIDE_RESUME = frozenset({"--resume", "--help", "--workers", "--json", "--env-module", "--network"})
"""Flags that hold for a resumed run or study too: they change none of its numbers, or repeat what it asks to import."""

PresetName = Literal[
    "lab", "fast", "demo", "full", "sac-pendulum", "sac-lander", "sac-walker", "td3-pendulum", "td3-lander",
    "td3-walker", "ddpg-pendulum", "ddpg-lander", "ddpg-walker",
]  # fmt: skip


@dataclass(frozen=True)
class TrustFlags:
    """Names of the user's own code that a stored configuration asks to import.

    A run folder or a spec may come from somebody else. Its code is imported only if the user repeats its name.
    """

    env_module: tuple[str, ...] = ()
    """Modules that the stored configuration names: repeat them here if you trust them, so that they are imported."""
    network: str | None = None
    """Network (module:function) that the stored configuration names: repeat it here if you trust it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that may be imported."""
        return trusted_names(self.env_module, self.network)


Trust = Annotated[TrustFlags, tyro.conf.arg(name="")]
"""Trust flags as a field of a command, without a prefix."""


def trusted_names(modules: tuple[str, ...], network: str | None) -> tuple[str, ...]:
    """Return the names that a stored configuration may import."""
    return (*modules, *([network] if network else []))


@dataclass(frozen=True)
class Settings(Config):
    """Every field of the configuration as a flag."""

    env: tyro.conf.Suppress[str] = "LunarLander-v3"
    env_modules: Annotated[tuple[str, ...], tyro.conf.arg(name="env-module")] = ()
    """Python modules to import because they register environments of your own."""
    env_args: tyro.conf.Suppress[EnvArguments] = field(default_factory=dict)
    arms: tyro.conf.Suppress[tuple[Arm, ...]] = ()
    changes: tyro.conf.Suppress[tuple[Change, ...]] = ()

    @classmethod
    def of(cls, config: Config) -> Settings:
        """Return `config` as flags' defaults."""
        return cls(**{field.name: getattr(config, field.name) for field in dataclasses.fields(Config)})


@dataclass(frozen=True)
class RunArguments:
    """Arguments that `train` and `compare` share; their defaults come from a preset and a file of settings."""

    DEFAULT_PRESET: ClassVar[str | None]
    """Preset without --preset; None takes the defaults of `Config`."""

    settings: Annotated[Settings, tyro.conf.arg(name="")]
    env: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="[ENV]")] = None
    """Environment: a Gymnasium id (LunarLander-v3), gymnax:ID or envpool:ID. Not needed with --preset, --config
    or --resume, which name one."""
    env_arg: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """Argument that Gymnasium passes to the environment, such as gravity=-5.0; repeat the flag for several."""
    preset: PresetName | None = None
    """Named settings to start from (`softstep presets` describes them); --config and other flags override them."""
    config: Annotated[Path | None, File] = None
    """JSON file of settings (`softstep presets --show NAME` prints one); it overrides the preset, flags override it."""
    out: Annotated[Path | None, Folder] = None
    """Folder to create for the run. None creates a new one under runs/."""
    force: Switch = False
    """Replace the run that is already in --out."""
    workers: int | None = None
    """Worker processes that train side by side. None starts one per CPU core."""
    device: Device = "cpu"
    """Where the agents are trained: on the CPU's cores, or, for environments gymnax:ID, on a GPU (untested on a card).
    A resumed run stays where it was."""
    json: Switch = False
    """Print one JSON object per line instead of a progress bar."""
    log: Annotated[str | None, tyro.conf.arg(metavar="NAMES")] = None
    """Where the records go while it trains, separated by commas: tensorboard (files in the run folder), wandb, mlflow;
    or none. None: tensorboard, or where a resumed run was logged before."""
    resume: Annotated[Path | None, Folder] = None
    """Interrupted run to continue exactly where it stopped. It keeps its own settings: leave out ENV. `train`
    takes a larger --total-steps."""
    given: tyro.conf.Suppress[tuple[str, ...]] = ()
    """Names of the flags on the command line."""

    HONOURED: ClassVar[frozenset[str]] = BESIDE_RESUME | {"--log"}
    """Flags that may stand beside --resume."""

    @classmethod
    def parse(cls, program: str, arguments: list[str]) -> RunArguments:
        """Return the command that `arguments` describe; raise SystemExit for --help or an invalid flag."""
        given = flags(arguments)
        refuse_beside_resume(given, cls.HONOURED)
        config = _with_schedule(_defaults(arguments, cls.DEFAULT_PRESET), arguments)
        defaults = cls(settings=Settings.of(config), given=given)
        return tyro.cli(cls, prog=program, args=arguments, default=defaults)

    @property
    def trusted(self) -> tuple[str, ...]:
        """Names of the user's own code that a resumed run may import."""
        return trusted_names(self.settings.env_modules, self.settings.network)

    @property
    def logged(self) -> tuple[str, ...] | None:
        """Names of the sinks of --log; None without the flag."""
        if self.log is None:
            return None
        return () if self.log == "none" else tuple(dict.fromkeys(self.log.split(",")))

    def configuration(self) -> Config:
        """Return the configuration that the flags describe."""
        if self.env is None and self.config is None and self.preset is None:
            name, modules = type(self).__name__.lower(), self.settings.env_modules
            if len(modules) > 1:
                flags = f"--env-module {' '.join(modules[:-1])}"
                raise ConfigError(
                    f"ENV is missing: --env-module takes all words that follow, {modules[-1]} too, so write ENV first:"
                    f" softstep {name} {modules[-1]} {flags}"
                )
            raise ConfigError(f"ENV is missing: name an environment, for example softstep {name} LunarLander-v3")
        values = {field.name: getattr(self.settings, field.name) for field in dataclasses.fields(Config)}
        values["env"] = self.env or self.settings.env
        arguments = self._without_preset_arguments(values["env"])
        values["env_args"] = {**arguments, **dict(map(environment_argument, self.env_arg))}
        return Config(**values)

    def _without_preset_arguments(self, env: str) -> EnvArguments:
        """Return `env_args`, without those of the preset if it is meant for another environment than `env`."""
        meant = presets.get(self.preset) if self.preset else Config()
        if env == meant.env:
            return self.settings.env_args
        return {k: v for k, v in self.settings.env_args.items() if (k, v) not in meant.env_args.items()}

    def refuse_env(self) -> None:
        """Raise ConfigError if ENV is given beside --resume."""
        if self.env is not None:
            raise ConfigError(f"--resume {self.resume} continues the run's own environment: leave out {self.env!r}")


def flags(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the flags among the words of a command line, spelled as in --help."""
    return tuple(word.partition("=")[0].replace("_", "-") for word in arguments if word.startswith("--"))


def refuse_beside_resume(given: Sequence[str], honoured: Collection[str]) -> None:
    """Raise ConfigError if --resume is among the flags that were given, and another one that is not `honoured` then."""
    ignored = [flag for flag in dict.fromkeys(given) if flag not in honoured]
    if ignored and "--resume" in given:
        raise ConfigError(f"--resume keeps the settings that were chosen at the start: leave out {', '.join(ignored)}")


WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}
"""Values that are no text, in small or capital letters: `False`, as Python writes it, must not become a true word."""


def environment_argument(text: str) -> tuple[str, bool | int | float | str | None]:
    """Return name and value of an argument KEY=VALUE; the value is a scalar of JSON or TOML, and else text."""
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals):
        raise ConfigError(f"--env-arg {text!r} is not of the form KEY=VALUE, for example gravity=-5.0")
    if value.lower() in WORDS:
        return name, WORDS[value.lower()]
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return name, kind(value)
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return name, value[1:-1] if quoted else value


def _defaults(arguments: list[str], preset: str | None) -> Config:
    """Return the configuration that the other flags override: the preset, then the file of --config.

    Args:
        arguments: the words of the command line.
        preset: the preset of a command without --preset. Its learner is for deep Q-learning; other algorithms start
            from the settings of `Config`, with the preset's length, seeds and evaluations.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--preset", default=None)
    early.add_argument("--config", type=Path, default=None)
    early.add_argument("--algorithm", default=None)
    try:
        known, _ = early.parse_known_args([word for word in arguments if word not in ("-h", "--help")])
    except argparse.ArgumentError:
        return Config()  # the full parser reports what is wrong

    def with_file(base: Config) -> Config:
        if known.config is None:
            return base
        return Config.from_json(read_user_file(known.config, "--config"), base, source=str(known.config))

    name = known.preset or preset
    config = with_file(presets.get(name) if name else Config())
    if preset is None or known.preset is not None or (known.algorithm or config.algorithm) == "dqn":
        return config
    return with_file(presets.measured_as(preset))


def _with_schedule(config: Config, arguments: list[str]) -> Config:
    """Return the defaults without the τ or τ₀ that the flags replace by another schedule of the target.

    Raises ConfigError if the flags give a harmonic target a τ, or a τ₀ out of range.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--target.schedule", dest="schedule", default=config.target.schedule)
    early.add_argument("--target.tau0", dest="tau0", default=config.target.tau0, type=float)
    try:
        known, _ = early.parse_known_args([word for word in arguments if word not in ("-h", "--help")])
    except argparse.ArgumentError:
        return config  # the full parser reports what is wrong
    base = config.target
    if "harmonic" not in (known.schedule, base.schedule):
        return config
    if known.schedule != "harmonic":
        return dataclasses.replace(config, target=TargetUpdate(period=base.period))
    if "--target.tau" in flags(arguments):
        raise ConfigError("--target.tau is not a setting of a harmonic target: leave it out, or give --target.tau0")
    try:
        target = TargetUpdate(
            period=base.period, schedule="harmonic", tau0=known.tau0, factor=base.factor, gamma=base.gamma
        )
    except ValueError as error:
        raise ConfigError(f"target: {error}") from None
    return dataclasses.replace(config, target=target)
