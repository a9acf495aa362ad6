"""The table of deliberate deviations: deviations.md, rows of | exchange id glob | reason |."""
import fnmatch


class Deviations:
    def __init__(self, path):
        self.rows = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            cells = [c.strip().strip("`") for c in line.strip().strip("|").split("|")]
            if len(cells) >= 2 and "/" in cells[0] and not cells[0].startswith("-"):
                self.rows[cells[0]] = 0

    def covers(self, exchange_id):
        for glob in self.rows:
            if fnmatch.fnmatch(exchange_id, glob):
                self.rows[glob] += 1
                return True
        return False

    def unused(self):
        return [glob for glob, hits in self.rows.items() if hits == 0]
