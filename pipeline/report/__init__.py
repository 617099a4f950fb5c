"""The page that an analyst opens: one self-contained HTML file a run, and every number on it in `report.json`."""
