# SPDX-License-Identifier: EUPL-1.2
"""What is told of each request: one line in the log and a few numbers, without path, caller or address (I5, R33).

Each answer has an id, `Request-Id`, that stands in every line about its request: so an operator finds what a caller
complains of, and the log need not say who called.
"""

import time
from functools import cache
from uuid import uuid4

from flask import Response, g, request
from flask_openapi3.openapi import OpenAPI

from verwijsindex import metrics
from verwijsindex.logs import REQUEST_ANSWERED, log, request_id
from verwijsindex.problems import ProblemAnswer

REQUEST_ID = "Request-Id"
NO_OPERATION = "none"


def observe(app: OpenAPI) -> None:
    """Tell of every request to `app`; before anything else is registered that may answer one."""

    @cache
    def operations() -> dict[str, str]:
        return operation_ids(app)

    @app.before_request
    def begin() -> None:
        request_id.set(uuid4())
        g.began = time.perf_counter()

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers[REQUEST_ID] = str(request_id.get())
        operation = operations().get(request.endpoint or "", NO_OPERATION)
        problem = response.slug if isinstance(response, ProblemAnswer) else None
        took = time.perf_counter() - g.began
        metrics.REQUESTS.labels(operation, response.status_code).inc()
        metrics.REQUEST_SECONDS.labels(operation).observe(took)
        if problem:
            metrics.PROBLEMS.labels(problem).inc()
        log(REQUEST_ANSWERED, operation=operation, status=response.status_code, ms=1000 * took, problem=problem)
        return response

    @app.teardown_request
    def end(_: BaseException | None) -> None:
        request_id.set(None)


def operation_ids(app: OpenAPI) -> dict[str, str]:
    """The operation of each endpoint, as the OpenAPI document names it; of what is not in it, the view's own name."""
    documented = {
        (path, method): operation["operationId"]
        for path, item in app.api_doc["paths"].items()
        for method, operation in item.items()
    }
    found = {}
    for rule in app.url_map.iter_rules():
        path = rule.rule.replace("<", "{").replace(">", "}")
        names = [documented[path, m.lower()] for m in rule.methods or () if (path, m.lower()) in documented]
        found[rule.endpoint] = names[0] if names else rule.endpoint.rpartition(".")[2]
    return found
