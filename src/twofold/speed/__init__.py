"""How long a step takes, where its time goes, and which encoder and batch to choose."""
