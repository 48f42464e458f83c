"""From images and a recipe to an encoder; `step.py` first."""
