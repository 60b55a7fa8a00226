"""Programs with a model: scopes, names, and modules that do more than call functions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from tests.torch.cases import Program, case


@case()
def convolution() -> Program:
    head = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True))
    tail = nn.Sequential(nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(2, 3))
    model, x, target = (
        nn.Sequential(head, tail),
        torch.randn(4, 1, 4, 4),
        torch.tensor([0, 1, 2, 2]),
    )
    return Program(lambda: F.cross_entropy(model(x), target).backward(), model)


@case()
def linear_of_three_dimensions_then_in_place() -> Program:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))
    x = torch.randn(2, 5, 3)
    return Program(lambda: model(x).sum().backward(), model)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.tanh(self.embed(ids)))


@case()
def tied_weights() -> Program:
    model = Tied()
    return Program(lambda: model(torch.tensor([1, 2, 3])).logsumexp(1).sum().backward(), model)


@case()
def module_called_twice() -> Program:
    layer = nn.Linear(3, 3)
    model, x = nn.Sequential(layer, nn.Tanh(), layer), torch.randn(2, 3)
    return Program(lambda: model(x).sum().backward(), model)


class Unregistered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(3, 3), nn.Linear(3, 2)]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return x


@case()
def modules_in_a_plain_list() -> Program:
    model, x = Unregistered(), torch.randn(2, 3)
    leaves = {
        f"layers.{i}.{name}": parameter
        for i, layer in enumerate(model.layers)
        for name, parameter in layer.named_parameters()
    }
    return Program(lambda: model(x).sum().backward(), model, leaves)


@dataclass
class Batch:
    features: Tensor
    extra: dict[str, list[Tensor]]


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, batch: Batch, *, scale: Tensor) -> dict[str, Tensor]:
        mixed = torch.stack([batch.features, batch.extra["more"][0]]).sum(0)
        return {"out": self.layer(mixed) * scale}


@case()
def structures_and_keywords() -> Program:
    model, scale = Nested(), torch.tensor(2.0, requires_grad=True)
    batch = Batch(torch.randn(2, 3), {"more": [torch.randn(2, 3)]})
    return Program(
        lambda: model(batch, scale=scale)["out"].sum().backward(), model, {"scale": scale}
    )


@case()
def lstm() -> Program:
    model, x = nn.LSTM(2, 3, num_layers=2, bidirectional=True), torch.randn(4, 1, 2)

    def run() -> None:
        out, (hidden, _) = model(x)
        (out.sum() + hidden.pow(2).sum()).backward()

    return Program(run, model)


@case()
def gru_of_packed_sequences() -> Program:
    model, x = nn.GRU(2, 3), torch.randn(5, 2, 2, requires_grad=True)

    def run() -> None:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]))
        out, _ = nn.utils.rnn.pad_packed_sequence(model(packed)[0])
        out.pow(2).sum().backward()

    return Program(run, model, {"x": x})


@case()
def cell_in_a_loop() -> Program:
    model, xs = nn.GRUCell(2, 3), torch.randn(3, 1, 2)

    def run() -> None:
        hidden = torch.zeros(1, 3)
        for x in xs:
            hidden = model(x, hidden)
        hidden.sum().backward()

    return Program(run, model)


@case()
def attention_module() -> Program:
    model = nn.MultiheadAttention(4, 2, batch_first=True)
    x = torch.randn(1, 3, 4, requires_grad=True)
    return Program(lambda: model(x, x, x)[0].pow(2).sum().backward(), model)


@case()
def scripted_submodule() -> Program:
    script = torch.jit.script(nn.Sequential(nn.Tanh(), nn.Linear(4, 4)))
    for _ in range(3):  # its executor takes the first runs to settle on a graph
        script(torch.zeros(1, 4, requires_grad=True)).sum().backward()
    script.zero_grad()
    model, x = nn.Sequential(nn.Linear(3, 4), script, nn.Linear(4, 2)), torch.randn(2, 3)
    return Program(lambda: model(x).sum().backward(), model)


@case()
def checkpointed() -> Program:
    model, x = (
        nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Tanh(), nn.Linear(4, 2)),
        torch.randn(2, 3),
    )
    return Program(lambda: checkpoint(model, x, use_reentrant=False).sum().backward(), model)


@case(
    unverifiable="0.weight 0.bias 3.weight 3.bias",
)
def checkpointed_reentrant() -> Program:
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Tanh(), nn.Linear(4, 2))
    x = torch.randn(2, 3, requires_grad=True)

    def run() -> None:
        checkpoint(model, x, use_reentrant=True).sum().backward()

    return Program(run, model, {"x": x})


@case()
def autocast() -> Program:
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(4, 3))
    x, target = torch.randn(2, 4), torch.tensor([0, 1])

    def run() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(x)
        F.cross_entropy(out.float(), target).backward()

    return Program(run, model)


@case()
def grad_scaler() -> Program:
    model, x, scaler = nn.Linear(3, 3), torch.randn(2, 3), torch.amp.GradScaler("cpu")
    return Program(lambda: scaler.scale(model(x).sum()).backward(), model)


@case()
def scaler_and_optimizer() -> Program:
    model, x, scaler = (
        nn.Linear(3, 3),
        torch.randn(2, 3),
        torch.amp.GradScaler("cpu", init_scale=1.0),
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def run() -> None:
        scaler.scale(model(x).sum()).backward()
        scaler.step(optimizer)
        scaler.update()

    return Program(run, model)


@case()
def optimizer_in_the_block() -> Program:
    model, x = nn.Linear(3, 3), torch.randn(2, 3)
    optimizer = torch.optim.Adam(model.parameters())

    def run() -> None:
        model(x).pow(2).sum().backward()
        optimizer.step()

    return Program(run, model)


@case()
def bfloat16_model() -> Program:
    model, x = nn.Linear(3, 3).bfloat16(), torch.randn(2, 3).bfloat16()
    return Program(lambda: model(x).sum().backward(), model)


@case()
def parametrized_weight() -> Program:
    model, x = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), torch.randn(2, 3)
    return Program(lambda: model(x).sum().backward(), model)
