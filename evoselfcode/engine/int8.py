"""Linear layers in 8-bit integers, for drawing samples on a CPU.

A CPU multiplies bytes four times as fast as float32, and a step with few rows takes as long as reading the weights.
Each output of a layer has a scale of its own, and so has each row of what comes in, as in LLM.int8() (Dettmers et al.
2022) without its part for outliers. Sums of integers are exact, so a row's outputs do not depend on the rows beside it.
Used by `engine/local.py` where `int8` is set; texts are scored, and models trained, in float32.
"""
import copy

import torch


def in_bytes(values):
    "Round each row of `values` to -127..127; return these (int8) and the scale of each row (rows x 1, float32)."
    scale = (values.abs().amax(-1, keepdim=True)/127).clamp(min=1e-12)
    return (values/scale).round().to(torch.int8), scale


class Int8Linear(torch.nn.Module):
    "What `linear` computes, with weights and inputs rounded to 8 bits."

    def __init__(self, linear: torch.nn.Linear):
        super().__init__()
        weight, self.scale = in_bytes(linear.weight.data)
        self.weight, self.scale, self.bias = weight.T, self.scale.T, linear.bias

    def forward(self, x):
        inputs, scale = in_bytes(x.flatten(0, -2))
        out = torch._int_mm(inputs, self.weight)*scale*self.scale
        if self.bias is not None: out += self.bias
        return out.view(*x.shape[:-1], -1).to(x.dtype)


def in_int8(model):
    "Copy a model with its linear layers in int8; everything else is the model's own."
    own = {id(part): part for part in [*model.parameters(), *model.buffers()]}
    model = copy.deepcopy(model, own)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is torch.nn.Linear: setattr(module, name, Int8Linear(child))
    return model
