"""Time to a landing: `softstep train LunarLander-v3 --preset fast`, seed by seed, from the command to its end."""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.cartpole import settings
from benchmarks.measure import ROOT, SOFTSTEP, Result, Sample, brief, say
from benchmarks.table import Row, digits, spread
from softstep import presets

ENV = "LunarLander-v3"
SEEDS = 10
LIMIT = 90.0
"""Seconds within which 9 of 10 seeds must be solved."""
SOLVED = 220.0
"""Mean return of 30 greedy episodes that counts as solved; the preset may ask more of itself."""
PEER_LIMIT = 240.0
"""Seconds after which the peer is stopped."""

NOTES = [
    "solved: two consecutive evaluations of one policy, 30 fresh episodes each, both at least the preset's `solve_at`",
    f"= {presets.get('fast').solve_at:g} ({SOLVED:g} is required); an unsolved seed counts as infinitely slow.",
    "judge: `softstep eval --episodes 100`, on episodes that training never saw.",
    "peer: stable-baselines3 with the same settings, as far as it has them (no double Q, one environment), to one",
    f"evaluation of 30 episodes at {SOLVED:g}; limit {PEER_LIMIT:.0f} s. – means not reached.",
]


def run(*, quick: bool) -> Result:
    """Train and judge every seed; then one seed of the peer."""
    seeds, flags = (1, ["--total-steps", "4000"]) if quick else (SEEDS, [])
    ours = []
    for seed in range(seeds):
        say(f"  seed {seed} …")
        ours.append(train_and_judge(seed, flags, judge_episodes=5 if quick else 100))
        say(f" {_told(ours[-1])}\n")
    say("  stable-baselines3 …")
    peer = measure.sb3(peer_request(4.0 if quick else PEER_LIMIT))
    say(f" {brief(peer)}\n")
    return Result(
        "fast", f"{ENV} --preset fast", rows(ours, peer), {"softstep": ours, "stable-baselines3": [peer]}, NOTES
    )


def train_and_judge(seed: int, flags: list[str], judge_episodes: int) -> Sample:
    """One seed: seconds of the whole command, whether it solved, and the judge's mean return."""
    (ROOT / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "runs") as folder:
        out = Path(folder) / "run"
        command = [
            str(SOFTSTEP),
            "train",
            ENV,
            "--preset",
            "fast",
            "--seed",
            str(seed),
            "--out",
            str(out),
            "--json",
            *flags,
        ]
        begun = time.perf_counter()
        done = measure.run(command)
        seconds = time.perf_counter() - begun
        block = end_of(done.stdout)["blocks"][0]
        judged = measure.run([str(SOFTSTEP), "eval", str(out), "--episodes", str(judge_episodes), "--json"])
    return {
        "seed": seed,
        "seconds": seconds,
        "solved": bool(block["solved"][0]),
        "env_steps": block["env_steps"],
        "train_seconds": block["train_seconds"],
        "eval_seconds": block["eval_seconds"],
        "judge": json.loads(judged.stdout.strip().splitlines()[-1])["agents"][0]["mean"],
    }


def end_of(printed: str) -> dict[str, Any]:
    """The object with which `softstep train --json` ends."""
    ends = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    return next(event for event in reversed(ends) if event.get("kind") == "end")


def peer_request(limit: float) -> dict[str, Any]:
    """The preset's settings for stable-baselines3."""
    config = presets.get("fast")
    return settings(config) | {
        "do": "solve",
        "env": ENV,
        "limit_seconds": limit,
        "learning_rate_decay": config.learning_rate_decay,
        "learning_rate_decay_steps": config.learning_rate_decay_steps,
        "reward_scale": config.reward_scale,
        "max_grad_norm": config.max_grad_norm,
        "eval_every": config.eval_every,
        "eval_episodes": config.eval_episodes,
        "eval_gate": config.eval_gate,
        "solve_at": SOLVED,
    }


def rows(ours: list[Sample], peer: Sample) -> list[Row]:
    """Median time, seeds within the limit, the worst judge."""
    times = [sample["seconds"] if sample["solved"] else math.inf for sample in ours]
    reached = peer["seconds"] if peer["solved"] else math.nan
    in_time = float(sum(seconds <= LIMIT for seconds in times))
    worst = min(sample["judge"] for sample in ours)
    share = 0.9 * len(ours)
    return [
        Row("median time to solved", "s", spread(times), spread([reached]), None, 30.0, "at most"),
        Row(f"seeds solved within {LIMIT:.0f} s, of {len(ours)}", "count", spread([in_time]), None, None, share),
        Row("worst judge", "return", spread([worst]), None, None, 200.0),
    ]


def _told(sample: Sample) -> str:
    solved = "solved" if sample["solved"] else "NOT solved"
    steps, judge = digits(float(sample["env_steps"])), digits(sample["judge"])
    return f"{digits(sample['seconds'])} s, {solved} after {steps} steps, judged {judge}"
