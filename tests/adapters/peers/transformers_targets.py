"""Follow networks of transformers and peft with random weights, and compare every step with the plain loop.

It exits with an error if a network is refused, warned of or followed otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import accelerate
import peft
import torch
import transformers
from torch import nn

from softstep.adapters.torch import Target
from softstep.target import TargetUpdate

TAU, STEPS = 0.25, 3
SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 100,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
IMAGE = {"image_size": 32, "patch_size": 8, **{key: SMALL[key] for key in list(SMALL)[:4]}}


def network(name: str, **settings: Any) -> nn.Module:
    model = getattr(transformers, name)
    return model(model.config_class(**settings))


def gpt2() -> nn.Module:
    return network("GPT2LMHeadModel", n_embd=32, n_layer=2, n_head=4, vocab_size=100, bos_token_id=1, eos_token_id=2)


def with_lora() -> nn.Module:
    return peft.get_peft_model(gpt2(), peft.LoraConfig(target_modules=["c_attn"], r=4, fan_in_fan_out=True))


def prepared() -> nn.Module:
    online = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    return accelerate.Accelerator(cpu=True, mixed_precision="bf16").prepare(online)


ROPE = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "GPT-2, tied": gpt2,
    "BERT": lambda: network("BertForMaskedLM", **SMALL),
    "Llama, dynamic RoPE": lambda: network(
        "LlamaForCausalLM", num_key_value_heads=2, rope_parameters=ROPE, max_position_embeddings=64, **SMALL
    ),
    "T5, shared": lambda: network(
        "T5ForConditionalGeneration", d_model=32, d_ff=64, num_layers=2, num_heads=4, vocab_size=100, d_kv=8
    ),
    "CLIP": lambda: network("CLIPModel", text_config=SMALL, vision_config=IMAGE),
    "Wav2Vec2, weight_norm": lambda: network("Wav2Vec2Model", **SMALL),
    "Decision Transformer": lambda: network(
        "DecisionTransformerModel", hidden_size=32, n_layer=2, n_head=4, state_dim=4, act_dim=2
    ),
    "Mamba": lambda: network("MambaForCausalLM", hidden_size=32, num_hidden_layers=2, vocab_size=100),
    "Mixtral, experts": lambda: network("MixtralForCausalLM", num_key_value_heads=2, num_local_experts=4, **SMALL),
    "ViT-MAE": lambda: network("ViTMAEModel", **IMAGE),
    "DeBERTa": lambda: network("DebertaV2Model", **SMALL),
    "SegFormer, BatchNorm": lambda: network("SegformerForSemanticSegmentation"),
    "GPT-2 with LoRA": with_lora,
    "accelerate, bfloat16": prepared,
}


def check(online: nn.Module, tolerance: float) -> None:
    target = Target(online, TargetUpdate(TAU))
    expected = [parameter.detach().clone() for parameter in target.module.parameters()]
    for _ in range(STEPS):
        with torch.no_grad():
            for parameter in online.parameters():
                parameter.add_(torch.randn_like(parameter) / 10)
            for buffer in online.buffers():
                buffer.add_(1)
            for old, new in zip(expected, online.parameters(), strict=True):
                old.lerp_(new, TAU)
        target.step()
    for parameter, loop in zip(target.module.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), loop, rtol=tolerance, atol=tolerance)
    for buffer, new in zip(target.module.buffers(), online.buffers(), strict=True):
        assert torch.equal(buffer, new)


def main() -> None:
    torch.set_num_threads(1)
    for name, make in NETWORKS.items():
        for dtype, tolerance in ((torch.float32, 0), (torch.float64, 0), (torch.bfloat16, 0.02)):
            torch.manual_seed(0)
            with warnings.catch_warnings():
                warnings.filterwarnings("error", "in torch")  # a target that would stall
                check(make().to(dtype), tolerance)
            print(name, dtype)


main()
