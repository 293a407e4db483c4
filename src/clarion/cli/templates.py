"""`clarion template`: templates of an app, by name, on the database itself."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from clarion.cli.context import (
    AppId,
    Config,
    DataDir,
    Json,
    WorkspaceId,
    err,
    fail,
    out,
    print_fields,
    print_json,
    print_table,
    settings_of,
    with_foundation,
)
from clarion.foundation import Foundation
from clarion.ids import MAX_NODE, IdGenerator
from clarion.pushes.content import check_addresses, one_of
from clarion.settings import Settings
from clarion.store.facts import largest_id
from clarion.templates.model import MAX_TEMPLATES, Template, TemplateText, filled, placeholders
from clarion.templates.service import TemplateService

commands = typer.Typer(
    help="Templates: make, list, show, preview, delete.", no_args_is_help=True, rich_markup_mode=None
)
T = TypeVar("T")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")]


class Draft(msgspec.Struct, forbid_unknown_fields=True):
    """A template to be, as `--file` has it; the members are those of `clarion template show --json`."""

    name: str = ""
    description: str = ""
    title: str = ""
    content: str = ""
    uri: str = ""
    variables: str = ""
    style: int = 0
    silent: int = 0
    action: int = 0
    icons: dict[str, str] = {}
    images: dict[str, str] = {}

    def text(self) -> TemplateText:
        """What it makes of a message. Raises `Refusal` 3028 for a value outside its set."""
        return TemplateText(
            title=self.title,
            content=self.content,
            uri=self.uri,
            action=one_of("action", self.action, (0, 1), 0),
            silent=one_of("silent", self.silent, (0, 1), 0),
            style=one_of("style", self.style, (0, 1, 2), 0),
            icons=check_addresses("icons", msgspec.json.encode(self.icons).decode()),
            images=check_addresses("images", msgspec.json.encode(self.images).decode()),
        )


_READ_ONLY = ("templateId", "placeholders", "createdAt", "modifiedAt")
"""Members that `show` prints and `create` passes over."""


@commands.command("create")
def create(
    app_id: AppId,
    workspace_id: WorkspaceId,
    name: Annotated[str | None, typer.Option(help="Its name, unique in the app.", show_default=False)] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.", show_default=False)] = None,
    title: Annotated[str | None, typer.Option(help="Title; #name# is a placeholder.", show_default=False)] = None,
    content: Annotated[str | None, typer.Option(help="Text, likewise.", show_default=False)] = None,
    uri: Annotated[str | None, typer.Option(help="Where a tap leads, likewise.", show_default=False)] = None,
    variables: Annotated[
        str | None, typer.Option(help="Names of the placeholders, by comma.", show_default=False)
    ] = None,
    style: Annotated[
        int | None, typer.Option(min=0, max=2, help="0 default, 1 big text, 2 picture.", show_default=False)
    ] = None,
    silent: Annotated[bool, typer.Option("--silent", help="Ask the client to show nothing.")] = False,
    action: Annotated[
        int | None, typer.Option(min=0, max=1, help="What uri is: 0 web, 1 Android intent.", show_default=False)
    ] = None,
    icon: Annotated[
        list[str] | None, typer.Option(metavar="KEY=URL", help="Icon, such as defaultUrl=…", show_default=False)
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(metavar="KEY=URL", help="Picture, likewise.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="All of it as JSON; options go before it.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Make a template; running servers know it within a second."""
    given = {
        "name": name,
        "description": description,
        "title": title,
        "content": content,
        "uri": uri,
        "variables": variables,
        "style": style,
        "silent": int(silent) or None,
        "action": action,
        "icons": _pairs("--icon", icon) or None,
        "images": _pairs("--image", image) or None,
    }
    draft = _draft(file, {option: value for option, value in given.items() if value is not None})
    text = draft.text()
    _compare(draft.variables, text)

    async def work(templates: TemplateService, app: int) -> Template:
        return await templates.create(app, draft.name, draft.description, text, draft.variables)

    _print("Template created", _run(settings_of(data_dir, config), app_id, workspace_id, work), as_json=json)


@commands.command("list")
def list_templates(
    app_id: AppId, workspace_id: WorkspaceId, data_dir: DataDir = None, config: Config = None, json: Json = False
) -> None:
    """List the templates of an app with their placeholders. The newest comes first."""

    async def work(templates: TemplateService, app: int) -> list[Template]:
        return (await templates.page(app, 1, MAX_TEMPLATES))[0]

    found = _run(settings_of(data_dir, config), app_id, workspace_id, work)
    if json:
        print_json([_fields(template) for template in found])
        return
    print_table(
        ("TEMPLATE", "PLACEHOLDERS", "TITLE", "CONTENT"),
        [(t.name, ", ".join(_names(t.text)) or "-", _short(t.text.title), _short(t.text.content)) for t in found],
        "There is no template yet: clarion template create --name N --description D --title T --content C …",
    )


@commands.command("show")
def show(
    name: Name,
    app_id: AppId,
    workspace_id: WorkspaceId,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show a template; what --json prints, `create --file` takes."""
    _print("Template", _find(settings_of(data_dir, config), app_id, workspace_id, name), as_json=json)


@commands.command("delete")
def delete(
    name: Name,
    app_id: AppId,
    workspace_id: WorkspaceId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Delete a template; what was pushed with it stays as it is."""
    if not yes and not json:
        typer.confirm(f"Delete template {name} of app {app_id}?", abort=True)

    async def work(templates: TemplateService, app: int) -> None:
        await templates.delete(app, None, name)

    _run(settings_of(data_dir, config), app_id, workspace_id, work)
    if json:
        print_json({"name": name, "deleted": True})
    else:
        out.print("Deleted.")


@commands.command("preview")
def preview(
    name: Name,
    app_id: AppId,
    workspace_id: WorkspaceId,
    value: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TEXT", help="Value of a placeholder; may be repeated.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show what a push with these values would say. Placeholders without a value are named."""
    values = _pairs("--value", value)
    text = _find(settings_of(data_dir, config), app_id, workspace_id, name).text
    wanted = _names(text)
    missing = [placeholder for placeholder in wanted if placeholder not in values]
    unused = [given for given in values if given not in wanted]
    made = filled(text, {placeholder: f"#{placeholder}#" for placeholder in missing} | values)
    if json:
        said = {"title": made.title, "content": made.content, "uri": made.uri}
        print_json({"name": name, **said, "missing": missing, "unused": unused})
        return
    print_fields("A push would say", {"title": made.title, "content": made.content, "uri": made.uri or "-"})
    if missing:
        _warn(f"no value for {_listed(missing)}: a push would be refused with 3023")
    if unused:
        _warn(f"no placeholder is called {_listed(unused)}")


def _run(
    settings: Settings, app_id: str, workspace_id: str, work: Callable[[TemplateService, int], Awaitable[T]]
) -> T:
    """Run `work` on the templates of an app, whose internal number it gets."""

    async def inner(foundation: Foundation) -> T:
        directory, database, clock = foundation.directory, foundation.database, foundation.clock
        await directory.refresh()
        app = await directory.find_app(app_id, workspace_id)
        if app is None:
            fail(f"no app {app_id} in workspace {workspace_id}; `clarion app list` shows what there is")
        ids = IdGenerator(clock, node=MAX_NODE, floor=await largest_id(database))
        return await work(TemplateService(database, directory, ids, clock), app.key)

    return with_foundation(settings, inner)


def _find(settings: Settings, app_id: str, workspace_id: str, name: str) -> Template:
    async def work(templates: TemplateService, app: int) -> Template:
        return await templates.get(app, None, name)

    return _run(settings, app_id, workspace_id, work)


def _draft(file: Path | None, given: dict[str, Any]) -> Draft:
    """What the file says, and before it what the options say."""
    values = _read(file) if file is not None else {}
    try:
        return msgspec.convert(values | given, Draft)
    except msgspec.ValidationError as error:
        fail(f"{file}: {error}")


def _read(file: Path) -> dict[str, Any]:
    try:
        values = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}")
    except msgspec.DecodeError as error:
        fail(f"{file} is not a JSON object: {error}")
    known = Draft.__struct_fields__
    for name in values:
        if name not in known and name not in _READ_ONLY:
            close = difflib.get_close_matches(name, known, n=1)
            fail(f"{file}: unknown member {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    return {name: value for name, value in values.items() if name in known}


def _pairs(option: str, texts: Iterable[str] | None) -> dict[str, str]:
    """The map that a repeated option `KEY=VALUE` gives."""
    pairs = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{text!r} is not of the form KEY=VALUE", param_hint=option)
        pairs[key] = value
    return pairs


def _compare(variables: str, text: TemplateText) -> None:
    declared = {name.strip() for name in variables.split(",") if name.strip()}
    found = set(_names(text))
    if declared and declared != found:
        differing = (("not in the texts", declared - found), ("not declared", found - declared))
        _warn("variables differ: " + "; ".join(f"{what}: {_listed(names)}" for what, names in differing if names))


def _names(text: TemplateText) -> list[str]:
    return sorted(placeholders(text))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"#{name}#" for name in sorted(names))


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _warn(text: str) -> None:
    err.print("warning: ", style="bold yellow", end="")
    err.print(text, markup=False)


def _fields(template: Template) -> dict[str, Any]:
    text = template.text
    return {
        "templateId": str(template.template),
        "name": template.name,
        "description": template.description,
        "title": text.title,
        "content": text.content,
        "uri": text.uri,
        "variables": template.variables,
        "style": text.style,
        "silent": text.silent,
        "action": text.action,
        "icons": text.icons,
        "images": text.images,
        "placeholders": _names(text),
        "createdAt": template.created_at,
        "modifiedAt": template.modified_at,
    }


def _print(title: str, template: Template, *, as_json: bool) -> None:
    fields = _fields(template)
    if as_json:
        print_json(fields)
        return
    del fields["createdAt"], fields["modifiedAt"]
    fields["placeholders"] = ", ".join(fields["placeholders"])
    for pictures in ("icons", "images"):
        fields[pictures] = " ".join(f"{key}={url}" for key, url in fields[pictures].items())
    print_fields(title, {name: value for name, value in fields.items() if value})
