"""FastAPI: /ok keeps nothing, /items/N keeps 50 objects."""
from fastapi import FastAPI

app = FastAPI()
KEPT = []


class Order:
    def __init__(self, number, user):
        self.number, self.user = number, user


@app.get("/ok")
async def ok():
    return [str(number) for number in range(200)]


@app.get("/items/{user}")
async def items(user: int):
    KEPT.extend(Order(number, f"user-{user}") for number in range(50))
    return user
