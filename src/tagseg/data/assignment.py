"""The assignment of rows to columns with the largest sum: which mask id is most likely which class."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray


def best_assignment(gains: Float[ndarray, "R C"]) -> Int64[ndarray, " R"]:
    """The column of each row, each column at most once, with the largest sum of gains.

    The Hungarian method by shortest augmenting paths, O(R² C). SciPy has it too, but nothing else here needs SciPy.

    Args:
        gains: finite; at least as many columns as rows.

    Raises:
        ValueError: fewer columns than rows.
    """
    rows, columns = gains.shape
    if columns < rows:
        raise ValueError(f"{columns} columns for {rows} rows, expected at least as many")
    costs = -gains.astype(np.float64)
    row_price, column_price = np.zeros(rows), np.zeros(columns + 1)
    row_of = np.full(columns + 1, -1)  # the last column is where the search for a new row's column starts
    for row in range(rows):
        _add_row(row, costs, row_price, column_price, row_of)
    assigned = np.zeros(rows, np.int64)
    taken = np.flatnonzero(row_of[:columns] >= 0)
    assigned[row_of[taken]] = taken
    return assigned


def _add_row(row: int, costs: ndarray, row_price: ndarray, column_price: ndarray, row_of: ndarray) -> None:
    """Find the shortest path of changes that gives one row more a column, and make them."""
    columns = costs.shape[1]
    distance, came_from = np.full(columns, np.inf), np.full(columns, columns)
    done = np.zeros(columns + 1, bool)
    column = columns
    row_of[column] = row
    while row_of[column] >= 0:
        done[column] = True
        free = ~done[:columns]
        reduced = costs[row_of[column]] - row_price[row_of[column]] - column_price[:columns]
        nearer = free & (reduced < distance)
        distance[nearer], came_from[nearer] = reduced[nearer], column
        following = int(np.where(free, distance, np.inf).argmin())
        step = distance[following]
        row_price[row_of[done]] += step
        column_price[done] -= step
        distance[free] -= step
        column = following
    while column != columns:
        row_of[column] = row_of[came_from[column]]
        column = int(came_from[column])
    row_of[columns] = -1
