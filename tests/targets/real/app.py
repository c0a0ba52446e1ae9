"""A Flask app under its threaded server."""
import sys

from flask import Flask, abort, jsonify, request

app = Flask(__name__)


@app.get("/hello")
def hello():
    return "hello\n"


@app.get("/items/<int:number>")
def item(number):
    return jsonify(item=number, squares=[n * n for n in range(number % 50)])


@app.post("/echo")
def echo():
    return request.get_data()


@app.get("/fail")
def fail():
    abort(503)


app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
