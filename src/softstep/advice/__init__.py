"""Which τ? A window of it, the reasons, the nearest measurements, and how such advice fared.

    advice = softstep.advise(gamma=0.99, learning_rate=1e-3, updates=60_000, tau=0.005)
    advice.window.low, advice.window.high     τ per gradient step
    print(advice)                             the whole answer in words

`window` is the advice itself; `atlas` holds what was measured, `speed` how fast y moved there, and `regret` what the
advice would have cost there.
"""

from softstep.advice.advising import advise as advise
from softstep.advice.answer import Advice as Advice
from softstep.advice.window import OPTIMIZERS as OPTIMIZERS
from softstep.advice.window import Place as Place
from softstep.advice.window import Reason as Reason
from softstep.advice.window import Window as Window
from softstep.advice.window import window as window
