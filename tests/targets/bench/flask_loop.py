"""flask_loop.py ROUNDS: requests to a Flask app, without a network."""
import sys

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/items/<int:number>")
def item(number):
    return jsonify(item=number, squares=[n * n for n in range(number % 50)])


@app.post("/echo")
def echo():
    return request.get_data()


client = app.test_client()
for turn in range(int(sys.argv[1])):
    client.get(f"/items/{turn}")
    client.post("/echo", data=b"some bytes")
