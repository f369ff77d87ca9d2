"""How the pages become HTML: ``sphinx-build -W docs build/docs``."""

from envlock import __version__

project = "envlock"
author = "The authors of envlock"
version = release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
pygments_style = "default"

myst_heading_anchors = 3  # links to headings are checked
nitpicky = True
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]  # excerpts with dots in them
