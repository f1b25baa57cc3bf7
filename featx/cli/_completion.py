"""Completion in shells: click's, with a bash script that keeps files and knows ``timm:`` names."""

from __future__ import annotations

import os
from pathlib import Path

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    split_arg_string,
)


class FeatxBash(BashComplete):
    """Bash, which is given the whole line: it cuts words at colons by itself."""

    source_template = Path(__file__).with_name("bash_completion.sh").read_text("utf-8")

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the one that it stands in."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)[1:]
        if not words or (line[-1:].isspace() and not line.endswith("\\ ")):
            return words, ""
        return words[:-1], words[-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """What fits; of a word that bash has cut at a colon, the part after it."""
        found = super().get_completions(args, incomplete)
        known = incomplete.rpartition("=")[2] if incomplete.startswith("-") else incomplete
        if ":" not in known or ":" not in os.environ.get("COMP_BREAKS", ""):
            return found
        start = known.rindex(":") + 1
        return [
            CompletionItem(item.value[start:]) if item.type == "plain" else item for item in found
        ]


add_completion_class(FeatxBash, "bash")
