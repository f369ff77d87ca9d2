"""Where a proven image goes besides a layout: a registry, a container engine."""
