"""What every command takes, and how its flags become a configuration."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import tyro

from softstep import presets
from softstep.config import Arm, Change, Config
from softstep.errors import ConfigError, near


@runtime_checkable
class Told(Protocol):
    """How progress is told."""

    @property
    def json(self) -> bool:
        """Whether as JSON."""
        ...

    @property
    def tensorboard(self) -> bool:
        """Whether into TensorBoard's files too."""
        ...


@dataclass(frozen=True)
class Settings(Config):
    """Every field of the configuration as a flag."""

    env: tyro.conf.Suppress[str] = "LunarLander-v3"
    env_modules: Annotated[tuple[str, ...], tyro.conf.arg(name="env-module")] = ()
    """Modules to import that register environments of your own."""
    arms: tyro.conf.Suppress[tuple[Arm, ...]] = ()
    changes: tyro.conf.Suppress[tuple[Change, ...]] = ()


def _settings(config: Config) -> Settings:
    return Settings(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Config)})


@dataclass(frozen=True)
class RunArguments:
    """What `train` and `compare` share."""

    settings: Annotated[Settings, tyro.conf.arg(name="")]
    preset: Literal["lab", "fast", "demo", "full"] | None = None
    """Start from a preset; flags override it (`softstep presets` lists them)."""
    config: Path | None = None
    """Start from a JSON file of settings, laid over the preset; flags override it."""
    out: Path | None = None
    """Run folder to make; by default a new one under runs/."""
    force: tyro.conf.FlagCreatePairsOff[bool] = False
    """Replace the run in --out."""
    workers: int | None = None
    """Worker processes; None takes one per core."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object per line instead of a progress bar."""
    tensorboard: bool = True
    """Write TensorBoard scalars into the run folder."""
    resume: Path | None = None
    """Continue this interrupted run exactly (no ENV; the other settings are its own)."""


@dataclass(frozen=True)
class Train(RunArguments):
    """Train agents on an environment: one, or several seeds as one population."""

    env: tyro.conf.Positional[str | None] = None
    """A Gymnasium id, gymnax:ID or envpool:ID."""


@dataclass(frozen=True)
class Compare(RunArguments):
    """Soft update, or just a smaller step? Named arms on one environment, and a verdict."""

    env: tyro.conf.Positional[str | None] = None
    """A Gymnasium id, gymnax:ID or envpool:ID."""
    arms: str | None = None
    """Arms with commas between them, of soft, smaller-alpha, blended, same-alpha, hard, best-alpha, best-soft; None
    takes the preset's."""
    steps: int | None = None
    """Short for --total-steps."""
    inner_steps: int = 1
    """Gradient steps of `blended` between two blends."""
    selection_seeds: int = 5
    """Seeds on which best-alpha and best-soft are selected, apart from those that judge."""
    margin: float | None = None
    """δ, the difference in return that matters; None takes the one declared for the environment."""
    floor: float | None = None
    """The return that a diverged agent scores; None takes the one declared for the environment."""


@dataclass(frozen=True)
class Eval:
    """Greedy returns of a run's agents on held-out episodes."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    episodes: int = 100
    """Episodes per agent."""
    seed: int = 0
    """Which held-out episodes; other seeds share none."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON."""
    env_module: tuple[str, ...] = ()
    """Repeat the modules that the run's configuration names, if you trust them."""
    network: str | None = None
    """Repeat the network that the run's configuration names, if you trust it."""


@dataclass(frozen=True)
class Watch:
    """A GIF of one greedy episode, with the action values beside it."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    agent: int = 0
    """Which agent, counted from 0 in the order of the table."""
    seed: int = 0
    """Seed of the episode."""
    out: Path | None = None
    """File to write; by default watch-AGENT-SEED.gif in the run folder."""
    env_module: tuple[str, ...] = ()
    """Repeat the modules that the run's configuration names, if you trust them."""
    network: str | None = None
    """Repeat the network that the run's configuration names, if you trust it."""


@dataclass(frozen=True)
class Envs:
    """Environments that can be trained on here."""


@dataclass(frozen=True)
class Presets:
    """Named configurations."""

    show: Literal["lab", "fast", "demo", "full"] | None = None
    """Print this one as JSON, for --config."""


@dataclass(frozen=True)
class Runs:
    """Runs in a folder, and where each stands."""

    folder: tyro.conf.Positional[Path] = field(default_factory=lambda: Path("runs"))
    """Folder of run folders."""


@dataclass(frozen=True)
class Theory:
    """What a pair (α, c) means: lag, noise, when it equals a smaller α and when not, and where it is stable."""

    alpha: float
    """α, the size of a gradient step."""
    c: float | None = None
    """Weight of the old target, in [0, 1); give --c or --tau."""
    tau: float | None = None
    """τ = 1 − c, the weight of the new parameters, in (0, 1]."""
    problem: str | None = None
    """A named problem: both, only_target, target_destroys, neither, two_theta, resonance or baird."""
    mdp: Path | None = None
    """A JSON file with phi, P, d, gamma and perhaps rewards, in place of a named problem."""
    out: Path = Path("theory.html")
    """Where the page is written."""


@dataclass(frozen=True)
class Explore:
    """A page in the browser: sliders for α and c, and an agent that learns while you watch."""

    runs: Path = field(default_factory=lambda: Path("runs"))
    """Folder where live runs are saved, and whose reports are shown."""
    host: str = "127.0.0.1"
    """Address to serve at; anything but this machine's own lets others in who have the link."""
    port: int = 0
    """Port to serve at; 0 takes a free one."""
    live_agents: int = 2
    """How many live agents may train at once."""
    export: Path | None = None
    """Write the rooms as static pages into this folder instead (all but the live agents)."""
    no_browser: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the link only."""


@dataclass(frozen=True)
class StudyRun:
    """A grid of settings × seeds: every cell trained, what is there already kept."""

    spec: tyro.conf.Positional[Path]
    """TOML file with the study's base, axes, seeds and claims (`softstep study new` prints one)."""
    out: Path | None = None
    """Folder of the study; by default runs/ with the name of the spec."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on with the study in --out; the spec may have got more seeds and more values since."""
    workers: str = "auto"
    """Worker processes: a number, auto for one per core, or ray for a Ray cluster (RAY_ADDRESS, or this machine)."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Say what it would take: agents, steps, time and memory, from a short trial on this machine."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object per line instead of a progress bar."""
    env_module: tuple[str, ...] = ()
    """Repeat the modules that the spec names, if you trust them."""
    network: str | None = None
    """Repeat the network that the spec names, if you trust it."""
    tensorboard: tyro.conf.Suppress[bool] = False


@dataclass(frozen=True)
class StudyNew:
    """A spec to begin from, with comments."""

    out: Path | None = None
    """File to write; by default it is printed."""


@dataclass(frozen=True)
class StudyStatus:
    """How far a study is."""

    study: tyro.conf.Positional[Path]
    """Folder of the study."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON."""


@dataclass(frozen=True)
class StudyReport:
    """A study's maps, verdicts and numbers as one page."""

    study: tyro.conf.Positional[Path]
    """Folder of the study."""
    out: Path | None = None
    """File to write; by default report.html in the study's folder."""


@dataclass(frozen=True)
class StudyExport:
    """A study's table as a file."""

    study: tyro.conf.Positional[Path]
    """Folder of the study."""
    csv: Path | None = None
    """CSV file to write."""
    parquet: Path | None = None
    """Parquet file to write."""


@dataclass(frozen=True)
class Export:
    """A trained agent for another runtime: its greedy policy and its Q-function."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    to: Literal["torch", "onnx", "sb3"]
    """PyTorch (a folder), ONNX (a file), or stable-baselines3 (an archive for DQN.load)."""
    agent: int = 0
    """Which agent, counted from 0 in the order of the table."""
    out: Path | None = None
    """Where to write; by default into the run folder."""
    env_module: tuple[str, ...] = ()
    """Repeat the modules that the run's configuration names, if you trust them."""
    network: str | None = None
    """Repeat the network that the run's configuration names, if you trust it."""


@dataclass(frozen=True)
class Convert:
    """Is c the same as τ? No: c = 1 − τ is the weight of the *old* target, τ that of the new network.

    Says what a library's settings of the target network come to, counted in gradient steps, which settings mean the
    same elsewhere, and what is probably not meant:
    softstep convert --from sb3 tau=0.005 target_update_interval=10000 train_freq=4 gradient_steps=1 n_envs=8
    """

    source: Annotated[str, tyro.conf.arg(name="from")]
    """The library whose settings they are (`softstep convert --from list` shows all, with their settings)."""
    settings: tyro.conf.Positional[tuple[str, ...]] = ()
    """NAME=VALUE, as the library calls them; those left out have its defaults."""
    total_steps: int | None = None
    """Environment steps of the whole run, where they are known: for warnings."""
    dtype: str = "float32"
    """Of the target's parameters: float64, float32, bfloat16 or float16; for warnings."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON."""


@dataclass(frozen=True)
class ConvertRescale:
    """α and c that keep the dynamics after a change of batch, update ratio or number of environments."""

    learning_rate: float
    """α before the change."""
    tau: float
    """τ before the change."""
    period: int = 1
    """Gradient steps between two updates of the target, before the change."""
    batch: str | None = None
    """BEFORE:AFTER, transitions per minibatch."""
    update_ratio: str | None = None
    """BEFORE:AFTER, gradient steps per environment step."""
    num_envs: str | None = None
    """BEFORE:AFTER, environments, with as many gradient steps per step of all of them."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON."""


COMMANDS: dict[str, tuple[type[Any], str]] = {
    "train": (Train, "train agents on an environment"),
    "compare": (Compare, "soft update, or just a smaller step? named arms, and a verdict"),
    "study run": (StudyRun, "a grid of α, c, … × seeds: every cell trained"),
    "study new": (StudyNew, "a study's spec to begin from"),
    "study status": (StudyStatus, "how far a study is"),
    "study report": (StudyReport, "a study's maps, verdicts and numbers as one page"),
    "study export": (StudyExport, "a study's table as CSV or Parquet"),
    "eval": (Eval, "greedy returns of a run's agents on held-out episodes"),
    "watch": (Watch, "a GIF of one greedy episode, with the action values beside it"),
    "export": (Export, "a trained agent for PyTorch, ONNX or stable-baselines3"),
    "theory": (Theory, "what a pair (α, c) means, exactly"),
    "explore": (Explore, "sliders for α and c in the browser, and an agent learning live"),
    "convert": (Convert, "what a library's target settings mean, and their equals elsewhere: is c the same as τ?"),
    "convert rescale": (ConvertRescale, "α and c after a change of batch, update ratio or environments"),
    "envs": (Envs, "environments that can be trained on here"),
    "presets": (Presets, "named configurations"),
    "runs": (Runs, "runs in a folder, and where each stands"),
}


def command_of(arguments: list[str]) -> tuple[str, list[str]]:
    """The command's name, of one word or two (study run), and what follows it."""
    study = arguments[0] == "study" and arguments[1:] and not arguments[1].startswith("-")
    words = 2 if study or " ".join(arguments[:2]) in COMMANDS else 1
    return " ".join(arguments[:words]), arguments[words:]


def parse(name: str, arguments: list[str]) -> Any:
    """The command of that name with its arguments; SystemExit where a flag is wrong."""
    if name not in COMMANDS:
        raise ConfigError(f"unknown command {name!r}{near(name, list(COMMANDS))} (softstep --help)")
    kind = COMMANDS[name][0]
    if not issubclass(kind, RunArguments):
        return tyro.cli(kind, prog=f"softstep {name}", args=arguments)
    base = _base(arguments, default="demo" if name == "compare" else None)
    return tyro.cli(kind, prog=f"softstep {name}", args=arguments, default=kind(settings=_settings(base)))


def _base(arguments: list[str], default: str | None) -> Config:
    """The configuration that flags override: preset, then file."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--preset", default=None)
    early.add_argument("--config", type=Path, default=None)
    try:
        known, _ = early.parse_known_args([a for a in arguments if a not in ("-h", "--help")])
    except argparse.ArgumentError:
        return Config()  # the full parser says what is wrong
    name = known.preset or default
    base = presets.get(name) if name else Config()
    if known.config is None:
        return base
    try:
        text = known.config.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read --config {known.config}: {error}") from None
    return Config.from_json(text, base, source=str(known.config))


def configuration(command: Train | Compare) -> Config:
    """The configuration that the flags describe."""
    if command.env is None and command.config is None:
        name = "compare" if isinstance(command, Compare) else "train"
        raise ConfigError(f"which environment? For example: softstep {name} LunarLander-v3")
    values = {f.name: getattr(command.settings, f.name) for f in dataclasses.fields(Config)}
    if command.env is not None:
        values["env"] = command.env
    return Config(**values)


def trusted_names(modules: tuple[str, ...], network: str | None) -> tuple[str, ...]:
    """The names that a stored configuration may import."""
    return (*modules, *([network] if network else []))
