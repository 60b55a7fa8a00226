"""Formulas of operations that make one number of many, or running ones."""

from gradtrace.formulas.rows import tensor

__all__ = ["ROWS"]

LINEAR = "a sum; its transpose spreads what it is given"
CHOICE = "a choice of elements is linear where no two are the same"
MOMENTS = "Ioffe & Szegedy 2015, Batch normalization, section 3"
CORRECTION = "n: number of elements in each sum; c: the correction, 1 in PyTorch, 0 in NumPy"
PRODUCT = "the product rule"

ROWS = (
    tensor("sum", "sum(x)", x="spread(delta)", reference=LINEAR),
    tensor(
        "nansum",
        "sum(m * x)",
        x="m * spread(delta)",
        reference=LINEAR,
        where="m: 0 where x is NaN, else 1",
    ),
    tensor(
        "mean",
        "sum(x) / n",
        x="spread(delta) / n",
        reference=LINEAR,
        where="n: number of elements in each sum",
    ),
    tensor(
        "nanmean",
        "sum(x) / n",
        x="spread(delta) / n",
        reference=LINEAR,
        where="n: number of elements in each sum",
    ),
    tensor("prod", "prod(x)", x="spread(delta * y) / x", reference=PRODUCT, where="at x ≠ 0"),
    tensor(
        "var",
        "sum((x - mean(x))**2) / (n - c)",
        x="2 / (n - c) * spread(delta) * (x - mean(x))",
        reference=MOMENTS,
        where=CORRECTION,
    ),
    tensor(
        "std",
        "sqrt(sum((x - mean(x))**2) / (n - c))",
        x="spread(delta / y) * (x - mean(x)) / (n - c)",
        reference=MOMENTS,
        where=CORRECTION,
    ),
    tensor(
        "var_mean",
        "var(x), mean(x)",
        x="2 / (n - c) * spread(first(delta)) * (x - mean(x)) + spread(second(delta)) / n",
        reference=MOMENTS,
        where=CORRECTION,
    ),
    tensor(
        "std_mean",
        "std(x), mean(x)",
        x="spread(first(delta) / std(x)) * (x - mean(x)) / (n - c) + spread(second(delta)) / n",
        reference=MOMENTS,
        where=CORRECTION,
    ),
    tensor("amax", "max(x)", x="spread(delta) * (x == spread(y))", reference=CHOICE),
    tensor("amin", "min(x)", x="spread(delta) * (x == spread(y))", reference=CHOICE),
    tensor("max", "max(x)", x="spread(delta) * (x == spread(y))", reference=CHOICE),
    tensor("min", "min(x)", x="spread(delta) * (x == spread(y))", reference=CHOICE),
    tensor(
        "aminmax",
        "min(x), max(x)",
        x="spread(first(delta)) * (x == min(x)) + spread(second(delta)) * (x == max(x))",
        reference=CHOICE,
    ),
    tensor("median nanmedian", "median(x)", x="spread(delta) * (x == spread(y))", reference=CHOICE),
    tensor("mode", "mode(x)", x="spread(delta) * (x == spread(y))", reference=CHOICE),
    tensor("kthvalue", "kth(x)", x="spread(delta) * (x == spread(y))", reference=CHOICE),
    tensor(
        "logsumexp special_logsumexp",
        "log(sum(exp(x)))",
        x="spread(delta) * softmax(x)",
        reference="Boyd & Vandenberghe 2004, Convex optimization, section 3.1.5",
    ),
    tensor(
        "norm linalg_norm linalg_vector_norm linalg_matrix_norm frobenius_norm",
        "norm(x)",
        x="spread(delta / y) * x",
        reference="Petersen & Pedersen 2012, The Matrix Cookbook, eq. (131); the Euclidean norm",
        where="at x ≠ 0",
    ),
    tensor(
        "dist",
        "norm(a - b)",
        "a b",
        a="delta / y * (a - b)",
        b="delta / y * (b - a)",
        reference="Petersen & Pedersen 2012, The Matrix Cookbook, eq. (129)",
    ),
    tensor(
        "cumsum",
        "cumsum(x)",
        x="flip(cumsum(flip(delta)))",
        reference="the transpose of a running sum runs backward",
    ),
    tensor(
        "cumprod",
        "cumprod(x)",
        x="flip(cumsum(flip(delta * y))) / x",
        reference=PRODUCT,
        where="at x ≠ 0",
    ),
    tensor(
        "logcumsumexp",
        "log(cumsum(exp(x)))",
        x="exp(x) * flip(cumsum(flip(delta * exp(-y))))",
        reference="the chain rule",
    ),
    tensor(
        "cummax",
        "cummax(x)",
        x="gather_back(delta)",
        reference=CHOICE,
        where="gather_back: adds each δ up at the element that was the maximum",
    ),
    tensor(
        "cummin",
        "cummin(x)",
        x="gather_back(delta)",
        reference=CHOICE,
        where="gather_back: adds each δ up at the element that was the minimum",
    ),
    tensor(
        "diff",
        "after(x) - before(x)",
        x="pad_front(delta) - pad_back(delta)",
        reference="the transpose of a difference",
    ),
    tensor(
        "trapezoid trapz",
        "(sum(after(x)) + sum(before(x))) / 2",
        "x:y,x,self",
        x="(pad_front(spread(delta)) + pad_back(spread(delta))) / 2",
        reference="the transpose of a sum; unit steps",
    ),
)
