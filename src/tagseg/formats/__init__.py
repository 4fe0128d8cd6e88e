"""Label maps written for other tools: one file for each format, registered in ``table.py``. Needs no PyTorch."""
