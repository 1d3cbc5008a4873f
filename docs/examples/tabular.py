"""Explain a small network on a table: which measurements of a tumour speak for "benign"?

python docs/examples/tabular.py
"""

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from hw_xai.explain import input_x_gradient, integrated_gradients, lime_report, occlusion, shapley_values


def train(rows: Tensor, classes: Tensor, n_steps: int = 200) -> nn.Module:
    """Fit (N, F) -> (N, 2) to the rows."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(rows.shape[1], 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)
    for _ in range(n_steps):
        loss = nn.functional.cross_entropy(model(rows), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    data = load_breast_cancer()
    rows = torch.from_numpy(StandardScaler().fit_transform(data.data)).float()  # (569, 30), of mean 0
    classes = torch.from_numpy(data.target)
    seen, new = slice(0, 400), slice(400, None)
    model = train(rows[seen], classes[seen])
    accuracy = (model(rows[new]).argmax(dim=1) == classes[new]).float().mean()

    patient, benign = rows[400:401], 1
    # a hidden measurement shows 0: the mean patient
    columns = {"segments": torch.arange(rows.shape[1]), "fill": 0.0}
    (report,) = lime_report(model, patient, benign, n_samples=512, n_seeds=3, **columns)
    (shares,) = shapley_values(model, patient, benign, n_samples=2000, **columns)
    found = {
        "grad × in": input_x_gradient(model, patient, benign)[0],
        "IG": integrated_gradients(model, patient, benign)[0],
        "occlusion": occlusion(model, patient, benign, window=1, stride=1)[0],
        "LIME": report.surrogates[0].attribution[0],
        "Shapley": shares.values,
        "± error": shares.standard_errors,
    }
    print(f"accuracy on new patients {accuracy:.3f}; score {shares.score:.2f}, mean patient {shares.hidden_score:.2f}")
    print(f"LIME: R² {report.r2:.3f}, stability over seeds {report.stability:.3f}")
    print(" " * 24 + "".join(f"{name:>10}" for name in found))
    for k in shares.values.abs().argsort(descending=True)[:8].tolist():
        print(f"{data.feature_names[k]:24}" + "".join(f"{values[k]:10.2f}" for values in found.values()))


if __name__ == "__main__":
    main()
