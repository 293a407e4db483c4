"""Making, finding and deleting templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, select

from clarion.clock import Clock
from clarion.ids import IdGenerator
from clarion.results import Refusal, ResultCode
from clarion.store.database import Database, Row, Transaction
from clarion.store.queries import Insert, Query
from clarion.store.schema import templates
from clarion.templates.model import MAX_TEMPLATES, Template, TemplateText, check_name, check_text
from clarion.tenants.directory import Directory
from clarion.tenants.service import change_catalog

_COLUMNS = (
    templates.c.template,
    templates.c.name,
    templates.c.description,
    templates.c.variables,
    templates.c.content,
    templates.c.created_at,
    templates.c.modified_at,
)
_OF_APP = templates.c.app == bindparam("app")
_BY_NAME = Query(select(*_COLUMNS).where(_OF_APP, templates.c.name == bindparam("name")))
_BY_ID = Query(select(*_COLUMNS).where(_OF_APP, templates.c.template == bindparam("template")))
_PAGE = Query(
    select(*_COLUMNS)
    .where(_OF_APP)
    .order_by(templates.c.template.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("skipped"))
)
_COUNT = Query(select(func.count()).select_from(templates).where(_OF_APP))
_DELETE = Query(delete(templates).where(_OF_APP, templates.c.template == bindparam("template")))
_INSERT = Insert(
    templates,
    ("template", "app", "name", "description", "variables", "content", "created_at", "modified_at"),
    on_conflict="(app, name) DO NOTHING",
    returning=("template",),
)
_decode = msgspec.json.Decoder(TemplateText).decode


class TemplateService:
    """Templates of apps.

    Args:
        database: where they are kept.
        directory: its revision says when what is remembered here may be out of date.
        ids: numbers of templates.
        clock: times of creation.
    """

    def __init__(self, database: Database, directory: Directory, ids: IdGenerator, clock: Clock) -> None:
        self._database = database
        self._directory = directory
        self._ids = ids
        self._clock = clock
        self._revision = -1
        self._known: dict[tuple[int, str], Template] = {}

    async def create(
        self, app: int, name: str, description: str, text: TemplateText, variables: str = ""
    ) -> Template:
        """Store a new template.

        Raises:
            Refusal: 3036 when the name is in use, 3056 at the most templates of an app, 3037 to 3042.
        """
        name = check_name(name)
        check_text(text, description)
        now = self._clock.now_ms()
        made = Template(self._ids.next(), name, description, variables, text, now, now)
        row = (made.template, app, name, description, variables, msgspec.json.encode(text), now, now)

        async def work(transaction: Transaction) -> None:
            # The catalog's row is the gate: two that come together are counted one after the other.
            await change_catalog(transaction)
            if await transaction.fetch_one(_BY_NAME, app=app, name=name):
                raise Refusal(
                    ResultCode.TEMPLATE_ALREADY_EXIST, f"a template is called {name}; choose another name"
                )
            count = await transaction.fetch_one(_COUNT, app=app)
            if count and count[0] >= MAX_TEMPLATES:
                raise Refusal(
                    ResultCode.TEMPLATE_NUM_TOO_MUCH, f"an app may have {MAX_TEMPLATES}; delete one first"
                )
            await transaction.insert(_INSERT, [row])

        await self._database.write(work)
        await self._directory.refresh()
        return made

    async def find(self, app: int, name: str) -> Template | None:
        """The template with this name; remembered until something in the catalog changes."""
        if self._revision != self._directory.revision:
            self._revision = self._directory.revision
            self._known.clear()
        name = name.strip()
        known = self._known.get((app, name))
        if known is None:
            known = await self._one(_BY_NAME, app=app, name=name)
            if known is not None:
                self._known[app, name] = known
        return known

    async def get(self, app: int, template: int | None, name: str | None) -> Template:
        """The template with this id, or else with this name.

        Raises:
            Refusal: 3022 when there is none, or when id and name are of different ones.
        """
        found = None
        if template is not None:
            found = await self._one(_BY_ID, app=app, template=template)
        elif name and name.strip():
            found = await self._one(_BY_NAME, app=app, name=name.strip())
        if found is None or (template is not None and name and name.strip() not in ("", found.name)):
            raise Refusal(ResultCode.TEMPLATE_NOT_EXIST, "no template has this TemplateId and TemplateName")
        return found

    async def delete(self, app: int, template: int | None, name: str | None) -> None:
        """Delete a template; what was pushed with it stays as it is.

        Raises:
            Refusal: 3022 when there is none.
        """
        found = await self.get(app, template, name)

        async def work(transaction: Transaction) -> None:
            await transaction.execute(_DELETE, app=app, template=found.template)
            await change_catalog(transaction)

        await self._database.write(work)
        await self._directory.refresh()

    async def page(self, app: int, number: int, size: int) -> tuple[list[Template], int]:
        """A page of the app's templates, newest first, and how many there are in all.

        Args:
            app: internal number of the app.
            number: of the page, from 1.
            size: templates on a page.
        """

        async def work(transaction: Transaction) -> tuple[Sequence[Row], Row | None]:
            rows = await transaction.fetch(_PAGE, app=app, limit=size, skipped=(number - 1) * size)
            return rows, await transaction.fetch_one(_COUNT, app=app)

        rows, count = await self._database.read(work)
        return [_template(row) for row in rows], count[0] if count else 0

    async def _one(self, query: Query, **values: Any) -> Template | None:
        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(query, **values)

        row = await self._database.read(work)
        return _template(row) if row else None


def _template(row: Row) -> Template:
    template, name, description, variables, content, created_at, modified_at = row
    return Template(template, name, description, variables, _decode(content), created_at, modified_at)
