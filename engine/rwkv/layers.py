"""A layer of any generation, made by its number; runs nothing."""

from __future__ import annotations

from torch import nn

from engine.rwkv import v4, v6, v7_layers
from engine.rwkv.block import Block
from engine.rwkv.config import Config


def new_block(config: Config, layer: int) -> Block:
    """Layer number `layer`, its weights not filled yet."""
    att: nn.Module
    ffn: nn.Module
    match config.generation:
        case "7":
            att, ffn = v7_layers.TimeMix(config, layer), v7_layers.ChannelMix(config)
        case "6":
            att, ffn = v6.TimeMix6(config), v6.ChannelMix6(config)
        case "5.2":
            att, ffn = v6.TimeMix5(config), v4.ChannelMix(config)
        case _:
            att, ffn = v4.TimeMix(config), v4.ChannelMix(config)
    return Block(config, layer, att, ffn)
