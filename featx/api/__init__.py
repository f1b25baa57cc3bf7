"""The verbs of featx, one file each: what a command or a script calls."""
