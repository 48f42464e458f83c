"""Pure functions of whole batches: images and one parameter an image -> images."""
