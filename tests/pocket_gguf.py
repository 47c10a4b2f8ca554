"""Write the pocket model as a GGUF file, with and without a start token.

Run by an interpreter that has `gguf` and `safetensors`."""
import json
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def interleave(weight, heads: int):
    "llama.cpp turns neighbouring rows of queries and keys together, transformers the two halves of a head."
    return np.ascontiguousarray(
        weight.reshape(heads, 2, len(weight) // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)
    )


def write(folder: Path, file: str, start_token: bool) -> None:
    config, inner = (json.loads((folder/name).read_text()) for name in ("config.json", "tokenizer.json"))
    out = gguf.GGUFWriter(file, "llama")
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_head_count_kv(config["num_key_value_heads"])
    out.add_rope_dimension_count(config["head_dim"])
    out.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_vocab_size(config["vocab_size"])
    texts = {token_id: text for text, token_id in inner["model"]["vocab"].items()}
    marks = {token["id"]: token["content"] for token in inner["added_tokens"]}
    ids = range(config["vocab_size"])
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("qwen2")
    out.add_token_list([marks.get(i) or texts.get(i) or f"[PAD{i}]" for i in ids])
    kinds = gguf.TokenType
    out.add_token_types([kinds.CONTROL if i in marks else kinds.NORMAL if i in texts else kinds.UNUSED for i in ids])
    out.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in inner["model"]["merges"]])
    out.add_bos_token_id(0)
    out.add_eos_token_id(0)
    out.add_pad_token_id(0)
    out.add_add_bos_token(start_token)
    for name, weight in load_file(folder/"model.safetensors").items():
        if name == "model.embed_tokens.weight": there = "token_embd.weight"
        elif name == "model.norm.weight": there = "output_norm.weight"
        else:
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            there = f"blk.{layer}.{NAMES[part]}.weight"
            if part in ("self_attn.q_proj", "self_attn.k_proj"):
                weight = interleave(weight, config["num_attention_heads"])
        out.add_tensor(there, weight.astype(np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


if __name__ == "__main__": write(Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "start")
