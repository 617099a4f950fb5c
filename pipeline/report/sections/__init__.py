"""The parts of a report. Each says what it found as plain values (`collect`), and draws its charts from these (`charts`).

A section is a module or package with

- `NAME`: its key in report.json, and its template, `templates/<NAME>.html.j2`;
- `TITLE`: its heading, and its entry in the page's navigation;
- `collect(run)`: a dict of JSON values, or None where the run did not come so far. Lists, not dicts, wherever a key would
  come from data: the path of a figure is made of keys and positions;
- `charts(part)`: name -> SVG, drawn from the section's part of report.json and nothing else.
"""
