"""Writes tests/grpo/golden/presets.json: what each preset of `algorithm` makes of a batch of scored groups, in float64:
from rewards to advantages to the loss and its derivative by every log-probability, by autograd over the papers' formulas.

Each preset is written out here from its paper, one function each, and shares nothing with Aha's pieces. Run with torch
2.15.0 (no download):
    python tests/golden/make_preset_golden.py
Sources: GRPO and process supervision arXiv:2402.03300 eq. 3-4, 4.1.2, 4.1.3; DAPO arXiv:2503.14476 eq. 8; Dr. GRPO
arXiv:2503.20783; GSPO arXiv:2507.18071 eq. 5-7; CISPO arXiv:2506.13585 eq. 4-5; RLOO arXiv:2402.14740; REINFORCE++
arXiv:2501.03262.
"""

import json
import pathlib

import torch

SEED = 20251125
LIMIT = 8  # max_new_tokens
EPSILON = 1e-6  # advantage_epsilon
# Three groups: a mixed one with a failed verifier, one whose rewards are all equal, a graded one.
REWARDS = [[1.0, 0.0, None, 0.0], [1.0, 1.0, 1.0, 1.0], [2.0, 0.5, 0.0, 1.0]]
LENGTHS = [[3, 1, 4, 6], [2, 5, 1, 3], [8, 2, 4, 5]]
# Steps of each sample for process supervision: (one past the step's last token, reward).
STEPS = [
    [[(1, 0.2), (3, 0.9)], [(1, 0.4)], [], [(2, 0.4), (4, 0.1), (6, 0.9)]],
    [[(2, 0.5)], [(5, 0.5)], [(1, 0.5)], [(3, 0.5)]],
    [[(3, 1.0), (5, 0.0)], [(2, -1.0)], [(4, 0.25)], [(2, 1.0), (5, 1.0)]],
]

torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(SEED)


def draw(length, scale):
    return scale * torch.randn(length, generator=generator)


class Sample:
    def __init__(self, group, index):
        self.group, self.index = group, index
        self.reward = REWARDS[group][index]
        self.steps = STEPS[group][index]
        self.length = LENGTHS[group][index]
        self.logp = -torch.rand(self.length, generator=generator) * 3 - 0.05
        self.old = self.logp - draw(self.length, 0.3)
        self.ref = self.logp + draw(self.length, 0.4)


ALL = [Sample(g, i) for g in range(len(REWARDS)) for i in range(len(REWARDS[g]))]
KNOWN = [s for s in ALL if s.reward is not None]


def group_of(s, value=lambda o: o.reward):
    return torch.tensor([value(o) for o in KNOWN if o.group == s.group])


def standardised(s):
    r = group_of(s)
    return 0.0 if (r == r[0]).all() else ((s.reward - r.mean()) / (r.std() + EPSILON)).item()


def clipped(ratio, advantage, low, high):
    return torch.min(ratio * advantage, torch.clamp(ratio, 1 - low, 1 + high) * advantage)


def k3(s, logp):
    d = s.ref - logp
    return torch.exp(d) - d - 1


def grpo(x, advantage=lambda s: standardised(s)):
    total = 0
    for s in KNOWN:
        rho = torch.exp(x[s] - s.old)
        total = total + (clipped(rho, advantage(s), 0.2, 0.2) - 0.001 * k3(s, x[s])).sum() / s.length
    return -total / len(KNOWN)


def dapo(x):
    kept = [s for s in KNOWN if not (group_of(s) == group_of(s)[0]).all()]
    total = sum(clipped(torch.exp(x[s] - s.old), standardised(s), 0.2, 0.28).sum() for s in kept)
    return -total / sum(s.length for s in kept)


def dr_grpo(x):
    total = sum(clipped(torch.exp(x[s] - s.old), s.reward - group_of(s).mean(), 0.2, 0.2).sum() for s in KNOWN)
    return -total / (len(KNOWN) * LIMIT)


def gspo(x):
    total = sum(clipped(torch.exp((x[s] - s.old).mean()), standardised(s), 3e-4, 4e-4) for s in KNOWN)
    return -total / len(KNOWN)


def cispo(x):
    total = sum((torch.clamp(torch.exp(x[s] - s.old), max=5).detach() * standardised(s) * x[s]).sum() for s in KNOWN)
    return -total / sum(s.length for s in KNOWN)


def rloo(x):
    paid = {s: s.reward - 0.05 * (s.old - s.ref).sum().item() for s in KNOWN}
    total = 0
    for s in KNOWN:
        others = [paid[o] for o in KNOWN if o.group == s.group and o is not s]
        advantage = paid[s] - sum(others) / len(others)
        total = total + clipped(torch.exp((x[s] - s.old).sum()), advantage, 0.2, 0.2)
    return -total / len(KNOWN)


def reinforce_pp(x):
    returns = {s: s.reward - 0.01 * (s.old - s.ref).flip(0).cumsum(0).flip(0) for s in KNOWN}
    every = torch.cat([returns[s] for s in KNOWN])
    mean, std = every.mean(), every.std(correction=0)
    total = sum(clipped(torch.exp(x[s] - s.old), (returns[s] - mean) / (std + EPSILON), 0.2, 0.2).sum() for s in KNOWN)
    return -total / sum(s.length for s in KNOWN)


def process_advantage(s):
    rewards = torch.tensor([r for o in KNOWN if o.group == s.group for _, r in o.steps])
    if (rewards == rewards[0]).all():
        return torch.zeros(s.length)
    normal = lambda r: (r - rewards.mean()) / (rewards.std() + EPSILON)
    return torch.tensor([sum([normal(r).item() for end, r in s.steps if end > t], 0.0) for t in range(s.length)])


CASES = {
    "grpo": ('algorithm: "grpo"', grpo),
    "dapo": ('algorithm: "dapo"', dapo),
    "dr_grpo": ('algorithm: "dr_grpo"', dr_grpo),
    "gspo": ('algorithm: "gspo"', gspo),
    "cispo": ('algorithm: "cispo"', cispo),
    "rloo": ('algorithm: "rloo"', rloo),
    "reinforce_pp": ('algorithm: "reinforce_pp"', reinforce_pp),
    "grpo, process": ('algorithm: "grpo" advantage: "process"', lambda x: grpo(x, process_advantage)),
}

cases = []
for name, (keys, loss_of) in CASES.items():
    x = {s: s.logp.clone().requires_grad_() for s in KNOWN}
    loss = loss_of(x)
    loss.backward()
    slope = [(x[s].grad if x.get(s) is not None and x[s].grad is not None else torch.zeros(s.length)).tolist() for s in ALL]
    cases.append({"name": name, "keys": keys, "loss": loss.item(), "slope": slope})

out = {
    "made_by": f"tests/golden/make_preset_golden.py, seed {SEED}, torch {torch.__version__.split('+')[0]}",
    "max_new_tokens": LIMIT,
    "samples": [
        {
            "group": s.group,
            "reward": s.reward,
            "steps": [list(step) for step in s.steps],
            "logprob": s.logp.tolist(),
            "old": s.old.tolist(),
            "reference": s.ref.tolist(),
        }
        for s in ALL
    ],
    "cases": cases,
}
path = pathlib.Path(__file__).resolve().parents[1] / "grpo" / "golden" / "presets.json"
path.write_text(json.dumps(out).replace('{"group"', '\n{"group"').replace('{"name"', '\n{"name"') + "\n")
