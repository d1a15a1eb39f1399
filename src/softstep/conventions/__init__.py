"""Other libraries' settings of a target network, translated to one clock and one meaning of τ, and back.

from softstep import conventions
meaning = conventions.read("sb3", {"tau": 0.005, "target_update_interval": 10_000, "n_envs": 8})
meaning.half_life                     in gradient steps
conventions.translate(meaning)        the equivalent settings of every library
conventions.cautions("sb3", {...})    settings that are probably a mistake
"""

from softstep.conventions.cautions import cautions as cautions
from softstep.conventions.files import parse_settings as parse_settings
from softstep.conventions.library import Library as Library
from softstep.conventions.meaning import Meaning as Meaning
from softstep.conventions.reading import read as read
from softstep.conventions.reading import select as select
from softstep.conventions.registry import LIBRARIES as LIBRARIES
from softstep.conventions.rescale import rescale as rescale
from softstep.conventions.translation import translate as translate
