"""Formulas of elementwise operations on several operands."""

from gradtrace.formulas.rows import elementwise

__all__ = ["ROWS"]

ROWS = (
    elementwise("add radd iadd", "x + y", "x y"),
    elementwise("sub subtract isub", "x - y", "x y"),
    elementwise("rsub", "y - x", "x y"),
    elementwise("mul multiply rmul imul", "x*y", "x y"),
    elementwise("div divide true_divide truediv itruediv idiv", "x/y", "x y"),
    elementwise("rdiv rtruediv", "y/x", "x y"),
    elementwise("pow power ipow", "x**p", "x p:exponent,other,1,y,x2"),
    elementwise("rpow", "c**x", "x c:other,1"),
    elementwise("float_power", "x**p", "x p:exponent,other,1"),
    elementwise("maximum", "Piecewise((x, x > y), (y, True))", "x y"),
    elementwise("minimum", "Piecewise((x, x < y), (y, True))", "x y"),
    elementwise("fmax", "Piecewise((x, x > y), (y, True))", "x y"),
    elementwise("fmin", "Piecewise((x, x < y), (y, True))", "x y"),
    elementwise("atan2 arctan2", "atan(x/y)", "x y", where="up to a constant"),
    elementwise("hypot", "sqrt(x**2 + y**2)", "x y"),
    elementwise("fmod", "x - k*y", "x y", where="k = trunc(x/y), locally constant"),
    elementwise("remainder mod", "x - k*y", "x y", where="k = floor(x/y), locally constant"),
    elementwise("copysign", "k*x", "x y", where="k = sign(x)·sign(y), locally constant"),
    elementwise("lerp", "x + w*(y - x)", "x y:end,1 w:weight", where="w: weight"),
    elementwise("addcmul", "x + c*a*b", "x a:tensor1 b:tensor2", where="c: value, 1 unless told"),
    elementwise("addcdiv", "x + c*a/b", "x a:tensor1 b:tensor2", where="c: value, 1 unless told"),
    elementwise("logaddexp", "log(exp(x) + exp(y))", "x y"),
    elementwise("logaddexp2", "log(2**x + 2**y)/log(2)", "x y"),
    elementwise("xlogy special_xlogy", "x*log(y)", "x y"),
    elementwise("special_xlog1py", "x*log(1 + y)", "x y"),
    elementwise("ldexp", "x*2**y", "x y"),
    elementwise(
        "where",
        "m*x + (1 - m)*y",
        "x:self,input,1,x y:other,2,y m:condition,0",
        where="m: 1 where the condition holds, else 0",
    ),
    elementwise(
        "masked_fill", "(1 - m)*x + m*c", "x c:value m:mask", where="m: 1 where filled, else 0"
    ),
)
