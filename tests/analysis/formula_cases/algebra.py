"""Calls for the formulas of linear algebra."""

# ruff: noqa: N803

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from tests.analysis.formula_cases.cases import (
    CASES,
    SQUARE,
    VECTOR,
    Array,
    Case,
    M,
    Matrix,
    N,
    X,
    Y,
    random,
)

MATRICES = {"A": M, "B": random(4, 2)}
BATCH = {"A": random(2, 3, 4), "B": random(2, 4, 5)}
CASES["matmul"] = Case(torch.matmul, BATCH)
CASES["mm"] = Case(torch.mm, MATRICES)
CASES["bmm"] = Case(torch.bmm, BATCH)
CASES["linear"] = Case(F.linear, {"x": M, "W": random(5, 4), "b": VECTOR})
CASES["addmm"] = Case(torch.addmm, {"b": random(2), **MATRICES})
CASES["baddbmm"] = Case(torch.baddbmm, {"b": random(3, 5), **BATCH})
CASES["addbmm"] = Case(torch.addbmm, {"b": random(3, 5), **BATCH})
CASES["mv"] = Case(torch.mv, {"A": M, "x": random(4)})
CASES["addmv"] = Case(torch.addmv, {"b": random(3), "A": M, "x": random(4)})
CASES["addr"] = Case(torch.addr, {"A": M, "a": random(3), "b": random(4)})
CASES["dot"] = Case(torch.dot, {"u": X, "v": Y})
CASES["inner"] = Case(torch.inner, {"a": M, "b": random(5, 4)})
CASES["outer"] = Case(torch.outer, {"a": X, "b": random(3)})
CASES["linalg_vecdot"] = Case(
    torch.linalg.vecdot,
    {"a": M, "b": N},
    {"sum": lambda a: a.sum(1), "spread": lambda d: d[:, None]},
)
CASES["bilinear"] = Case(
    F.bilinear,
    {"a": random(3, 4), "b": random(3, 5), "W": random(2, 4, 5), "c": random(2)},
    {"contract": lambda *parts: _contract_bilinear(*parts)},
)


def _contract_bilinear(*parts: Array) -> Array:
    letters = {(3, 4): "ni", (3, 5): "nj", (2, 4, 5): "kij", (3, 2): "nk"}
    terms = [letters[part.shape] for part in parts]
    missing = next(term for term in letters.values() if term not in terms)
    return np.einsum(",".join(terms) + "->" + missing, *parts)


CASES["tensordot"] = Case(
    lambda a, b: torch.tensordot(a, b, dims=1),
    {"a": random(2, 3), "b": random(3, 5)},
    {
        "contract": lambda a, b: {
            ((2, 3), (3, 5)): lambda: np.einsum("ij,jk->ik", a, b),
            ((2, 5), (3, 5)): lambda: np.einsum("ik,jk->ij", a, b),
            ((2, 3), (2, 5)): lambda: np.einsum("ij,ik->jk", a, b),
        }[a.shape, b.shape]()
    },
)
CASES["multi_dot"] = Case(
    lambda x: torch.linalg.multi_dot([torch.tensor(MATRICES["A"]), x, torch.tensor(SQUARE)]),
    {"x": random(4, 3)},
    {"A": MATRICES["A"].view(Matrix), "B": SQUARE.view(Matrix)},
)
CASES["einsum"] = Case(
    lambda x: torch.einsum("ij,jk->ik", x, torch.tensor(MATRICES["B"])),
    {"x": M},
    {
        "others": MATRICES["B"],
        "contract": lambda a, b: np.einsum("ij,jk->ik" if a.shape == (3, 4) else "ik,jk->ij", a, b),
    },
)
CASES["kron"] = Case(
    torch.kron,
    {"a": random(2, 3), "b": random(4, 5)},
    {
        "kron": np.kron,
        "contract": lambda d, w: np.einsum(
            "ikjl,kl->ij" if w.shape == (4, 5) else "ikjl,ij->kl", d.reshape(2, 4, 3, 5), w
        ),
    },
)
CASES["cross"] = Case(
    lambda a, b: torch.cross(a, b, dim=-1), {"a": random(4, 3), "b": random(4, 3, seed=1)}
)
CASES["trace"] = Case(torch.trace, {"A": SQUARE})
CASES["det"] = Case(torch.det, {"A": SQUARE})
CASES["logdet"] = Case(torch.logdet, {"A": SQUARE})
CASES["slogdet"] = Case(
    lambda A: torch.linalg.slogdet(A)[1], {"A": SQUARE}, {"value": None, "second": lambda d: d[1]}
)
CASES["inverse"] = Case(torch.linalg.inv, {"A": SQUARE})
CASES["pinverse"] = Case(
    torch.linalg.pinv, {"A": random(3, 3)}, {"pinv": np.linalg.pinv}, lambda y, **_: {"S": y @ y.T}
)
CASES["solve"] = Case(torch.linalg.solve, {"A": SQUARE, "B": random(3, 2)})
CASES["linalg_solve_triangular"] = Case(
    lambda A, B: torch.linalg.solve_triangular(A, B, upper=False),
    {"A": np.tril(SQUARE), "B": random(3, 2)},
    {"tri": np.tril},
)
CASES["matrix_power"] = Case(lambda A: torch.linalg.matrix_power(A, 3), {"A": SQUARE})
SYMMETRIC = SQUARE @ SQUARE.T
CASES["cholesky"] = Case(
    torch.linalg.cholesky,
    {"A": SYMMETRIC},
    {
        "chol": np.linalg.cholesky,
        "phi": lambda S: (np.tril(S) - np.diag(np.diag(S)) / 2).view(Matrix),
        "sym": lambda S: (S + S.T) / 2,
    },
)
CASES["linalg_eigvalsh"] = Case(
    torch.linalg.eigvalsh,
    {"A": SYMMETRIC},
    {"V": np.linalg.eigh(SYMMETRIC)[1].view(Matrix), "eigenvalues": np.linalg.eigvalsh},
)
LEFT, _, RIGHT = np.linalg.svd(M, full_matrices=False)
CASES["linalg_svdvals"] = Case(
    torch.linalg.svdvals,
    {"A": M},
    {
        "U": LEFT.view(Matrix),
        "V": RIGHT.T.view(Matrix),
        "singular_values": lambda A: np.linalg.svd(A, compute_uv=False),
    },
)
CASES["tril"] = Case(torch.tril, {"x": M})
CASES["triu"] = Case(torch.triu, {"x": M})
CASES["diag"] = Case(torch.diag, {"x": VECTOR})
CASES["diagonal"] = Case(torch.diagonal, {"x": SQUARE})
CASES["diag_embed"] = Case(torch.diag_embed, {"x": VECTOR})
CASES["cdist"] = Case(
    torch.cdist,
    {"a": random(3, 2), "b": random(4, 2)},
    {
        "distances": lambda a, b: np.linalg.norm(a[:, None] - b[None], axis=-1),
        "differences": lambda a, b: a[:, None] - b[None],
        "spread": lambda d: d[..., None],
        "axes": {"a": 1, "b": 0},
    },
)
