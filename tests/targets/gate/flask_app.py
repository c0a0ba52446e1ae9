"""A Flask server for the gate: each report is kept for ever, pings keep nothing."""
import sys

from flask import Flask

app = Flask(__name__)
REPORTS = []


@app.get("/report/<int:number>")
def report(number):
    REPORTS.append(bytearray(4000))
    return str(number)


@app.get("/ping")
def ping():
    return "pong"


app.run(port=int(sys.argv[1]), threaded=True)
