"""objects.py ROUNDS: makes small objects, keeps some, drops the rest."""
import sys


class Vehicle:
    def __init__(self, number):
        self.number = number
        self.place = (number * 0.5, number * 0.25)
        self.name = f"vehicle {number}"


kept = {}
for turn in range(int(sys.argv[1])):
    fleet = [Vehicle(number) for number in range(2000)]
    kept[turn % 8] = [vehicle for vehicle in fleet if vehicle.number % 5 == turn % 5]
