"""Sentences and hints that several wrong versions share: one wording for one mistake, whatever the exercise."""

from ...words import Text

PREDICTED_CLASS = Text("you explain the predicted class, not `target`", "你解釋的是預測的類別，而不是 `target`")
WHERE_IS_TARGET = Text("where in your function is `target` used?", "你的函式在哪裡用到了 `target`？")
AFTER_SOFTMAX = Text(
    "you differentiate the probability after a softmax, not the class's score",
    "你對 softmax 之後的機率微分，而不是對該類別的分數",
)
OWN_OUTPUT = Text("the model's own output is what is asked for", "題目要的是模型本身的輸出")
CROSS_ENTROPY = Text(
    "you differentiate the cross-entropy loss, not the class's score", "你對交叉熵損失微分，而不是對該類別的分數"
)
SHRINKS_WITH_BATCH = Text(
    "your map shrinks with the size of the batch: the scores are averaged before the gradient",
    "批次越大，你的圖數值越小：分數在求梯度之前被平均了",
)
ALONE_OR_AMONG_OTHERS = Text(
    "one picture alone and the same picture among others must get the same map",
    "同一張圖片單獨算或與別的圖片一起算，結果必須相同",
)
NORMALIZATION_IS_DRAWING = Text("normalization belongs to drawing", "正規化是畫圖的工作")
LEFT_IN_TRAINING = Text(
    "your function leaves the model in train mode: BatchNorm then mixes the pictures",
    "你的函式讓模型停在訓練模式：BatchNorm 會把圖片混在一起",
)
AS_IT_IS_USED = Text(
    "explain the model as it is used, not as it is trained", "要解釋的是使用中的模型，不是訓練中的模型"
)
COUNTED_FROM_ZERO = Text("channels are counted from 0", "通道從 0 開始數")
WHERE_IS_CHANNEL = Text("where in your function is `channel` used?", "你的函式在哪裡用到了 `channel`？")
WORK_ON_A_CLONE = Text("work on a clone", "請在複本（clone）上操作")
RETURN_IN_LOOP = Text("is your `return` inside the loop?", "`return` 是不是寫在迴圈裡面了？")
IS_ALPHA_USED = Text("does your loop use α?", "你的迴圈用到 α 了嗎？")
WHICH_VALUE = Text("which value is asked for?", "題目要求填入什麼值？")
MEAN_NOT_MAX = Text("mean, not max", "是 mean，不是 max")
