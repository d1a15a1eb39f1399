"""Example specs to start from: a grid, and a contest of contenders."""

_BASE = """\
[base]                          # any field of the configuration (`softstep train --help`)
total_steps = 50_000
batch_size = 64
learning_starts = 1_000
train_every = 1
eval_every = 5_000
eval_episodes = 20
exploration = { steps = 10_000, end = 0.02 }
"""

GRID = (
    """\
# A study: every combination of the axes' values, with every seed. Run it with `softstep study run FILE`.

env = "gymnax:CartPole-v1"      # any environment of `softstep envs`
# preset = "lab"                # settings to start from (`softstep presets`)

"""
    + _BASE
    + """
[axes]                          # lists, or low, high and count of a log range
learning_rate = { low = 1e-4, high = 1e-2, count = 3 }
c = [0.0, 0.9, 0.99]            # weight of the old target; 0: no target network
# gamma = [0.95, 0.99]          # data, like the axes above: its cells share a compiled program
# "exploration.end" = [0.02, 0.1]   # data too, as are exploration's start, steps and decay
# hidden = [[64, 64], [128, 128]]   # a shape: each value gets a population of its own

[seeds]
first = 0
count = 4
selection = 2                   # the first two select cells for claims, the others judge

[[claims]]                      # declared before anything is run
name = "a-target-helps"
first = { c = [0.9, 0.99] }     # of several cells, the best on the selection seeds
second = { c = 0.0 }
"""
)

CONTENDERS = (
    """\
# A study: contenders with equally many candidates each; the best candidate of each is judged on seeds of its own.
# Run it with `softstep study run FILE`; `softstep study declare FILE` before that shows that it came before its data.

env = "gymnax:CartPole-v1"      # any environment of `softstep envs`

"""
    + _BASE
    + """\
block_width = 4                 # divides the number of judging seeds

[candidates]
count = 8                       # of every contender, spread evenly over its knobs

[contenders.soft]               # a knob is a range, a list of values, or one value
learning_rate = { low = 1e-4, high = 1e-2 }
tau = { low = 1e-3, high = 0.3 }

[contenders.none]               # c = 0: no target network
c = 0.0
learning_rate = { low = 1e-4, high = 1e-2 }
loss = ["mse", "huber"]

[seeds]
first = 0
selection = 2                   # all candidates; the best mean wins
judging = 4                     # the winners alone

[[claims]]                      # declared before anything is run
name = "soft-beats-none"
first = "soft"
second = "none"
"""
)
