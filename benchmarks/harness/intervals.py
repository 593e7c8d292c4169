"""Medians and their uncertainty. Nothing is clamped: a difference may come out negative."""

import random
import statistics
from dataclasses import dataclass

RESAMPLES = 4000
# Below these an interval says little.
FEWEST = 6


@dataclass(frozen=True)
class Estimate:
    """A median with its 95 % bootstrap interval."""

    median: float
    low: float
    high: float
    count: int

    def scaled(self, factor: float) -> "Estimate":
        return Estimate(self.median * factor, self.low * factor, self.high * factor, self.count)

    def text(self, digits: int = 2, unit: str = "") -> str:
        spread = f"{self.low:.{digits}f} … {self.high:.{digits}f}" if self.count > 1 else "one value"
        return f"{self.median:.{digits}f}{unit} ({spread})"

    def judge(self, limit: float) -> str:
        """Whether the figure is at most `limit`, as far as the interval tells."""
        answer = "yes" if self.median <= limit else f"no, by {self.median - limit:.3f}"
        if self.count < FEWEST:
            return f"{answer}, by too few pairs"
        if self.high <= limit or self.low > limit:
            return answer
        return f"{answer} by the median; the interval holds the limit"


def estimate(values: list[float], statistic=statistics.median) -> Estimate:
    """By the percentile bootstrap over the values, which must be independent: one a pair, not one a token."""
    if not values:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    chance = random.Random(1)
    resampled = sorted(statistic(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    low, high = resampled[int(RESAMPLES * 0.025)], resampled[int(RESAMPLES * 0.975)]
    return Estimate(statistic(values), low, high, len(values))
