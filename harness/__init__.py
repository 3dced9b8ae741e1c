"""The engine of ummbench: it knows no benchmark, no algorithm and no paper."""

__version__ = "0.1.0"
