"""The endpoints as a Flask application."""

import flask

import truth_app

application = flask.Flask(__name__)


@application.get("/truth")
@application.get("/<kind>/<int:n>")
def endpoint(**_):
    status, body = truth_app.answer(flask.request.path)
    return flask.Response(body, status, mimetype="text/plain")


truth_app.start_background()
