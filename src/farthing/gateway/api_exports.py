"""Exports over the governance API: the same rows as farthing export writes, sent as they are read."""

from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import StreamingResponse

from farthing.config.build import Running
from farthing.gateway.api_asking import Viewer
from farthing.reports.export import Export, Forgotten, UnknownEnvironment, check_environment
from farthing.reports.export_parquet import NoParquet
from farthing.reports.export_window import file_name, window_asked
from farthing.reports.export_writing import MEDIA_TYPES, Encoding, Layout, Writing
from farthing.reports.spans import BadMoment

_Text = Annotated[str | None, Query(max_length=300)]
_BODIES = {media_type: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES.values()}


def add_exports(app: FastAPI, running: Running) -> None:
    """Add the route."""

    @app.get(
        "/api/exports",
        dependencies=[Viewer],
        response_class=StreamingResponse,
        responses={200: {"description": "the rows", "content": _BODIES}},
    )
    def exports(
        format: Literal["csv", "jsonl", "parquet", "focus"] = "csv",
        environment: _Text = None,
        month: _Text = None,
        week: _Text = None,
        since: _Text = None,
        until: _Text = None,
        focus_as: Literal["csv", "parquet"] = "csv",
        focus_version: Literal["1.2", "1.3"] = "1.2",
    ) -> StreamingResponse:
        """The calls of a window, a row each; of the last month where none is named. Whole hours, in UTC.

        Headers tell whether it is provisional, and the sums that the ledger has. Rows that do not sum to
        it end without the end of the body, so that no client takes them for whole.
        """
        now_us = running.clock()
        try:
            window = window_asked(month, week, since, until, now_us=now_us)
            check_environment(environment, running.store, running.policy.environments)
            export = Export(running.store, window, environment=environment, now_us=now_us)
            layout = Layout(
                encoding=Encoding(focus_as if format == "focus" else format),
                focus=focus_version if format == "focus" else None,
                account=running.policy.organization,
            )
            writing = Writing(export, layout)
        except (BadMoment, UnknownEnvironment, NoParquet, Forgotten) as error:
            raise HTTPException(400, str(error)) from error
        name = file_name(window, environment, layout.ending, provisional=export.provisional, now_us=now_us)
        return StreamingResponse(
            writing.chunks(),
            headers={
                "content-type": layout.media_type,
                "content-disposition": f'attachment; filename="{name}"',
                "x-farthing-export-provisional": str(export.provisional).lower(),
                "x-farthing-export-calls": str(export.expected.calls),
                "x-farthing-export-refused": str(export.expected.refused),
                "x-farthing-export-cost-nanodollars": str(export.expected.cost_nanodollars),
            },
        )
