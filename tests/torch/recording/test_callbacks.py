"""Recordings of the loops of other libraries, against what their models tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import gradtrace
from tests.torch.recording.oracle import Truth, assert_recorded

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the libraries


class Watched(nn.Module):
    """Tells what its gradients were, from hooks that torch runs as they arrive."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 1)
        self.found: dict[str, list[Tensor]] = {}

    def watch(self) -> None:
        for name, parameter in self.named_parameters():
            parameter.register_post_accumulate_grad_hook(
                lambda p, name=name: self.found.setdefault(name, []).append(p.grad.clone())
            )

    def truth(self, micro: int = 1) -> Truth:
        truth = Truth()
        for name, gradients in self.found.items():
            for step, gradient in enumerate(gradients[micro - 1 :: micro]):
                truth.tell(step, "unclipped gradient", name, gradient)
        return truth


@pytest.mark.parametrize("micro", [1, 2])
def test_lightning(tmp_path: Path, micro: int) -> None:
    pytest.importorskip("lightning")
    from lightning.pytorch import LightningModule, Trainer

    from gradtrace_torch.callbacks import LightningRecorder

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = Watched()
            self.losses: list[float] = []

        def training_step(self, batch: Any, index: int) -> Tensor:
            loss = self.net.last(self.net.first(batch[0]).relu()).pow(2).mean()
            self.losses.append(loss.item())
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module = Module()
    module.net.watch()
    loader = DataLoader(TensorDataset(torch.randn(24, 4)), batch_size=4)
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=0.01,
        accumulate_grad_batches=micro,
        callbacks=[LightningRecorder(tmp_path / "run")],
        default_root_dir=tmp_path,
    )
    trainer.fit(module, loader)
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == list(range(6 // micro))
    truth = Truth()
    for (step, of, node, name), number in module.net.truth(micro).found.items():
        truth.say(step, of, f"net.{node}", **{name: number})
    assert_recorded(tmp_path / "run", truth)
    losses = torch.tensor(module.losses).reshape(-1, micro).mean(dim=1).tolist()
    assert run.scalar("loss")[1].tolist() == pytest.approx(losses)
    clipped = run.matrix("gradient", "norm").values
    assert (clipped**2).sum(axis=1) ** 0.5 == pytest.approx([0.01] * (6 // micro), rel=1e-3)
    assert run.state == "finished"
    assert run.matrix("update", "norm").values.min() > 0


def test_lightning_closes_what_failed(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    from lightning.pytorch import LightningModule, Trainer

    from gradtrace_torch.callbacks import LightningRecorder

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(4, 1)

        def training_step(self, batch: Any, index: int) -> Tensor:
            if index == 2:
                raise RuntimeError("planned")
            return self.net(batch[0]).sum()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    module = Module()
    with pytest.raises(RuntimeError, match="planned"):
        Trainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            callbacks=[LightningRecorder(tmp_path / "run")],
        ).fit(module, DataLoader(TensorDataset(torch.randn(24, 4)), batch_size=4))
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == [0, 1]
    assert run.state == "stopped"
    assert not module.net._forward_hooks


@pytest.mark.parametrize("micro", [1, 2])
def test_trainer(tmp_path: Path, micro: int) -> None:
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    from gradtrace_torch.callbacks import TrainerRecorder

    class Rows(Dataset[Any]):
        def __len__(self) -> int:
            return 24

        def __getitem__(self, index: int) -> Any:
            generator = torch.Generator().manual_seed(index)
            return {"x": torch.randn(4, generator=generator), "labels": torch.ones(1)}

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Watched()

        def forward(self, x: Tensor, labels: Tensor) -> Any:
            scores = self.net.last(self.net.first(x).relu())
            return {"loss": (scores - labels).pow(2).mean(), "logits": scores}

    model = Model()
    model.net.watch()
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path / "out"),
            per_device_train_batch_size=4,
            gradient_accumulation_steps=micro,
            max_grad_norm=0.01,
            num_train_epochs=1,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
        ),
        train_dataset=Rows(),
        callbacks=[TrainerRecorder(tmp_path / "run")],
    )
    trainer.train()
    run = gradtrace.open_recording(tmp_path / "run")
    assert run.steps.tolist() == list(range(6 // micro))
    truth = Truth()
    for (step, of, node, name), number in model.net.truth(micro).found.items():
        truth.say(step, of, f"net.{node}", **{name: number})
    assert_recorded(tmp_path / "run", truth)
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert run.scalar("loss")[1].tolist() == pytest.approx(logged, abs=1e-3)
    clipped = run.matrix("gradient", "norm").values
    assert (clipped**2).sum(axis=1) ** 0.5 == pytest.approx([0.01] * (6 // micro), rel=1e-3)
    assert run.facts["config"]["max_grad_norm"] == 0.01


def test_the_plot_of_the_forums(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(2, 2))
    model[2].requires_grad_(False)
    model(torch.randn(5, 4)).sum().backward()
    figure = gradtrace.plot_grad_flow(model.named_parameters())
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "0.weight",
        "1.weight",
        "2.weight",
    ]
    largest, mean = ([bar.get_height() for bar in bars] for bars in axes.containers)
    for index in range(2):
        magnitude = model[index].weight.grad.abs()
        assert largest[index] == pytest.approx(magnitude.max().item())
        assert mean[index] == pytest.approx(magnitude.mean().item())
    assert largest[2] != largest[2], "no gradient is no bar, not one of 0"
    figure.savefig(tmp_path / "flow.png")
    with pytest.raises(gradtrace.OptionError, match=r"pass model\.named_parameters"):
        gradtrace.plot_grad_flow([])
