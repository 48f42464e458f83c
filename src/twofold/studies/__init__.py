"""The paper's studies: each a grid of recipes, a measure, and claims with a verdict."""

from twofold.studies.engine.study import Study
from twofold.studies.paper import augmentations, batch, colour, duration, head, labels, layer, loss, size, temperature

STUDIES: dict[str, Study] = {
    module.STUDY.name: module.STUDY
    for module in (augmentations, colour, head, layer, loss, temperature, batch, size, labels, duration)
}

__all__ = ["STUDIES", "Study"]
