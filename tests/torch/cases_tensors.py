"""Programs of plain tensors: writes in place, views, several results, odd types and shapes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from tests.torch.cases import Program, case


@case()
def write_through_a_view() -> Program:
    x, y = torch.randn(4, 3, requires_grad=True), torch.randn(4, requires_grad=True)

    def run() -> None:
        z = x * 2
        z[:, 0] = y
        z.tanh().sum().backward()

    return Program(run, leaves={"x": x, "y": y})


@case()
def write_under_a_view() -> Program:
    x = torch.randn(4, 3, requires_grad=True)

    def run() -> None:
        z = x * 2
        column = z[:, 1]
        column.mul_(3)
        z.tanh_()
        (z.sum() + column.sum()).backward()

    return Program(run, leaves={"x": x})


@case()
def in_place_calls() -> Program:
    x, y = torch.randn(5, requires_grad=True), torch.randn(5, requires_grad=True)

    def run() -> None:
        z = x * 2
        z += y
        z.add_(y, alpha=2)
        torch.neg_(z)
        F.leaky_relu(z, inplace=True)
        z = z.clone()
        z.relu_()
        z.sum().backward()

    return Program(run, leaves={"x": x, "y": y})


@case()
def write_before_the_gradient() -> Program:
    x, rows = torch.randn(3, requires_grad=True), torch.tensor([0, 2])

    def run() -> None:
        z = torch.zeros(4, 3)
        z[rows] = x
        z[1].fill_(1.0)
        (z * z).sum().backward()

    return Program(run, leaves={"x": x})


@case()
def out_argument() -> Program:
    x = torch.randn(3, requires_grad=True)

    def run() -> None:
        mask = torch.empty(3)
        torch.add(torch.ones(3), 1, out=mask)
        (x * mask).sum().backward()

    return Program(run, leaves={"x": x})


@case()
def several_results() -> Program:
    x = torch.randn(6, 4, requires_grad=True)

    def run() -> None:
        a, b, c = x.split(2)
        largest, _ = (a * b).max(1)
        first = torch.unbind(c)[0]
        (largest.sum() * first.sum()).backward()

    return Program(run, leaves={"x": x})


@case()
def named_results() -> Program:
    x = torch.randn(3, 3, requires_grad=True)

    def run() -> None:
        q, r = torch.linalg.qr(x)
        top = torch.topk(r.diagonal(), 2)
        (q.sum() + top.values.sum()).backward()

    return Program(run, leaves={"x": x})


@case()
def both_operands() -> Program:
    x = torch.randn(3, requires_grad=True)

    def run() -> None:
        (x * x + torch.stack([x, x]).sum(0)).sum().backward()

    return Program(run, leaves={"x": x})


@case()
def keyword_operands() -> Program:
    x, w = torch.randn(2, 3, requires_grad=True), torch.randn(4, 3, requires_grad=True)

    def run() -> None:
        F.linear(bias=torch.ones(4), input=x, weight=w).sum().backward()

    return Program(run, leaves={"x": x, "w": w})


@case()
def control_flow() -> Program:
    x = torch.tensor([1.0, 2.0], requires_grad=True)

    def run() -> None:
        y = x * 2
        while y.norm() < 20:
            y = y * 2
        y = y[0] if bool(y.sum() > 0) else y[1].exp()
        y.backward()

    return Program(run, leaves={"x": x})


@case()
def masks_and_indices() -> Program:
    x, wanted = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 2, 1, 1])

    def run() -> None:
        mask = x > 0
        kept = torch.where(mask, x, torch.zeros(()))
        (kept.gather(1, wanted[:, None]) + x[mask].sum()).sum().backward()

    return Program(run, leaves={"x": x})


@case()
def no_grad_and_detach() -> Program:
    x = torch.randn(3, requires_grad=True)

    def run() -> None:
        with torch.no_grad():
            target = x.softmax(0)
        y = x.tanh()
        (y * target + y.detach() * y).sum().backward()

    return Program(run, leaves={"x": x})


@case()
def random_calls() -> Program:
    x = torch.randn(8, requires_grad=True)

    def run() -> None:
        noisy = F.dropout(x, 0.5) + torch.randn(8) + torch.randn_like(x)
        (noisy * torch.bernoulli(torch.full((8,), 0.5))).sum().backward()

    return Program(run, leaves={"x": x})


@case()
def broadcasting() -> Program:
    x, y = torch.randn(3, 1, requires_grad=True), torch.randn(2, requires_grad=True)

    def run() -> None:
        ((x + y) * y - x).sum().backward()

    return Program(run, leaves={"x": x, "y": y})


@case()
def complex_numbers() -> Program:
    x = torch.randn(8, requires_grad=True)

    def run() -> None:
        torch.fft.fft(x).abs().pow(2).sum().backward()

    return Program(run, leaves={"x": x})


@case()
def sparse_operand() -> Program:
    x, s = torch.randn(4, 2, requires_grad=True), torch.eye(4).to_sparse()

    def run() -> None:
        torch.sparse.mm(s, x).pow(2).sum().backward()

    return Program(run, leaves={"x": x})


@case()
def sparse_gradient() -> Program:
    table, ids = nn.Parameter(torch.randn(5, 3)), torch.tensor([1, 2, 2, 4])

    def run() -> None:
        F.embedding(ids, table, sparse=True).pow(2).sum().backward()

    return Program(run, leaves={"table": table})


@case()
def no_elements() -> Program:
    x, s = torch.randn(0, 3, requires_grad=True), torch.tensor(2.0, requires_grad=True)

    def run() -> None:
        ((x * s).sum() + s * s).backward()

    return Program(run, leaves={"x": x, "s": s})


@case()
def half_precision() -> Program:
    x = torch.randn(2, 3, dtype=torch.float16, requires_grad=True)
    w = torch.randn(4, 3, dtype=torch.bfloat16, requires_grad=True)

    def run() -> None:
        F.linear(x.float(), w.float()).tanh().sum().backward()

    return Program(run, leaves={"x": x, "w": w})


@case()
def attention() -> Program:
    q = torch.randn(1, 2, 4, 3, requires_grad=True)
    k, v = torch.randn(1, 2, 5, 3, requires_grad=True), torch.randn(1, 2, 5, 3, requires_grad=True)

    def run() -> None:
        F.scaled_dot_product_attention(q, k, v).pow(2).sum().backward()

    return Program(run, leaves={"q": q, "k": k, "v": v})


@case()
def attention_to_itself() -> Program:
    x = torch.randn(1, 2, 4, 3, requires_grad=True)

    def run() -> None:
        F.scaled_dot_product_attention(x, x, x, is_causal=True).sum().backward()

    return Program(run, leaves={"x": x})


@case(gathers=False)
def inference() -> Program:
    x, w = torch.randn(2, 3), torch.randn(4, 3)

    def run() -> None:
        with torch.inference_mode():
            F.linear(x, w).relu_().sum()

    return Program(run)


@case(gathers=False)
def forward_only() -> Program:
    x = torch.randn(2, 3, requires_grad=True)
    return Program(lambda: (x * x).sum())
