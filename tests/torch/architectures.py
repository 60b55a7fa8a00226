"""Architectures of the transformers library, with random weights and as small as they go."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import transformers as tf

__all__ = ["ARCHITECTURES", "Architecture"]

Architecture = tuple[Callable[[], nn.Module], Callable[[nn.Module], Tensor]]
"""What makes the model, and what computes its loss."""

TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 50,
}

VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 16,
    "patch_size": 4,
}

LLAMA = {**TEXT, "num_key_value_heads": 2}

CONVOLUTIONS = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_labels": 3}

WHISPER = {
    "vocab_size": 50,
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "num_mel_bins": 8,
    "max_source_positions": 8,
    "max_target_positions": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def ids() -> Tensor:
    return torch.randint(0, 50, (2, 8))


def on_text(model: Any) -> Tensor:
    return model(ids(), labels=ids()).loss


def on_images(size: int) -> Callable[[Any], Tensor]:
    return lambda model: model(torch.randn(2, 3, size, size), labels=torch.tensor([0, 1])).loss


def on_speech(model: Any) -> Tensor:
    return model(torch.randn(2, 8, 16), labels=ids()).loss


def on_both(model: Any) -> Tensor:
    return model(input_ids=ids(), pixel_values=torch.randn(2, 3, 16, 16), return_loss=True).loss


def gpt2() -> nn.Module:
    config = tf.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=50, n_positions=16)
    return tf.GPT2LMHeadModel(config)


def mamba() -> nn.Module:
    config = tf.MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, state_size=4)
    return tf.MambaForCausalLM(config)


def t5() -> nn.Module:
    sizes = {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2}
    return tf.T5ForConditionalGeneration(
        tf.T5Config(**sizes, num_heads=4, decoder_start_token_id=0)
    )


def resnet() -> nn.Module:
    return tf.ResNetForImageClassification(tf.ResNetConfig(embedding_size=8, **CONVOLUTIONS))


def distilbert() -> nn.Module:
    config = tf.DistilBertConfig(vocab_size=50, dim=32, n_layers=2, n_heads=4, hidden_dim=48)
    return tf.DistilBertForMaskedLM(config)


def clip() -> nn.Module:
    text = {**TEXT, "max_position_embeddings": 16, "eos_token_id": 2}
    return tf.CLIPModel(tf.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16))


def opt() -> nn.Module:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "ffn_dim": 48, "num_attention_heads": 4}
    more = {"vocab_size": 50, "max_position_embeddings": 16, "word_embed_proj_dim": 32}
    return tf.OPTForCausalLM(tf.OPTConfig(**sizes, **more))


ARCHITECTURES: dict[str, Architecture] = {
    "gpt2": (gpt2, on_text),
    "llama": (lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**LLAMA)), on_text),
    "bert": (lambda: tf.BertForMaskedLM(tf.BertConfig(**TEXT)), on_text),
    "mamba": (mamba, on_text),
    "t5": (t5, on_text),
    "vit": (
        lambda: tf.ViTForImageClassification(tf.ViTConfig(**VISION, num_labels=3)),
        on_images(16),
    ),
    "resnet": (resnet, on_images(32)),
    "mixtral": (
        lambda: tf.MixtralForCausalLM(tf.MixtralConfig(**LLAMA, num_local_experts=3)),
        on_text,
    ),
    "distilbert": (distilbert, on_text),
    "qwen2": (lambda: tf.Qwen2ForCausalLM(tf.Qwen2Config(**LLAMA)), on_text),
    "gemma": (lambda: tf.GemmaForCausalLM(tf.GemmaConfig(**LLAMA, head_dim=8)), on_text),
    "whisper": (
        lambda: tf.WhisperForConditionalGeneration(tf.WhisperConfig(**WHISPER)),
        on_speech,
    ),
    "clip": (clip, on_both),
    "convnext": (
        lambda: tf.ConvNextForImageClassification(tf.ConvNextConfig(num_stages=2, **CONVOLUTIONS)),
        on_images(32),
    ),
    "electra": (
        lambda: tf.ElectraForMaskedLM(tf.ElectraConfig(**TEXT, embedding_size=16)),
        on_text,
    ),
    "opt": (opt, on_text),
}
