#!/usr/bin/python3
"""A small weather service, the origin of the demo: answers from weather.json, knows nothing of keys or plans.

    GET /forecast/<lat>,<lon>[,<time>]      the nearest station
    GET /forecast/<name>[,<time>]           a named place: New%20York,US

<time> is an epoch second or a date (2026-11-23). Usage: origin.py [--port N] [--port-file FILE]
"""
import argparse
import datetime
import json
import math
import os
import re
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weather.json")
COORDINATES = re.compile(r"^(-?\d{1,2}(?:\.\d{1,10})?),(-?\d{1,3}(?:\.\d{1,10})?)(?:,(.+))?$")
EARTH_RADIUS_KM = 6371.0


class BadRequest(Exception):
    """The location or the time cannot be understood."""


def distance_km(a, b):
    """Great-circle distance between two (lat, lon) pairs in degrees."""
    lat1, lon1, lat2, lon2 = map(math.radians, (*a, *b))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(h))


def parse_day(text):
    """The day that is asked for; without a time, today."""
    if text is None:
        return datetime.datetime.now(datetime.timezone.utc).date()
    try:
        if re.fullmatch(r"-?\d{1,11}", text):
            return datetime.datetime.fromtimestamp(int(text), datetime.timezone.utc).date()
        return datetime.date.fromisoformat(text[:10])
    except (ValueError, OverflowError, OSError) as error:
        raise BadRequest("The time is neither an epoch second nor a date") from error


class Weather:
    """The data file: stations, and the forecast of each by day of the year."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        self.stations = data["stations"]
        self.summaries = data["summaries"]
        self.by_name = {station["name"].lower(): station for station in self.stations}

    def find(self, location):
        """(station, position asked for, day); None as the station when the name is not known."""
        match = COORDINATES.match(location)
        if match:
            position = float(match[1]), float(match[2])
            if abs(position[0]) > 90 or abs(position[1]) > 180:
                raise BadRequest("The given location is invalid")
            station = min(self.stations, key=lambda s: distance_km(position, (s["latitude"], s["longitude"])))
            return station, position, parse_day(match[3])
        name, day = location, None
        if name.lower() not in self.by_name and "," in name:
            name, _, day = name.rpartition(",")
        station = self.by_name.get(name.strip().lower())
        return station, station and (station["latitude"], station["longitude"]), station and parse_day(day)

    def forecast(self, station, position, first_day):
        """Eight days from first_day: the station's yearly curve with a small wave that depends on the day."""
        days = []
        for offset in range(8):
            day = first_day + datetime.timedelta(days=offset)
            month, part = day.month - 1, (day.day - 1) / 31
            curve = station["monthly_high"]
            base = curve[month] + (curve[(month + 1) % 12] - curve[month]) * part
            wave = math.sin(day.toordinal() * 1.7 + station["latitude"])
            days.append({
                "date": day.isoformat(),
                "summary": self.summaries[int((wave + 1) / 2 * (len(self.summaries) - 1) + 0.5)],
                "temperatureHigh": round(base + 3 * wave, 1),
                "temperatureLow": round(base + 3 * wave - station["daily_range"], 1),
                "precipProbability": round(max(0.0, min(1.0, 0.45 - 0.4 * wave)), 2),
            })
        return {
            "latitude": position[0], "longitude": position[1], "units": "si",
            "station": station["name"],
            "distance": round(distance_km(position, (station["latitude"], station["longitude"])), 1),
            "currently": {"summary": days[0]["summary"], "temperature": days[0]["temperatureHigh"],
                          "precipProbability": days[0]["precipProbability"]},
            "daily": {"data": days},
        }


class Handler(BaseHTTPRequestHandler):
    """HTTP around a Weather."""

    protocol_version = "HTTP/1.1"
    server_version = "weather/1"
    sys_version = ""
    disable_nagle_algorithm = True
    weather = None

    def answer(self, status, value, **headers):
        body = (json.dumps(value) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        parts = [urllib.parse.unquote(part) for part in path.split("/") if part]
        if len(parts) != 2 or parts[0] != "forecast":
            self.answer(404, {"error": "Not found"})
            return
        try:
            station, position, day = self.weather.find(parts[1])
            if station is None:
                self.answer(404, {"error": "No place of this name is known"})
            else:
                self.answer(200, self.weather.forecast(station, position, day), Cache_Control="max-age=900")
        except (BadRequest, OverflowError) as error:
            self.answer(400, {"error": str(error)})

    do_HEAD = do_GET

    def log_message(self, format, *args):  # quiet: the gateway has the access log
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--port-file", help="where to write the port that was taken")
    options = parser.parse_args()
    Handler.weather = Weather(DATA)
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.daemon_threads = True
    if options.port_file:
        with open(options.port_file + ".new", "w", encoding="ascii") as file:
            file.write(f"{server.server_address[1]}\n")
        os.rename(options.port_file + ".new", options.port_file)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
