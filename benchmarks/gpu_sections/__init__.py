"""The sections of benchmarks/gpu.py. Each is a function of a `Bench`, its most telling measurements first."""
