"""The user's line behind a call, which is neither in torch nor here."""

from __future__ import annotations

import torch

from gradtrace.sources import (
    Place,
    decode,
    hide,
    is_hidden,
    name_in_frames,
    place,
    user_frame,
    user_level,
)

__all__ = ["Place", "decode", "is_hidden", "name_in_frames", "place", "user_frame", "user_level"]

hide(torch.__file__, __file__)
