"""What a metric may be the mean of, over the images."""

from __future__ import annotations

from typing import Literal

MeanOf = Literal["error", "right"]  # an image adds its error, or 1 less its error
