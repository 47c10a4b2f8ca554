"""A key/value cache that grows in place.

transformers' `DynamicLayer` concatenates: every new token copies the whole cache. With a small model and a
few hundred rows that copy is most of the time. Here each layer owns a buffer with room to spare, a new
token is written into it, and attention reads a view. Used by `engine/local.py` after the prefill.
"""
from transformers.cache_utils import DynamicLayer

ROOM = 64  # tokens by which a full buffer grows


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
    cache.layers = [GrowingLayer(layer) if type(layer) is DynamicLayer and layer.is_initialized else layer for layer in cache.layers]
    return cache
