"""The HTML page of a report: a file for each kind of chart and for each section."""
