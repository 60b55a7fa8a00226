"""Formulas of operations that arrange elements anew."""

from gradtrace.formulas.rows import Row, tensor

__all__ = ["ROWS"]

ORTHOGONAL = "an arrangement is orthogonal: its transpose takes it back"
COPIES = "the transpose of copying adds up"


def _back(
    ops: str,
    name: str,
    back: str | None = None,
    operands: str = "x",
    *,
    reference: str = ORTHOGONAL,
) -> Row:
    """Return the row of an arrangement that `back` undoes."""
    return tensor(ops, f"{name}(x)", operands, x=f"{back or name}(delta)", reference=reference)


PARTS = "x:tensors,0,arrays,tup,1,2,3"

ROWS = (
    _back("view view_as unsafe_view _unsafe_view UnsafeView", "reshape"),
    _back("reshape reshape_as ravel", "reshape"),
    _back("flatten", "reshape"),
    _back("unflatten", "reshape"),
    _back("squeeze", "reshape"),
    _back("unsqueeze expand_dims", "reshape"),
    _back("atleast_1d atleast_2d atleast_3d", "reshape", operands="x:tensors,self,input,0"),
    _back("contiguous", "copy"),
    _back("clone copy", "copy"),
    _back("to type type_as double float half bfloat16 _to_copy to_copy astype cast", "convert"),
    tensor("T t H mT mH adjoint", "x.T", "x", x="delta.T", reference=ORTHOGONAL),
    _back("transpose swapaxes swapdims", "swap", operands="x"),
    _back("permute", "permute", "permute_back"),
    _back("movedim moveaxis", "permute", "permute_back"),
    _back("flip fliplr flipud", "flip"),
    _back("roll", "roll", "roll_back"),
    _back("rot90", "rotate", "rotate_back"),
    _back("channel_shuffle", "shuffle", "shuffle_back"),
    _back("pixel_shuffle", "shuffle", "shuffle_back"),
    _back("pixel_unshuffle", "shuffle", "shuffle_back"),
    _back(
        "cat concat concatenate",
        "joined",
        "part",
        PARTS,
        reference="the transpose of joining takes its part",
    ),
    _back("stack", "joined", "part", PARTS, reference="the transpose of joining takes its part"),
    _back("hstack", "joined", "part", PARTS, reference="the transpose of joining takes its part"),
    _back(
        "vstack row_stack",
        "joined",
        "part",
        PARTS,
        reference="the transpose of joining takes its part",
    ),
    _back("split split_with_sizes unsafe_split unsafe_split_with_sizes", "parts", "joined"),
    _back("chunk unsafe_chunk", "parts", "joined"),
    _back("tensor_split hsplit vsplit", "parts", "joined"),
    _back("unbind", "parts", "joined"),
    _back("expand expand_as broadcast_to", "spread", "sum", reference=COPIES),
    _back("repeat tile", "tile", "sum_of_tiles", reference=COPIES),
    _back(
        "repeat_interleave", "repeat", "sum_of_copies", "x:self,input,0,repeats", reference=COPIES
    ),
    _back(
        "pad constant_pad_nd",
        "pad",
        "crop",
        reference="the transpose of padding with a constant crops",
    ),
    _back("unfold", "windows", "sum_of_windows", reference=COPIES),
    _back("fold col2im", "sum_of_windows", "windows", reference=COPIES),
)
