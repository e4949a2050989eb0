"""Run a command; turn whatever a user can cause into one clear message and an exit code."""

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import typer
import typer.core

from farthing.domain.errors import FarthingError, LedgerUnavailable, PolicyError
from farthing.domain.money import BadAmount

Function = TypeVar("Function", bound=Callable[..., None])

ANSWER_IS_NO = 1
WRONG_USE = 2


class CommandError(FarthingError):
    """A command cannot do what it was asked: what happened, why, and how to go on.

    exit_code: 2 where the question was wrong, 1 where the answer is no.
    """

    def __init__(self, message: str, *, why: str = "", fix: str = "", exit_code: int = WRONG_USE) -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.fix = fix
        self.exit_code = exit_code


class CommandLine(typer.core.TyperGroup):
    """The outermost group: every error of every command is told here, in one manner."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401 - the signature is typer's
    ) -> None:
        """Run the command that the arguments name, and leave with its exit code."""
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given
        try:
            code = super().main(
                given, prog_name, complete_var, standalone_mode=False, windows_expand_args=False, **extra
            )
        except typer.TyperException as error:
            _tell_wrong_use(error, as_json=as_json)
            code = WRONG_USE
        except typer.Abort:
            code = ANSWER_IS_NO
        except (FarthingError, BadAmount, OSError) as error:
            told = explained(error)
            tell(told, as_json=as_json)
            code = told.exit_code
        sys.exit(code if isinstance(code, int) else 0)


def command(group: typer.Typer, name: str, *, example: str) -> Callable[[Function], Function]:
    """Add a command to a group, with the line that shows how it is used."""
    register: Callable[[Function], Function] = group.command(name, epilog=f"Example: {example}")
    return register


def noun(name: str, help_text: str) -> typer.Typer:
    """A group of commands about one thing."""
    return typer.Typer(name=name, help=help_text, no_args_is_help=True, rich_markup_mode=None)


def explained(error: Exception) -> CommandError:
    """Say of any expected error what happened, why, and how to go on."""
    match error:
        case CommandError():
            return error
        case PolicyError():
            count = len(error.problems)
            return CommandError(
                "the policy cannot be used" if count == 1 else f"the policy has {count} problems",
                why="\n".join(str(problem) for problem in error.problems),
                fix="mend the lines above; farthing policy check tells when all is well",
            )
        case LedgerUnavailable():
            return CommandError(
                "the ledger cannot be used",
                why=str(error),
                fix=error.fix
                or "look at --ledger (or FARTHING_LEDGER), the disk, and who else has the file open",
            )
        case OSError():
            return _system_error(error)
        case _:
            return CommandError(str(error), fix="see the command's --help")


def _system_error(error: OSError) -> CommandError:
    """Tell an error of the operating system with the name of what it is about."""
    what = f"{error.filename}: " if error.filename else ""
    fixes = {
        errno.EADDRINUSE: "something listens there already; choose another --port",
        errno.ENOSPC: "make room on the disk",
        errno.EACCES: "look at the owner and the mode of the file and its folder",
        errno.ENOENT: "look at the spelling, and at the folder you are in",
    }
    reason = os.strerror(error.errno) if error.errno else str(error)
    return CommandError(f"{what}{reason}", fix=fixes.get(error.errno or 0, ""))


def _tell_wrong_use(error: typer.TyperException, *, as_json: bool) -> None:
    """Tell of an unknown command or option; a noun without its verb shows what there is."""
    context, message = getattr(error, "ctx", None), error.format_message()
    if context is not None and message == context.get_help():
        typer.echo(message, err=True)
        return
    fix = f"see  {context.command_path} --help" if context is not None else ""
    if context is not None and "unexpected extra argument" in message and _takes_policy(context):
        fix = f"a policy file is named with --policy FILE; {fix}"
    tell(CommandError(message, fix=fix), as_json=as_json)


def _takes_policy(context: typer.Context) -> bool:
    return any("--policy" in parameter.opts for parameter in context.command.params)


def tell(error: CommandError, *, as_json: bool) -> None:
    """Write an error to stderr: a few lines for people, or one JSON document."""
    if as_json:
        document = {"error": {"message": error.message, "why": error.why or None, "fix": error.fix or None}}
        sys.stderr.write(json.dumps(document, ensure_ascii=False) + "\n")
        return
    lines = [f"farthing: {error.message}"]
    lines += [f"  {line}" for line in error.why.splitlines()]
    if error.fix:
        lines.append(f"  To go on: {error.fix}")
    sys.stderr.write("\n".join(lines) + "\n")
