from ..makers.fixtures import index, machine, mirror

__all__ = ["index", "machine", "mirror"]
