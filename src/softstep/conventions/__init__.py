"""What other libraries' settings of a target network come to, and back: one clock, one meaning of τ.

from softstep import conventions
meaning = conventions.read("sb3", {"tau": 0.005, "target_update_interval": 10_000, "n_envs": 8})
meaning.half_life                     gradient steps
conventions.translate(meaning)        the equal settings of every library
conventions.cautions(meaning, ...)    what is probably not meant
"""

from softstep.conventions.cautions import cautions as cautions
from softstep.conventions.library import Library as Library
from softstep.conventions.meaning import Meaning as Meaning
from softstep.conventions.reading import read as read
from softstep.conventions.registry import LIBRARIES as LIBRARIES
from softstep.conventions.rescale import rescale as rescale
from softstep.conventions.translation import translate as translate
