"""Sphinx: how the documentation becomes a site. `make docs` builds it; docs/site.md says more."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_tools"), str(HERE.parent)]
os.environ["COLUMNS"] = "100"

import featx  # noqa: E402

project = "featx"
author = "the featx authors"
copyright = "the featx authors, Apache-2.0"
release = version = featx.__version__

extensions = [
    "myst_nb",  # Markdown and notebooks
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "featx_directives",
]
exclude_patterns = ["_tools"]
smartquotes = False  # --flag stays --flag
nitpicky = True  # a reference that leads nowhere is a warning, and warnings are errors

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
# Notebooks are executed by `make docs`, so that the site shows what they print; the tests execute
# them on their own, and build the site without.
nb_execution_mode = "force" if os.environ.get("FEATX_DOCS_EXECUTE") else "off"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_execution_in_temp = True  # runs and caches are not left beside the pages

autodoc_typehints = "none"  # numpydoc's sections give them in words
autodoc_member_order = "bysource"
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"featx {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_sphinx = False
# Copied commands come without the prompt and without the output.
copybutton_prompt_text = r"\$ |>>> "
copybutton_prompt_is_regexp = True
# Addresses are checked by `make linkcheck`, on a machine with a network.
linkcheck_timeout = 20
linkcheck_workers = 4
linkcheck_anchors = False
