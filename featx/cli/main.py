"""The ``featx`` command: finds commands by file, turns errors into a message and an exit code."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import signal
import sys
from pathlib import Path
from traceback import walk_tb
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from featx import __version__, console
from featx.cli._layout import GroupedOption, LaidOutGroup, in_order, write_commands
from featx.cli._names import command_hint
from featx.cli._process import prepare_process
from featx.errors import FeatxError, OutputLostError
from featx.files import printable
from featx.interrupts import leave, watching
from featx.system_errors import explain, reason

COMPLETE = "_FEATX_COMPLETE"  # set by the scripts of `featx completion`
_NOT_COMMANDS = {"main", "options"}


def _set_verbosity(context: click.Context, parameter: click.Parameter, given: bool) -> None:
    if given:
        console.set_verbosity(1 if parameter.name == "verbose" else -1)


def _with_verbosity(command: click.Command) -> click.Command:
    """Give a command, and those below it, ``-v`` and ``-q``."""
    for names, text in (
        (("-v", "--verbose"), "Print details and tracebacks."),
        (("-q", "--quiet"), "Print only errors; results are in the files."),
    ):
        command.params.append(
            GroupedOption(names, is_flag=True, expose_value=False, callback=_set_verbosity,
                          help=text)
        )  # fmt: skip
    for below in getattr(command, "commands", {}).values():
        _with_verbosity(below)
    return command


class CommandFolder(LaidOutGroup):
    """A group whose commands are the modules beside this one, imported only when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, in the order of work."""
        modules = pkgutil.iter_modules([str(Path(__file__).parent)])
        names = {m.name for m in modules if not m.name.startswith("_")} - _NOT_COMMANDS
        return [name for group in in_order(names).values() for name in group]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a module; None where there is no such module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        if cmd_name not in self.commands:
            module = importlib.import_module(f"featx.cli.{cmd_name}")
            self.add_command(_with_verbosity(module.command), cmd_name)
        return self.commands[cmd_name]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; an unknown command is answered with the nearest, or a synonym's."""
        known = self.list_commands(ctx)
        name = args[0]
        if name in known or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if name == "help":
            asked = [word for word in args[1:2] if word in known]
            hint = f" Help is: {' '.join(['featx', *asked, '--help'])}"
        else:
            hint = command_hint(name, known)
        raise click.UsageError(f"No such command {printable(name)!r}.{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with the first sentence of each, imported from none of them."""
        for heading, names in in_order(set(self.list_commands(ctx))).items():
            write_commands(formatter, heading, {name: self._outline(ctx, name) for name in names})

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands, of which none is imported."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=self._outline(ctx, name).get_short_help_str(80))
                 for name in names]  # fmt: skip
        return found or click.Command.shell_complete(self, ctx, incomplete)

    def _outline(self, ctx: click.Context, name: str) -> click.Command:
        """The command ``name`` with its help alone, read from its file's text."""
        text = Path(__file__).with_name(f"{name}.py").read_text("utf-8")
        help_text = re.search(r'^def command\(.*?"""(.*?)"""', text, re.DOTALL | re.MULTILINE)
        if help_text is None:  # not written as one function: its module has to say
            return self.get_command(ctx, name) or click.Command(name)
        return click.Command(name, help=help_text[1])


@click.command(
    cls=CommandFolder,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 done but files were quarantined "
    "(--strict), 4 done but a --fail-on finding occurred, 130 interrupted (run the same "
    "command again to go on).",
    examples=(
        "featx inspect photos/",
        "featx fit photos/ --name first",
        "featx score runs/first new/",
    ),
)
@click.version_option(__version__, prog_name="featx")
def featx() -> None:
    """From images to embeddings to an honest classifier, offline, with nothing lost.

    Each command ends with the next one to run; featx COMMAND --help has the options of each.
    """


_with_verbosity(featx)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    if arguments is None:
        prepare_process()
    # Threads of OpenMP that wait for work spin by default, and spin against the decoding threads
    # and whatever else the machine does: measured, 2 to 4 times slower on two busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with console.hush_libraries(), watching(_say_interrupted):
        code = _run(arguments)
    leave(_finished(code))


def _run(arguments: list[str] | None) -> int:
    """Run one command; every way it can end is one branch here."""
    if hasattr(signal, "SIGPIPE") and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        # A polite kill is treated as Ctrl-C: what is committed stays, locks are released.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    if COMPLETE in os.environ:
        from featx.cli import _completion  # noqa: F401 - registers its bash
    try:
        with console.ending():
            result: Any = featx.main(
                arguments, prog_name="featx", complete_var=COMPLETE, standalone_mode=False
            )
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        _show_usage(error)
        return error.exit_code
    except FeatxError as error:
        _show_traceback()
        console.error(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say_interrupted()
        return 130
    except Exception as error:
        _show_traceback()
        console.error(_in_plain_words(error))
        return 1


def _show_usage(error: click.ClickException) -> None:
    """What was wrong with the words of the command, and how it is used."""
    context = getattr(error, "ctx", None)
    console.error(error.format_message())
    if context is not None:
        console.tell(f"{context.get_usage()}\nHelp: {context.command_path} --help")


def _say_interrupted() -> None:
    console.tell("Interrupted. Nothing computed is lost; run the same command to continue.")


def _in_plain_words(error: Exception) -> str:
    """What ended the command, where it is nothing that featx raises on purpose."""
    if isinstance(error, MemoryError):
        return (
            "Memory ran out. Files already written are kept.\nUse fewer --workers or a smaller "
            "--batch-size, then run the same command again."
        )
    if isinstance(error, RecursionError):
        return "An input is nested too deeply.\nRun again with -v to see where."
    if isinstance(error, OSError) and _was_printing(error):
        return str(OutputLostError(reason(error)))
    explained = explain(error) if isinstance(error, OSError) else None
    return explained or f"{type(error).__name__}: {error}\nRun again with -v for the traceback."


def _was_printing(error: OSError) -> bool:
    """Whether it comes from click, which prints help and versions on stdout itself."""
    return any(frame.f_code is click.echo.__code__ for frame, _ in walk_tb(error.__traceback__))


def _finished(code: int) -> int:
    """The exit code, once what was printed has left; Python must not complain of it afterwards."""
    try:
        console.flush()
    except OutputLostError as error:
        if code == 0:
            console.error(str(error))
            code = 1
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def _show_traceback() -> None:
    """Under ``-v``, where the error being handled comes from."""
    if console.verbosity() > 0:
        import traceback

        console.detail(traceback.format_exc())


if __name__ == "__main__":
    main()
