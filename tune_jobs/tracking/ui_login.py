"""Who comes in to `tune-jobs ui`: a function that MLflow's server calls at each request.

The password comes with the address that is printed, and then in a cookie. MLflow's page fetches nothing from an address
that has a login before the host, so that such an address would open on an error. Other programs send the password as
MLflow's clients do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.datastructures import Authorization

USER = "tune-jobs"
ASKED = "password"  # the part of an address that has it


def authenticate() -> Authorization | Response:
    """Return the login of the request that is being answered, or the answer to one without: MLflow's own rule."""
    from flask import make_response, request
    from mlflow.server import auth
    from werkzeug.datastructures import Authorization

    cookie = f"tune-jobs-{request.host.rpartition(':')[2]}"  # a browser sends the cookies of a host to all its ports
    asked = request.args.get(ASKED)
    password = asked or request.cookies.get(cookie)
    if password and request.authorization is None:
        request.authorization = Authorization("basic", {"username": USER, "password": password})
    found: Authorization | Response = auth.authenticate_request_basic_auth()
    if asked is None or not isinstance(found, Authorization):
        return found
    answer = make_response("", 303, {"Location": request.path})
    answer.set_cookie(cookie, asked, httponly=True, samesite="Lax")
    return answer
