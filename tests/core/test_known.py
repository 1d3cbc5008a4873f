"""What is found out about a model once is known for as long as it is put together the same way."""

import gc

from torch import nn

from hw_xai.core.known import Known


def test_a_fact_is_found_once_for_each_model_and_again_when_it_changes():
    known, asked = Known(), []
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())

    def find(module):
        asked.append(module)
        return len(list(module))

    assert [known.of(model, find), known.of(nn.DataParallel(model), find)] == [2, 2]
    assert asked == [model]
    model.append(nn.Linear(2, 2))
    assert known.of(model, find) == 3
    assert len(asked) == 2


def test_what_could_not_be_seen_is_asked_again_and_nothing_outlives_its_model():
    known = Known()
    model = nn.Linear(2, 2)
    assert known.of(model, lambda module: None) is None
    assert known.of(model, lambda module: 5) == 5
    del model
    gc.collect()
    assert len(known._facts) == 0
