"""The measured numbers in README.md and docs/: `python -m benchmarks.pages` writes them from benchmarks/results.

A page has them between two markers. A line whose numbers were not measured says so.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, ROOT
from benchmarks.table import format_number
from softstep import presets

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"

NOT_MEASURED = "not measured yet"

FAST = presets.get("fast")

LANDER = "4 gradient steps per 16"
"""How the `lab` preset takes its gradient steps, in the labels of `lander`."""


def _beside_peers(work: str, row: str) -> tuple[str, str, str, str]:
    """Return README's line for SAC beside its three peers."""
    rows = [f"actor_critic[{row}: {peer}]" for peer in ("rejax", "sbx", "stable-baselines3")]
    times, ratios = (", ".join(f"{{{row}.{value}}}" for row in rows) for value in ("peer", "ratio"))
    return work, f"{{{rows[0]}.ours}} µs per agent-step", f"rejax, sbx, stable-baselines3: {times}", ratios


README_LINES = [
    (
        "CartPole, an update per step, 8 agents, as shipped (`cartpole`)",
        "{cartpole[as shipped: rejax].ours} µs per agent-step",
        "rejax 0.1.3: {cartpole[as shipped: rejax].peer}",
        "{cartpole[as shipped: rejax].ratio}",
    ),
    (
        "",
        "",
        "stable-baselines3 2.9.2: {cartpole[as shipped: stable-baselines3].peer}",
        "{cartpole[as shipped: stable-baselines3].ratio}",
    ),
    (
        "the same, one core and one thread on both sides",
        "{cartpole[core for core: rejax].ours} µs per agent-step",
        "rejax: {cartpole[core for core: rejax].peer}",
        "{cartpole[core for core: rejax].ratio}",
    ),
    (
        "",
        "",
        "stable-baselines3: {cartpole[core for core: stable-baselines3].peer}",
        "{cartpole[core for core: stable-baselines3].ratio}",
    ),
    (
        "8 agents beside rejax with a replay of 1 000 transitions, as shipped; one core",
        "{cartpole[as shipped: rejax, replay 1 000].ours}; {cartpole[core for core: rejax, replay 1 000].ours}"
        " µs per agent-step",
        "rejax: {cartpole[as shipped: rejax, replay 1 000].peer}; {cartpole[core for core: rejax, replay 1 000].peer}",
        "{cartpole[as shipped: rejax, replay 1 000].ratio}; {cartpole[core for core: rejax, replay 1 000].ratio}",
    ),
    (
        "CartPole beside PureJaxRL's recipe (`recipe`): 1, 8 and 64 agents, as shipped",
        "{recipe[as shipped: 1 agent].ours}, {recipe[as shipped: 8 agents].ours}, {recipe[as shipped: 64 agents].ours}"
        " µs per agent-step",
        "flax, optax and flashbax in one scan: {recipe[as shipped: 1 agent].peer}, "
        "{recipe[as shipped: 8 agents].peer}, {recipe[as shipped: 64 agents].peer}",
        "{recipe[as shipped: 1 agent].ratio}, {recipe[as shipped: 8 agents].ratio}, "
        "{recipe[as shipped: 64 agents].ratio}",
    ),
    (
        "the same, one core and one thread on both sides",
        "{recipe[core for core: 1 agent].ours}, {recipe[core for core: 8 agents].ours}, "
        "{recipe[core for core: 64 agents].ours} µs per agent-step",
        "{recipe[core for core: 1 agent].peer}, {recipe[core for core: 8 agents].peer}, "
        "{recipe[core for core: 64 agents].peer}",
        "{recipe[core for core: 1 agent].ratio}, {recipe[core for core: 8 agents].ratio}, "
        "{recipe[core for core: 64 agents].ratio}",
    ),
    (
        "CartPole on a GPU beside the recipe on the same card (`gpu`): 1 024 and 16 384 agents",
        "{gpu[1024 agents].ours}, {gpu[16384 agents].ours} agent-steps/s",
        "{gpu[1024 agents].peer}, {gpu[16384 agents].peer}",
        "{gpu[1024 agents].ratio}, {gpu[16384 agents].ratio}",
    ),
    _beside_peers("SAC on Pendulum (`actor_critic`), 64-64, 8 agents, as shipped", "as shipped: SAC 64-64"),
    _beside_peers("the same, one core and one thread on both sides", "core for core: SAC 64-64"),
    _beside_peers("256-256, minibatches of 256, where arithmetic rules, one core", "core for core: SAC 256-256"),
    (
        "LunarLander-v3 (Box2D), the `lab` preset, 8 agents, as shipped (`lander`)",
        f"{{lander[as shipped: 8 agents, {LANDER} / stable-baselines3].ours}} steps/s",
        f"stable-baselines3: {{lander[as shipped: 8 agents, {LANDER} / stable-baselines3].peer}}",
        f"{{lander[as shipped: 8 agents, {LANDER} / stable-baselines3].ratio}}",
    ),
    (
        "one agent of it",
        f"{{lander[as shipped: 1 agent, {LANDER} / stable-baselines3].ours}} steps/s",
        f"stable-baselines3: {{lander[as shipped: 1 agent, {LANDER} / stable-baselines3].peer}}",
        f"{{lander[as shipped: 1 agent, {LANDER} / stable-baselines3].ratio}}",
    ),
    (
        "one agent with an update every 4 steps",
        "{lander[as shipped: 1 agent / stable-baselines3].ours} steps/s",
        "stable-baselines3: {lander[as shipped: 1 agent / stable-baselines3].peer}",
        "{lander[as shipped: 1 agent / stable-baselines3].ratio}",
    ),
    (
        "a step of the 8 agents, relative to stepping Box2D alone with random actions on all cores",
        f"{{lander[as shipped: a step of 8 agents, {LANDER} / the fastest bare step].ours}} times",
        "",
        "",
    ),
    (
        "populations on CartPole (`study`): 8, 64, 256 agents",
        "{study[CartPole, 8 agents].ours}, {study[CartPole, 64 agents].ours}, {study[CartPole, 256 agents].ours}"
        " µs per agent-step",
        "rejax, 8 and 64: {study[as shipped: 8 agents / rejax].peer}, {study[as shipped: 64 agents / rejax].peer}",
        "{study[as shipped: 8 agents / rejax].ratio}, {study[as shipped: 64 agents / rejax].ratio}",
    ),
    (
        "8 and 64 agents, one core and one thread on both sides",
        "{study[core for core: 8 agents / rejax].ours}, {study[core for core: 64 agents / rejax].ours}"
        " µs per agent-step",
        "rejax: {study[core for core: 8 agents / rejax].peer}, {study[core for core: 64 agents / rejax].peer}",
        "{study[core for core: 8 agents / rejax].ratio}, {study[core for core: 64 agents / rejax].ratio}",
    ),
    (
        "64 agents on LunarLander-v3, the `lab` preset",
        "{study[Lander, 64 agents].ours} steps/s",
        "stable-baselines3, per core",
        "{study[Lander per core / stable-baselines3].ours} per core",
    ),
    (
        "an agent-step at widths 64 and 256 on one core, relative to its update's arithmetic at the speed of the"
        " fastest product",
        "{study[an agent-step at width 64 / the fastest floor].ours},"
        " {study[an agent-step at width 256 / the fastest floor].ours} times",
        "GFLOP/s per core: registers alone {study[registers].ours}, NumPy {study[NumPy].ours} (held to AVX2"
        " {study[NumPy, OpenBLAS held to AVX2].ours}), torch {study[torch].ours}, XLA {study[XLA].ours}",
        "",
    ),
    (
        "extra time of a step with a replay of 100 000 and of 1 000 000 transitions, beside one of 10 000 (`capacity`)",
        "CartPole {capacity[gymnax CartPole, compiled, 100 000: more than at 10 000].ours} % and"
        " {capacity[gymnax CartPole, compiled, 1 000 000: more than at 10 000].ours} %; Lunar Lander"
        " {capacity[LunarLander-v3, host, 100 000: more than at 10 000].ours} % and"
        " {capacity[LunarLander-v3, host, 1 000 000: more than at 10 000].ours} %",
        "",
        "",
    ),
    (
        "a soft update of an 8-64-64-4 PyTorch network (`adapters`)",
        "{adapters[8-64-64-4: ours].ours} µs",
        "stable-baselines3: {adapters[8-64-64-4: stable-baselines3].ours}",
        "{adapters[8-64-64-4: stable-baselines3 / ours].ours}",
    ),
    (
        "`train LunarLander-v3 --preset fast` (`fast`), from the command to two evaluations in a row of"
        f" {FAST.eval_episodes} episodes at {FAST.solve_at:g} or more",
        "{fast[seeds solved within 90 s, of 10].ours} of 10 seeds, median {fast[median time to solved].ours} s,"
        " {fast[median time to solved].low} to {fast[median time to solved].high} s",
        "stable-baselines3, same settings, double Q-learning and stop rule, 5 seeds:"
        " {fast[median time to solved].peer} s",
        "{fast[median time to solved].ratio}",
    ),
    (
        "its 10 policies, each judged on 100 fresh episodes",
        "mean return {fast[judged returns].low} to {fast[judged returns].high}",
        "",
        "",
    ),
    (
        "share of the run time that checkpoints take (`checkpoint`): CartPole; Lunar Lander, 1 and 4 agents",
        "{checkpoint[gymnax CartPole, 4 agents].ours} %; {checkpoint[LunarLander-v3, 1 agent].ours} and"
        " {checkpoint[LunarLander-v3, 4 agents].ours} %",
        "",
        "",
    ),
    (
        "`softstep explore` (`explorer`): start of the server; the page's first figure after that; the answer of the"
        " slider for noise while an agent trains (95th percentile)",
        "{explorer[server answers].ours} s; {explorer[page ready, after the server].ours} s;"
        " {explorer[slider noise, with an agent, p95].ms} ms",
        "",
        "",
    ),
    (
        "a slider of a room in JupyterLab (`notebook`), to the answer in the page (95th percentile): one network; two"
        " networks; noise",
        "{notebook[slider one-network in a notebook, p95].ms}; {notebook[slider two-networks in a notebook, p95].ms};"
        " {notebook[slider noise in a notebook, p95].ms} ms",
        "",
        "",
    ),
    (
        "start-up (`startup`): `import softstep`; `softstep --help`; the first gradient step on Lunar Lander",
        "{startup[import softstep].ms} ms; {startup[softstep --help].ours} s;"
        " {startup[first gradient step, LunarLander-v3].ours} s",
        "",
        "",
    ),
    (
        "`make demo` after set-up (`demo`): 18 agents, 4.5 million steps of Box2D, verdict and report",
        "{demo[the demo].ours} s",
        "",
        "",
    ),
]
"""README's table: work, ours, peer, ratio. {BENCHMARK[ROW].VALUE} stands for a number of a saved result."""

ADAPTER_NETWORKS = ("8-64-64-4", "2 × 2048", "25 million")
ADAPTER_SIDES = ("ours", "stable-baselines3", "torchrl", "AveragedModel", "loop")


class NotMeasured(LookupError):
    """A number that no saved result has."""


class Measured:
    """The numbers of one row of a saved result, as text."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._row = row

    def _number(self, part: str, name: str = "median", factor: float = 1.0) -> str:
        spread = self._row[part]
        if spread is None:
            raise NotMeasured
        value = spread[name]
        return format_number(math.inf if value is None else factor * value)

    @property
    def ours(self) -> str:
        """The median of our side."""
        return self._number("ours")

    @property
    def ms(self) -> str:
        """The median of our side's seconds, in milliseconds."""
        return self._number("ours", factor=1e3)

    @property
    def low(self) -> str:
        """Our side's lowest sample."""
        return self._number("ours", "low")

    @property
    def high(self) -> str:
        """Our side's highest sample."""
        return self._number("ours", "high")

    @property
    def peer(self) -> str:
        """The median of the peer."""
        return self._number("peer")

    @property
    def ratio(self) -> str:
        """The median ratio."""
        return self._number("ratio")


class Saved:
    """A saved result: its rows by label, and where and when they were measured."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self._rows = {row["label"]: row for row in content["rows"]}

    def __getitem__(self, label: str) -> Measured:
        if label in self._rows:
            return Measured(self._rows[label])
        if "commit" in self._content:
            raise ValueError(f"{self._content['benchmark']} has no row {label!r}: {', '.join(self._rows)}")
        raise NotMeasured(label)  # an old file, from before the row existed

    def missed(self) -> list[str]:
        """Return the rows that missed their requirement, with both numbers."""
        return [
            f"{row['label']} ({format_number((row['ratio'] or row['ours'])['median'])}, {row['sense']}"
            f" {format_number(row['required'])} required)"
            for row in self._content["rows"]
            if row["met"] is False
        ]

    def circumstances(self) -> str:
        """Return day, machine, commit, and whether the machine was quiet."""
        content, machine = self._content, self._content["machine"]
        commit, quiet, gpu = content.get("commit"), content.get("quiet"), machine.get("gpu")
        recorded = "recorded before the start only" if "load" in machine else "not recorded"
        return ", ".join(
            (
                content["time"][:10],
                f"{machine['cpu']}, {machine['cores']} cores" + (f", {gpu}" if gpu else ""),
                f"commit {commit[:12]}{' with changes' * commit.endswith('+')}" if commit else "commit not recorded",
                {None: f"load of the machine {recorded}", True: "a quiet machine"}.get(quiet, "NOT a quiet machine"),
            )
        )


class _Unmeasured:
    """Stands in for a result that is not saved."""

    def __getitem__(self, label: str) -> Measured:
        raise NotMeasured(label)


class Results(dict[str, Any]):
    """Saved results by the benchmark's name."""

    def __missing__(self, name: str) -> _Unmeasured:
        return _Unmeasured()


def load(folder: Path = RESULTS) -> Results:
    """Load every saved result but those of quick runs."""
    files = [file for file in sorted(folder.glob("*.json")) if not file.name.endswith(".quick.json")]
    return Results({file.stem: Saved(json.loads(file.read_text(encoding="utf-8"))) for file in files})


def fill(templates: Sequence[str], results: Results) -> list[str]:
    """Return the templates with their numbers; raise NotMeasured if one is missing."""
    return [template.format_map(results) for template in templates]


def readme(results: Results) -> str:
    """Return README's table, where and when its numbers were measured, and which requirements were missed."""
    lines, used = ["| work | ours | peer | ratio |", "|---|---|---|---|"], set[str]()
    for work, *templates in README_LINES:
        try:
            cells = fill(templates, results)
            used.update(re.findall(r"\{(\w+)\[", "".join(templates)))
        except NotMeasured:
            cells = [NOT_MEASURED, "", ""]
        lines.append("| " + " | ".join([work, *cells]) + " |")
    missed = [f"* Missed by `{name}`: {row}." for name in sorted(used) for row in results[name].missed()]
    return "\n".join([*lines, "", *_circumstances(results, used), *missed])


def conformance(results: Results) -> str:
    """Return the table of soft updates in PyTorch."""
    lines = [
        "| network | softstep | stable-baselines3 | torchrl | AveragedModel | `lerp_` in a loop |",
        "|---|---|---|---|---|---|",
    ]
    for network in ADAPTER_NETWORKS:
        cells = fill([f"{{adapters[{network}: {side}].ours}}" for side in ADAPTER_SIDES], results)
        lines.append("| " + " | ".join([network, *cells]) + " |")
    ratios = fill([f"{{adapters[{network}: stable-baselines3 / ours].ours}}" for network in ADAPTER_NETWORKS], results)
    (memory,) = fill(["{adapters[25 million: ours / memory].ours}"], results)
    text = (
        f"softstep is {ratios[0]}, {ratios[1]} and {ratios[2]} times as fast as stable-baselines3. On the largest"
        f" network it takes {memory} times as long\nas NumPy's `add` over as many numbers."
    )
    return "\n".join([*lines, "", text, "", f"Measured: {results['adapters'].circumstances()}."])


def _circumstances(results: Results, names: Iterable[str]) -> list[str]:
    """Return a line for each set of these results that were measured alike."""
    alike: dict[str, list[str]] = {}
    for name in sorted(names):
        alike.setdefault(results[name].circumstances(), []).append(f"`{name}`")
    return [f"* {text}: {', '.join(quoted)}." for text, quoted in alike.items()]


PAGES = {"README.md": readme, "docs/conformance.md": conformance}
"""Pages with measured numbers, and what stands between their markers."""


def split(text: str) -> tuple[str, str, str]:
    """Return a page's text before, between and after its markers."""
    before, begin, rest = text.partition(BEGIN)
    between, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} or no {END} in the page")
    return before, between.strip("\n"), after


def main() -> None:
    """Write the numbers of the saved results into the pages."""
    results = load()
    for page, render in PAGES.items():
        path = ROOT / page
        before, _, after = split(path.read_text(encoding="utf-8"))
        path.write_text(f"{before}{BEGIN}\n{render(results)}\n{END}{after}", encoding="utf-8")
        print(f"wrote {page}")


if __name__ == "__main__":
    main()
