"""Shared inputs of the recorded values: 4 and 3 seeds on 10 prompts in three categories of equal weight."""

import numpy as np

CAT = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
W = np.full(3, 1 / 3)
A = np.array(
    [
        [0.9, 0.5, 1.0, 0.7, 0.4, 0.8, 0.6, 1.0, 0.3, 0.9],
        [0.8, 0.6, 1.0, 0.5, 0.6, 0.8, 0.4, 1.0, 0.2, 0.7],
        [1.0, 0.5, 0.9, 0.8, 0.5, 0.9, 0.7, 1.0, 0.5, 0.8],
        [0.7, 0.4, 1.0, 0.6, 0.3, 0.7, 0.6, 0.9, 0.4, 0.8],
    ]
)
B = np.array(
    [
        [0.7, 0.4, 0.9, 0.6, 0.5, 0.6, 0.3, 0.8, 0.2, 0.7],
        [0.6, 0.5, 0.8, 0.4, 0.2, 0.7, 0.5, 0.9, 0.1, 0.6],
        [0.8, 0.3, 1.0, 0.5, 0.4, 0.6, 0.4, 1.0, 0.3, 0.5],
    ]
)
A_MISSING = A.copy()
A_MISSING[0, 3] = A_MISSING[2, 8] = np.nan
CORRECT = np.array([2.0, 1, 3, 2, 4, 1, 2, 3, 1, 5])
QUESTIONS = np.array([2.0, 3, 4, 3, 5, 4, 2, 3, 3, 6])


def close(value, expected, tol=1e-6):
    """Whether a number, a pair or a nested sequence agrees with the recorded one to `tol` absolute."""
    np.testing.assert_allclose(np.asarray(value, float), np.asarray(expected, float), rtol=0, atol=tol)
    return True
