"""Keys and values while a model writes: buffers that grow in place, and prompts kept once for all rows behind them.

transformers' `DynamicLayer` concatenates: every new token copies the whole cache. With a small model and a few hundred
rows that copy is most of the time. `GrowingLayer` owns a buffer with room to spare, a new token is written into it, and
attention reads a view.

N candidates of one prompt differ in what they have written, not in the prompt. `generate` copies the prompt's keys and
values for each of them; with prompts longer than answers, reading these copies is most of a step. `Prompts` stacks the
queries of a prompt's rows, which meet its keys in one product. What a row wrote itself is attended to as ever, and the
two halves are joined by their normalisers (as in "online softmax", Milakov and Gimelshein 2018), which is exact.
Used by `engine/batching.py` after the prefill, for models where `works` finds the same logits as without.
"""
from contextlib import contextmanager
from types import SimpleNamespace

import torch
from transformers import AttentionInterface, DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64  # tokens by which a full buffer grows
NAME = "shared_prompts"
_active = []  # the prompts of the forward pass under way, as a stack


class GrowingLayer(DynamicLayer):
    "A `DynamicLayer` (keys and values: rows x heads x tokens x width) that appends without copying."

    def __init__(self, layer: DynamicLayer):
        super().__init__()
        self.lazy_initialization(layer.keys, layer.values)
        self.length, self.buffers = 0, None
        self.keys, self.values = layer.keys[..., :0, :], layer.values[..., :0, :]
        self.update(layer.keys, layer.values)

    def update(self, key_states, value_states, *args, **kwargs):
        "Append `key_states` and `value_states`; return all keys and all values."
        start, self.length = self.length, self.length + key_states.shape[-2]
        if self.buffers is None or self.length > self.buffers[0].shape[-2]:
            old, self.buffers = (self.keys, self.values), []
            for states, kept in zip((key_states, value_states), old):
                shape = (*states.shape[:-2], self.length + ROOM, states.shape[-1])
                self.buffers.append(states.new_empty(shape))
                self.buffers[-1][..., :start, :] = kept
        for buffer, states in zip(self.buffers, (key_states, value_states)):
            buffer[..., start:self.length, :] = states
        self._view()
        return self.keys, self.values

    def batch_select_indices(self, indices):
        "Keep only the rows `indices`."
        self.buffers = [buffer[indices] for buffer in self.buffers]
        self._view()

    def _view(self):
        self.keys, self.values = (buffer[..., :self.length, :] for buffer in self.buffers)


def grow_in_place(cache):
    "Replace the plain dynamic layers of `cache`; sliding-window and other layers stay as they are."
    cache.layers = [
        GrowingLayer(layer) if type(layer) is DynamicLayer and layer.is_initialized else layer for layer in cache.layers
    ]
    return cache


def on_the_right(parts, dim):
    "Join rows of different widths (`dim`, a negative number) along the first dimension, with zeros before short ones."
    width = max(part.shape[dim] for part in parts)
    return torch.cat([torch.nn.functional.pad(p, (0, 0)*(-1 - dim) + (width - p.shape[dim], 0)) for p in parts])


class Prompts:
    "Keys and values of prompts (per layer: prompts x heads x tokens x width), and which row continues which."

    def __init__(self, model, cache, mask, owner):
        self.model = model
        self._start([(layer.keys, layer.values) for layer in cache.layers], mask, owner)

    def _start(self, layers, mask, owner):
        self.layers, self.mask = layers, mask
        self.hidden = None if mask.all() else mask[:, None, None] == 0
        self.rows = DynamicCache(config=self.model.config)  # what the rows wrote themselves
        self.rows.layers = [
            GrowingLayer(SimpleNamespace(keys=keys[owner, :, :0], values=values[owner, :, :0]))
            for keys, values in self.layers
        ]
        self.assign(owner)

    def assign(self, owner):
        "Say which prompt each row continues; prompts that no row continues are dropped."
        alive, owner = owner.unique(return_inverse=True)
        if len(alive) < len(self.layers[0][0]):
            self.layers = [(keys[alive], values[alive]) for keys, values in self.layers]
            self.mask = self.mask[alive]
            if self.hidden is not None: self.hidden = self.hidden[alive]
        order, counts = owner.argsort(stable=True), owner.bincount()
        first = counts.cumsum(0) - counts
        self.owner, self.most = owner, int(counts.max())
        self.place = torch.empty_like(owner)  # of each row in the grid of prompts x most rows of one
        self.place[order] = owner[order]*self.most + torch.arange(len(owner), device=owner.device) - first[owner[order]]
        self.filled = owner.new_zeros(len(counts)*self.most)  # the row at each place; an empty one computes row 0 again
        self.filled[self.place] = torch.arange(len(owner), device=owner.device)

    def keep(self, rows):
        "Keep only the rows `rows`, and the prompts that they continue."
        self.rows.batch_select_indices(rows)
        self.assign(self.owner[rows])

    def enter(self, parts):
        """Add a row for each prompt of `parts` (cache and mask of each, as `prefill` gives them).

        What the other rows wrote themselves is from now on the end of their prompts.
        """
        written = self.rows.layers[0].length
        mask = torch.cat([self.mask[self.owner], self.mask.new_ones(len(self.owner), written)], 1)
        begin = int(mask.any(0).int().argmax())  # columns before it hold padding alone
        for i, rows in enumerate(self.rows.layers):
            old = zip(self.layers[i], (rows.keys, rows.values))
            old = [torch.cat([prompt[self.owner], own], -2)[..., begin:, :] for prompt, own in old]
            new = zip(*((cache.layers[i].keys, cache.layers[i].values) for cache, _ in parts))
            self.layers[i] = tuple(on_the_right([a, *b], -2) for a, b in zip(old, new))
            rows.buffers = None
            for cache, _ in parts: cache.layers[i] = None  # one layer at a time is there twice
        mask = on_the_right([mask[:, begin:], *(new for _, new in parts)], -1)
        self._start(self.layers, mask, torch.arange(len(mask), device=mask.device))

    @contextmanager
    def attended(self):
        "Have the model's attention see the prompts."
        config = self.model.config
        plain, config._attn_implementation = config._attn_implementation, NAME
        _active.append(self)
        try:
            yield
        finally:
            _active.pop()
            config._attn_implementation = plain

    def of_prompt(self, layer, query, scaling):
        "Attend from queries (rows x key heads x queries of each x width) to the rows' prompts."
        keys, values = self.layers[layer]
        heads, group, width = query.shape[1:]
        grid = query[self.filled].view(-1, self.most, heads, group, width).transpose(1, 2).flatten(2, 3)
        found = attend(grid, keys, values, scaling, self.hidden)
        return [
            part.view(-1, heads, self.most, group, part.shape[-1]).transpose(1, 2).flatten(0, 1)[self.place]
            for part in found
        ]


def attend(query, keys, values, scaling, hidden=None):
    "Softmax attention and the logarithm of its normaliser, in float32 at least; `hidden`: what not to see."
    wide = torch.promote_types(query.dtype, torch.float32)
    scores = (query @ keys.transpose(-1, -2)).to(wide)*scaling
    if hidden is not None: scores = scores.masked_fill(hidden, -torch.inf)
    total = scores.logsumexp(-1, keepdim=True)
    return ((scores - total).exp().to(values.dtype) @ values).to(wide), total


def forward(module, query, key, value, attention_mask=None, scaling=None, dropout=0.0, **more):
    "One query per row over its prompt and its own tokens, in the form that transformers' models call."
    for name in ("softcap", "s_aux", "sliding_window", "position_bias"):
        if more.get(name) is not None: raise NotImplementedError(name)
    rows, heads, _, width = query.shape
    query = query.view(rows, key.shape[1], heads//key.shape[1], width)
    if scaling is None: scaling = width**-0.5
    there, there_total = _active[-1].of_prompt(module.layer_idx, query, scaling)
    here, here_total = attend(query, key, value, scaling)
    share = (there_total - here_total).sigmoid()
    joined = there*share + here*(1 - share)
    return joined.to(query.dtype).view(rows, 1, heads, -1), None


AttentionInterface.register(NAME, forward)


def works(model, prefill, pad: int) -> bool:
    "Try whether prompts kept once give the same logits as copies of them; `prefill` as in `engine/batching.py`."
    # tokens that differ: among equal ones it is all the same which is attended to
    some = [7919*i % model.get_input_embeddings().num_embeddings for i in range(1, 18)]
    prompts = [some[:5], some[5:14]]
    owner = torch.tensor([0, 1, 1], device=model.device)
    token = torch.tensor(some[14:], device=model.device)[:, None]
    _, cache, mask = prefill(model, prompts, pad)
    position = mask.sum(1)[owner, None]
    try:
        shared = Prompts(model, cache, mask, owner)
        with shared.attended():
            found = [
                model(input_ids=token, position_ids=position + step, past_key_values=shared.rows, use_cache=True).logits
                for step in range(2)
            ]
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError): return False
    cache.batch_select_indices(owner)
    mask, wanted = mask[owner], []
    for step in range(2):
        mask = torch.cat([mask, mask.new_ones(3, 1)], 1)
        out = model(input_ids=token, attention_mask=mask, position_ids=position + step, past_key_values=cache,
                    use_cache=True)
        wanted.append(out.logits)
    close = 1e-3 if model.dtype == torch.float32 else 3e-2
    return all((a - b).float().abs().max() <= close*b.float().abs().max().clamp(min=1) for a, b in zip(found, wanted))
