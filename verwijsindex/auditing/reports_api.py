# SPDX-License-Identifier: EUPL-1.2
"""The route of reports on the ledger, as JSON and as PDF (R25, R28)."""

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint

from verwijsindex.access.caller import LEDGER_AUDIT
from verwijsindex.acting import OnBehalfOf
from verwijsindex.auditing.api import TAG
from verwijsindex.auditing.officer import auditing
from verwijsindex.auditing.reports import report
from verwijsindex.auditing.reports_schemas import PDF, LedgerReportOut, ReportAsked
from verwijsindex.auditing.samples_api import scope_of
from verwijsindex.ledger import events
from verwijsindex.parsing import parsed
from verwijsindex.settings import API_PREFIX
from verwijsindex.web import answer, needs, problem_responses

api = APIBlueprint(
    "reports",
    __name__,
    url_prefix=API_PREFIX,
    abp_tags=[TAG],
    abp_security=needs(LEDGER_AUDIT),
    abp_responses=problem_responses(400, 401, 403, 404, 406, 500, 503),
)
PATH = "/ledger-reports"
OTHER_MEDIA = {API_PREFIX + PATH: PDF}


@api.get(
    PATH,
    operation_id="getLedgerReport",
    summary="Report on a period of the ledger, in figures",
    description="As JSON, or with `Accept: application/pdf` as a document with charts.",
    responses={200: LedgerReportOut},
)
@parsed
def get_ledger_report(header: OnBehalfOf, query: ReportAsked) -> Response:
    as_document = request.accept_mimetypes.best_match(["application/json", PDF]) == PDF
    with auditing(header) as act:
        found = report(act.connection, scope_of(act.caller), query.from_, query.until, act.now)
        said = {"from": query.from_.isoformat(), "until": query.until.isoformat()}
        act.tell(events.LEDGER_REPORTED, form="pdf" if as_document else "json", **said)
    if not as_document:
        return answer(found)
    # Drawing needs a second and many modules: of those who want it only.
    from verwijsindex.auditing.reports_pdf import as_pdf  # noqa: PLC0415

    name = f"ledger-report-{query.from_}-{query.until}.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(as_pdf(found, query.language), headers=headers, content_type=PDF)
