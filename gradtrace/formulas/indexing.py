"""Formulas of operations that select elements, or put them somewhere."""

from gradtrace.formulas.rows import Row, tensor

__all__ = ["ROWS"]

SELECTION = "the transpose of a selection puts back, and adds up what is put twice"
INTO = "what is overwritten has no derivative"


def _select(ops: str, operands: str = "x") -> Row:
    return tensor(ops, "select(x)", operands, x="put_back(delta)", reference=SELECTION)


ROWS = (
    _select("getitem index slice"),
    _select("select"),
    _select("narrow"),
    _select("gather"),
    _select("index_select"),
    _select("take"),
    _select("take_along_dim take_along_axis"),
    _select("masked_select"),
    _select("embedding", "x:weight,1"),
    tensor(
        "embedding_bag",
        "sum(select(x))",
        "x:weight,1",
        x="put_back(spread(delta))",
        reference=SELECTION,
        where="mode='sum'",
    ),
    _select("sort msort"),
    _select("topk"),
    tensor(
        "setitem",
        "(1 - m) * x + put(v)",
        "x:self,0,input v:2,value",
        x="(1 - m) * delta",
        v="select(delta)",
        reference=INTO,
        where="m: 1 where overwritten, else 0",
    ),
    tensor(
        "scatter",
        "(1 - m) * x + put(v)",
        "x:self,input v:src",
        x="(1 - m) * delta",
        v="select(delta)",
        reference=INTO,
        where="m: 1 where overwritten, else 0",
    ),
    tensor(
        "select_scatter",
        "(1 - m) * x + put(v)",
        "x:self,input v:src",
        x="(1 - m) * delta",
        v="select(delta)",
        reference=INTO,
        where="m: 1 where overwritten, else 0",
    ),
    tensor(
        "index_copy",
        "(1 - m) * x + put(v)",
        "x:self,input v:source",
        x="(1 - m) * delta",
        v="select(delta)",
        reference=INTO,
        where="m: 1 where overwritten, else 0",
    ),
    tensor(
        "masked_scatter",
        "(1 - m) * x + put(v)",
        "x:self,input v:source",
        x="(1 - m) * delta",
        v="select(delta)",
        reference=INTO,
        where="m: 1 where overwritten, else 0",
    ),
    tensor(
        "index_put",
        "(1 - m) * x + put(v)",
        "x:self,input v:values",
        x="(1 - m) * delta",
        v="select(delta)",
        reference=INTO,
        where="m: 1 where overwritten, else 0",
    ),
    tensor(
        "index_fill",
        "(1 - m) * x + m * c",
        "x c:value",
        x="(1 - m) * delta",
        c="sum(m * delta)",
        reference=INTO,
        where="m: 1 where overwritten, else 0",
    ),
    tensor(
        "scatter_add",
        "x + put(v)",
        "x:self,input v:src",
        x="delta",
        v="select(delta)",
        reference="a sum",
    ),
    tensor(
        "index_add",
        "x + put(v)",
        "x:self,input v:source",
        x="delta",
        v="select(delta)",
        reference="a sum",
    ),
)
