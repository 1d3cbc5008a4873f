"""BERT and its relatives: tokens, layers, attention, hidden words, senses, and which words an answer rests on.

Plain data out: arrays, tensors and small records. What draws them is `hw_xai.show`.
"""

from .attribution import TokenAttribution, attribute_tokens
from .bert import Bert, load_bert
from .heads import what_heads_do
from .layers import attentions, hidden_states
from .masks import fill_mask, mask_what_if
from .reading import answer
from .relevance import guess_relevance
from .search import index_corpus, nearest_view
from .senses import sense_reports, untrained, word_vectors
from .tokens import Encoded, encode, token_at

__all__ = [
    "Bert",
    "Encoded",
    "TokenAttribution",
    "answer",
    "attentions",
    "attribute_tokens",
    "encode",
    "fill_mask",
    "guess_relevance",
    "hidden_states",
    "index_corpus",
    "load_bert",
    "mask_what_if",
    "nearest_view",
    "sense_reports",
    "token_at",
    "untrained",
    "what_heads_do",
    "word_vectors",
]
