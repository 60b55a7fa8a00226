"""Formulas of activation functions."""

from gradtrace.formulas.rows import elementwise, tensor

__all__ = ["ROWS"]

ROWS = (
    elementwise("relu", "Piecewise((x, x > 0), (0, True))", sign="relu"),
    elementwise("relu6", "Piecewise((0, x < 0), (6, x > 6), (x, True))", sign="relu6"),
    elementwise(
        "leaky_relu rrelu", "Piecewise((x, x > 0), (alpha*x, True))", where="alpha: negative_slope"
    ),
    elementwise("prelu", "Piecewise((x, x > 0), (w*x, True))", "x w:weight"),
    elementwise(
        "elu", "Piecewise((x, x > 0), (alpha*(exp(x) - 1), True))", where="alpha: 1 unless told"
    ),
    elementwise(
        "celu",
        "Piecewise((x, x > 0), (alpha*(exp(x/alpha) - 1), True))",
        where="alpha: 1 unless told",
    ),
    elementwise(
        "selu",
        "1.0507009873554804934*Piecewise((x, x > 0), (1.6732632423543772848*(exp(x) - 1), True))",
        sign="selu",
    ),
    elementwise("gelu", "x*(1 + erf(x/sqrt(2)))/2", sign="gelu", where="with approximate='none'"),
    elementwise("silu swish", "x/(1 + exp(-x))", sign="silu"),
    elementwise("mish", "x*tanh(log(1 + exp(x)))", sign="mish"),
    elementwise("sigmoid expit special_expit", "1/(1 + exp(-x))", sign="σ"),
    elementwise("logsigmoid log_sigmoid log_sigmoid_forward", "-log(1 + exp(-x))"),
    elementwise("softplus", "log(1 + exp(beta*x))/beta", where="beta: 1 unless told"),
    elementwise("softsign", "x/(1 + Abs(x))"),
    elementwise("tanhshrink", "x - tanh(x)"),
    elementwise(
        "hardtanh",
        "Piecewise((lower, x < lower), (upper, x > upper), (x, True))",
        where="lower: min_val; upper: max_val",
    ),
    elementwise("hardsigmoid", "Piecewise((0, x < -3), (1, x > 3), (x/6 + 1/2, True))"),
    elementwise("hardswish", "Piecewise((0, x < -3), (x, x > 3), (x**2/6 + x/2, True))"),
    elementwise(
        "hardshrink", "Piecewise((x, Abs(x) > lambda_), (0, True))", where="lambda_: lambd"
    ),
    elementwise(
        "softshrink",
        "Piecewise((x - lambda_, x > lambda_), (x + lambda_, x < -lambda_), (0, True))",
        where="lambda_: lambd",
    ),
    elementwise("threshold", "Piecewise((x, x > c), (s, True))", where="c: threshold, s: value"),
    elementwise(
        "dropout feature_dropout dropout1d dropout2d dropout3d",
        "x*k",
        where="k: 0 where dropped, 1/(1 − p) elsewhere",
    ),
    tensor(
        "glu",
        "left(x) * sigma(right(x))",
        x="join(delta * sigma(r), delta * left(x) * sigma(r) * (1 - sigma(r)))",
        reference="Dauphin et al. 2017, Gated convolutional networks, eq. (1)",
        where="r: the second half of x",
    ),
)
