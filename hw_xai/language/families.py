"""Which models of sentences are read, in the words of their `config.json`, and what the name of a head says of it."""

# "bert" and its relatives in shape
ENCODERS = (
    *("bert", "roberta", "xlm-roberta", "camembert", "albert", "distilbert", "electra"),
    *("mpnet", "deberta", "deberta-v2", "modernbert"),
)
DECODERS = ("gpt2", "gpt_neox", "opt", "llama", "mistral", "qwen2")  # each token looks at those before it only
FAMILIES = (*ENCODERS, *DECODERS)
POSITIONS_FROM_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet")

HEADS = {
    "ForMaskedLM": "masked-lm",
    "ForSequenceClassification": "classification",
    "ForQuestionAnswering": "question-answering",
    "ForTokenClassification": "token-classification",
    "ForCausalLM": "causal-lm",
    "LMHeadModel": "causal-lm",
}
