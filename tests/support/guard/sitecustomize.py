"""Found by every child process through PYTHONPATH; see loopback_only."""

from loopback_only import install  # type: ignore[import-not-found]  # a sibling, by way of PYTHONPATH

install()
