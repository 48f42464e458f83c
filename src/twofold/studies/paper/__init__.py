"""One file a study of the paper: a grid of recipes, a measure, claims."""
