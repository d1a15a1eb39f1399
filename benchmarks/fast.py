"""Wall time until Lunar Lander is solved with `--preset fast`, seed by seed, beside stable-baselines3's."""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.cartpole import peer_settings
from benchmarks.measure import ROOT, SOFTSTEP, Result, Sample, print_part, summary
from benchmarks.table import Row, format_number, spread
from softstep import presets
from softstep.training.recording import GATE_WINDOW

ENV = "LunarLander-v3"
PEER = "stable-baselines3"
SEEDS = 10
PEER_SEEDS = 5
FAST = presets.get("fast")
REQUIRED_RATIO = 10.0
LIMIT = 90.0
"""Seconds within which every seed must be solved."""
JUDGED = 200.0
"""Mean return over 100 fresh episodes that every solved policy must reach."""
PEER_LIMIT = 240.0
"""Seconds after which a seed of the peer is stopped; it then counts as solved, which favours the peer."""

NOTES = [
    f"solved, on both sides: two evaluations in a row of the target network of one moment, {FAST.eval_episodes}",
    f"episodes each, both at least {FAST.solve_at:g}; they begin when the last {GATE_WINDOW} training returns average",
    f"{FAST.eval_gate:g}. A seed of ours that is not solved counts as infinitely slow.",
    "ours: from the command to its end. judge: `softstep eval --episodes 100`, on episodes that training never saw.",
    "peer: stable-baselines3 with the same settings and double Q-learning, in one environment; without its start-up.",
    f"It clips gradients, at 10. A seed is stopped at {PEER_LIMIT:.0f} s and then counts as solved, which favours it.",
]


def run(*, quick: bool) -> Result:
    """Train and judge every seed, and train the peer's seeds in between."""
    seeds, flags = (1, ["--total-steps", "4000"]) if quick else (SEEDS, [])
    ours, peer = list[Sample](), list[Sample]()
    for seed in range(seeds):
        print_part(f"  seed {seed} …")
        ours.append(train_and_judge(seed, flags, judge_episodes=5 if quick else 100))
        print_part(f" {_summary(ours[-1])}\n")
        if seed < PEER_SEEDS:
            print_part(f"  stable-baselines3, seed {seed} …")
            peer.append(measure.sb3(peer_request(seed, 4.0 if quick else PEER_LIMIT)))
            print_part(f" {summary(peer[-1])}{'' if peer[-1]['solved'] else ', NOT solved'}\n")
    return Result("fast", f"{ENV} --preset fast", rows(ours, peer), {"softstep": ours, PEER: peer}, NOTES)


def train_and_judge(seed: int, flags: list[str], judge_episodes: int) -> Sample:
    """Train one seed and return the command's wall time, whether it solved the task, and the judge's mean return."""
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
        start = time.perf_counter()
        completed = measure.run(command)
        seconds = time.perf_counter() - start
        block = end_event(completed.stdout)["blocks"][0]
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


def end_event(output: str) -> dict[str, Any]:
    """Return the last event that `softstep train --json` prints, the one of kind "end"."""
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return next(event for event in reversed(events) if event.get("kind") == "end")


def peer_request(seed: int, limit: float) -> dict[str, Any]:
    """Return the preset's settings and its stop rule for stable-baselines3."""
    return peer_settings(FAST) | {
        "do": "solve",
        "env": ENV,
        "seed": seed,
        "limit_seconds": limit,
        "learning_rate_decay": FAST.learning_rate_decay,
        "learning_rate_decay_steps": FAST.learning_rate_decay_steps,
        "reward_scale": FAST.reward_scale,
        "max_grad_norm": FAST.max_grad_norm,
        "double_q": FAST.double_q,
        "eval_every": FAST.eval_every,
        "eval_episodes": FAST.eval_episodes,
        "eval_gate": FAST.eval_gate,
        "eval_network": FAST.eval_network,
        "gate_window": GATE_WINDOW,
        "solve_at": FAST.solve_at,
    }


def rows(ours: list[Sample], peer: list[Sample]) -> list[Row]:
    """Return rows for the median time beside the peer's, the seeds within the limit, and the worst judged return."""
    times = spread([sample["seconds"] if sample["solved"] else math.inf for sample in ours])
    peer_times = spread([sample["seconds"] for sample in peer])
    ratio = peer_times.median / times.median
    in_time = float(sum(sample["solved"] and sample["seconds"] <= LIMIT for sample in ours))
    good = float(sum(sample["judge"] >= JUDGED for sample in ours))
    every = float(len(ours))
    return [
        Row("median time to solved", "s", times, peer_times, spread([ratio]), REQUIRED_RATIO),
        Row(f"seeds solved within {LIMIT:.0f} s, of {len(ours)}", "count", spread([in_time]), required=every),
        Row(f"seeds judged at {JUDGED:.0f} or more, of {len(ours)}", "count", spread([good]), required=every),
        Row("judged returns", "return", spread([sample["judge"] for sample in ours])),
        Row(f"seeds of {PEER} solved, of {len(peer)}", "count", spread([float(sum(s["solved"] for s in peer))])),
    ]


def _summary(sample: Sample) -> str:
    solved = "solved" if sample["solved"] else "NOT solved"
    steps, judge = format_number(float(sample["env_steps"])), format_number(sample["judge"])
    return f"{format_number(sample['seconds'])} s, {solved} after {steps} steps, judged {judge}"
