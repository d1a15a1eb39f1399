"""The spec of a study with two contenders that trains in seconds."""

from __future__ import annotations

BASE = """
env = "CartPole-v1"
margin = 5.0
[base]
total_steps = 600
learning_starts = 100
record_every = 100
eval_every = 200
eval_episodes = 2
hidden = [8]
block_width = 1
[candidates]
count = 2
"""


def tiny_contest(contenders: dict[str, str], claim: str) -> str:
    """Return the spec as TOML: two contenders that both tune α, each with its own line, and a claim about them."""
    tables = [
        f"[contenders.{name}]\nlearning_rate = {{ low = 1e-3, high = 1e-1 }}\n{line}\n"
        for name, line in contenders.items()
    ]
    first, second = contenders
    seeds = "[seeds]\nselection = 1\njudging = 2\n"
    return f'{BASE}{"".join(tables)}{seeds}[[claims]]\nname = "{claim}"\nfirst = "{first}"\nsecond = "{second}"\n'
